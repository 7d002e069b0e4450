//! What goes into a frame.

use bytes::Bytes;
use holdfast_proto::FRAME_BYTES_MAX;
use holdfast_proto::v1::request::Operation as Wire;
use holdfast_proto::v1::{
    AcquireLock, CancelAcquire, ClientFrame, OpenRequest, ReleaseLock, Request, SessionRef,
};

use super::request::Operation;

/// Most requests in one frame.
pub(super) const REQUESTS_PER_FRAME_MAX: usize = 1_024;

/// Largest request: a name at its limit of 512 bytes, three numbers of up to ten bytes, and tags.
const REQUEST_BYTES_MAX: usize = 576;

// So a full frame is always within the limit, and no bytes have to be counted.
const _: () = assert!(REQUESTS_PER_FRAME_MAX * REQUEST_BYTES_MAX < FRAME_BYTES_MAX);

/// The first frame of a session.
pub(super) fn open(ttl_ms: u64, name: &str, secret: Bytes) -> ClientFrame {
    let open = OpenRequest { ttl_ms, name: name.to_owned(), secret };
    ClientFrame { open: Some(open), ..ClientFrame::default() }
}

/// The first frame of a session's next stream.
pub(super) fn resume(id: u64, secret: Bytes, confirmed: u64) -> ClientFrame {
    let resume = SessionRef { id, secret };
    ClientFrame { resume: Some(resume), confirmed, ..ClientFrame::default() }
}

/// One operation as it is sent.
pub(super) fn request(seq: u64, operation: &Operation) -> Request {
    let operation = match operation {
        Operation::Acquire { name, wait_ms, .. } => {
            Wire::AcquireLock(AcquireLock { name: name.as_ref().into(), wait_ms: *wait_ms })
        }
        Operation::Release { name, token } => {
            Wire::ReleaseLock(ReleaseLock { name: name.as_ref().into(), token: *token })
        }
        Operation::Cancel { name, seq } => {
            Wire::CancelAcquire(CancelAcquire { name: name.as_ref().into(), seq: *seq })
        }
    };
    Request { seq, operation: Some(operation) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_proto::v1;

    #[test]
    fn the_largest_request_is_within_its_bound() {
        let name: String = "n".repeat(512);
        let operation = Operation::Acquire {
            name: name.as_str().into(),
            wait_ms: Some(u64::MAX),
            seq: Default::default(),
        };
        let one = ClientFrame {
            requests: vec![request(u64::MAX, &operation)],
            ..v1::ClientFrame::default()
        };
        let release = Operation::Release { name: name.as_str().into(), token: u64::MAX };
        let two = ClientFrame { requests: vec![request(u64::MAX, &release)], ..one.clone() };
        for frame in [one, two] {
            assert!(encoded_len(&frame) <= REQUEST_BYTES_MAX);
        }
    }

    fn encoded_len(frame: &ClientFrame) -> usize {
        use prost::Message;
        frame.encoded_len()
    }
}
