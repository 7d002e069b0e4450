//! How many fields a message has, before it is decoded: two bytes on the wire can become a hundred
//! in memory.

use prost::encoding::{DecodeContext, decode_key, skip_field};

/// The shortest field has a key and a value of one byte each.
pub(crate) const FIELD_BYTES_MIN: usize = 2;

/// How many fields stand at the top of an encoded message. What cannot be decoded ends the count,
/// as it ends the decoding.
pub(crate) fn count(mut message: &[u8]) -> usize {
    let mut fields = 0;
    while let Ok((tag, wire_type)) = decode_key(&mut message) {
        if skip_field(wire_type, tag, &mut message, DecodeContext::default()).is_err() {
            break;
        }
        fields += 1;
    }
    fields
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::v1::{ClientFrame, OpenRequest, Request};

    #[test]
    fn fields_are_counted_and_what_is_in_them_is_not() {
        let open = Some(OpenRequest { name: "n".repeat(1 << 10), ttl_ms: 1, ..Default::default() });
        let requests = vec![Request { seq: 1 << 40, operation: None, guard: None }; 7];
        let frame = ClientFrame { open, requests, confirmed: 3, ..ClientFrame::default() };
        let bytes = frame.encode_to_vec();
        assert_eq!(count(&bytes), 9);
        assert_eq!(count(&[]), 0);
        let empty = ClientFrame { requests: vec![Request::default(); 5], ..Default::default() };
        let bytes = empty.encode_to_vec();
        assert_eq!((bytes.len(), count(&bytes)), (5 * FIELD_BYTES_MIN, 5));
        // Where it is cut off, and where no field begins.
        assert_eq!(count(&bytes[..9]), 4);
        assert_eq!(count(&[bytes.as_slice(), &[0, 0], &bytes].concat()), 5);
    }
}
