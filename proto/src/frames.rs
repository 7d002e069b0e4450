//! Messages on a connection that has nothing else on it: four bytes of length, the highest first,
//! and then the message. So both ends of a session's own connection write and read, and both ends
//! of the connection on which a leader sends its log.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use crate::fields::{self, FIELD_BYTES_MIN};

/// The length before each message.
const PREFIX_BYTES: usize = 4;

/// At least so much is read at once.
const READ_BYTES: usize = 4 << 10;

/// A buffer that has grown beyond this is given back as soon as it is empty.
const KEPT_BYTES: usize = 64 << 10;

/// Why there is no frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The connection is broken.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The other side closed it within a frame.
    #[error("the connection was closed within a frame")]
    CutOff,
    /// The frame is longer than any may be.
    #[error("a frame of {bytes} bytes, of which {bytes_max} are the most")]
    TooLarge {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
    /// The message has more fields than any may have.
    #[error(
        "it has {fields} fields, which are requests as a rule, and {fields_max} are the most: send \
         the others in another frame"
    )]
    TooManyFields {
        /// How many it has.
        fields: usize,
        /// How many it may have.
        fields_max: usize,
    },
    /// What is in it is no message.
    #[error("it is no message: {0}")]
    Unreadable(#[from] prost::DecodeError),
}

/// Reads frames.
#[derive(Debug)]
pub struct FrameReader {
    buffer: Vec<u8>,
    /// What stands before this was read already.
    read: usize,
    frame_bytes_max: usize,
    fields_max: usize,
}

impl FrameReader {
    /// A reader of frames up to this length.
    pub fn new(frame_bytes_max: usize) -> Self {
        Self::after(&[], frame_bytes_max)
    }

    /// One that begins with what was read from the connection before.
    pub fn after(read: &[u8], frame_bytes_max: usize) -> Self {
        Self { buffer: read.to_vec(), read: 0, frame_bytes_max, fields_max: usize::MAX }
    }

    /// The same, for messages that have at most so many fields, each entry of a list counted. One
    /// that has more is not decoded.
    #[must_use]
    pub fn fields_max(self, fields_max: usize) -> Self {
        Self { fields_max, ..self }
    }

    /// The next message, or `None` if the other side has said its last.
    pub fn poll_next<M: Message + Default>(
        &mut self,
        io: &mut (impl AsyncRead + Unpin + ?Sized),
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<M>, FrameError>> {
        loop {
            let missing = match self.take()? {
                Taken::Message(message) => return Poll::Ready(Ok(Some(message))),
                Taken::Missing(bytes) => bytes,
            };
            self.make_room(missing);
            if ready!(poll_read_buf(Pin::new(&mut *io), cx, &mut self.buffer))? == 0 {
                let is_between = self.buffer.is_empty();
                return Poll::Ready(if is_between { Ok(None) } else { Err(FrameError::CutOff) });
            }
        }
    }

    /// Takes a message off the front, if all of it is there.
    fn take<M: Message + Default>(&mut self) -> Result<Taken<M>, FrameError> {
        let unread = &self.buffer[self.read..];
        let Some((prefix, rest)) = unread.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(Taken::Missing(PREFIX_BYTES - unread.len()));
        };
        let len = u32::from_be_bytes(*prefix) as usize;
        if len > self.frame_bytes_max {
            let bytes_max = self.frame_bytes_max;
            return Err(FrameError::TooLarge { bytes: len, bytes_max });
        }
        let Some(message) = rest.get(..len) else {
            return Ok(Taken::Missing(len - rest.len()));
        };
        // Most are so short that there is nothing to count.
        if message.len() / FIELD_BYTES_MIN > self.fields_max {
            let (fields, fields_max) = (fields::count(message), self.fields_max);
            if fields > fields_max {
                return Err(FrameError::TooManyFields { fields, fields_max });
            }
        }
        let message = M::decode(message)?;
        self.read += PREFIX_BYTES + len;
        Ok(Taken::Message(message))
    }

    /// So that `missing` more bytes can come. What was read goes.
    fn make_room(&mut self, missing: usize) {
        if self.read == self.buffer.len() {
            empty(&mut self.buffer);
        } else {
            self.buffer.drain(..self.read);
        }
        self.read = 0;
        self.buffer.reserve(missing.max(READ_BYTES));
    }
}

enum Taken<M> {
    Message(M),
    /// So many bytes are missing, or more.
    Missing(usize),
}

/// Writes frames.
#[derive(Debug, Default)]
pub struct FrameWriter {
    buffer: Vec<u8>,
    /// What stands before this was written already.
    written: usize,
}

impl FrameWriter {
    /// Puts a message behind what waits to be written.
    pub fn put(&mut self, message: &impl Message) {
        let begin = self.buffer.len();
        self.buffer.extend_from_slice(&[0; PREFIX_BYTES]);
        message.encode(&mut self.buffer).expect("a vector has room for everything");
        let (_, frame) = self.buffer.split_at_mut(begin);
        let len = (frame.len() - PREFIX_BYTES) as u32;
        frame[..PREFIX_BYTES].copy_from_slice(&len.to_be_bytes());
    }

    /// How many bytes wait to be written.
    pub fn waiting(&self) -> usize {
        self.buffer.len() - self.written
    }

    /// Writes all that waits.
    pub fn poll_flush(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin + ?Sized),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.written < self.buffer.len() {
            let waiting = &self.buffer[self.written..];
            match ready!(Pin::new(&mut *io).poll_write(cx, waiting))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.written += bytes,
            }
        }
        empty(&mut self.buffer);
        self.written = 0;
        Pin::new(io).poll_flush(cx)
    }
}

/// Whoever is done with a large message needs its memory no more.
fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > KEPT_BYTES {
        *buffer = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::v1::ClientFrame;

    const FRAME_BYTES_MAX: usize = 1 << 20;

    fn frame(renew: u64, name: usize) -> ClientFrame {
        let open = crate::v1::OpenRequest { name: "n".repeat(name), ..Default::default() };
        ClientFrame { renew, open: Some(open), ..ClientFrame::default() }
    }

    async fn written(frames: &[ClientFrame], at_once: usize) -> Vec<u8> {
        let (mut ours, mut theirs) = duplex(at_once);
        let reading = tokio::spawn(async move {
            let mut bytes = Vec::new();
            theirs.read_to_end(&mut bytes).await.expect("it is whole");
            bytes
        });
        let mut writer = FrameWriter::default();
        frames.iter().for_each(|frame| writer.put(frame));
        assert!(writer.waiting() > 0);
        poll_fn(|cx| writer.poll_flush(&mut ours, cx)).await.expect("it is written");
        assert_eq!(writer.waiting(), 0);
        drop(ours);
        reading.await.expect("no panic")
    }

    async fn read(first: &[u8], then: &[u8]) -> (Vec<ClientFrame>, Result<(), FrameError>) {
        let (mut ours, mut theirs) = duplex(1 << 20);
        theirs.write_all(then).await.expect("there is room");
        drop(theirs);
        let mut reader = FrameReader::after(first, FRAME_BYTES_MAX);
        let mut frames = Vec::new();
        loop {
            match poll_fn(|cx| reader.poll_next(&mut ours, cx)).await {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, Ok(())),
                Err(e) => return (frames, Err(e)),
            }
        }
    }

    #[tokio::test]
    async fn frames_come_whole_however_they_are_cut() {
        let frames = [frame(1, 0), frame(300, 5), ClientFrame::default(), frame(2, 200)];
        let bytes = written(&frames, 3).await;
        for cut in 0..=bytes.len() {
            let (read, end) = read(&bytes[..cut], &bytes[cut..]).await;
            assert_eq!(read, frames, "cut at {cut}");
            assert!(end.is_ok(), "{end:?}");
        }
    }

    #[tokio::test]
    async fn an_end_within_a_frame_is_no_end() {
        let bytes = written(&[frame(1, 0), frame(2, 9)], 64).await;
        let first = written(&[frame(1, 0)], 64).await.len();
        for cut in 0..bytes.len() {
            let (read, end) = read(&[], &bytes[..cut]).await;
            assert_eq!(read.len(), usize::from(cut >= first), "cut at {cut}");
            let is_between = cut == 0 || cut == first;
            assert_eq!(matches!(end, Err(FrameError::CutOff)), !is_between, "{end:?} at {cut}");
        }
    }

    #[tokio::test]
    async fn what_is_no_frame_is_refused() {
        let over = FRAME_BYTES_MAX as u32 + 1;
        let (_, end) = read(&[], &over.to_be_bytes()).await;
        let bytes = over as usize;
        let bytes_max = FRAME_BYTES_MAX;
        let said = end.map_err(|e| e.to_string());
        let says = format!("a frame of {bytes} bytes, of which {bytes_max} are the most");
        assert_eq!(said, Err(says));
        let longest = frame(1, FRAME_BYTES_MAX - 16);
        let bytes = written(std::slice::from_ref(&longest), 1 << 20).await;
        assert_eq!(read(&bytes, &[]).await.0, [longest]);
        let (_, end) = read(&[], &[0, 0, 0, 1, 0xff]).await;
        assert!(matches!(end, Err(FrameError::Unreadable(_))), "{end:?}");
    }

    #[tokio::test]
    async fn a_message_of_too_many_fields_is_not_decoded() {
        const FIELDS_MAX: usize = 100;
        let of = |fields| ClientFrame {
            requests: vec![crate::v1::Request::default(); fields],
            ..ClientFrame::default()
        };
        let long = frame(1, 10 * FIELDS_MAX);
        let bytes = written(&[of(FIELDS_MAX), long, of(FIELDS_MAX + 1)], 1 << 20).await;
        let mut reader = FrameReader::after(&bytes, FRAME_BYTES_MAX).fields_max(FIELDS_MAX);
        let mut none = tokio::io::empty();
        for _ in 0..2 {
            let read = poll_fn(|cx| reader.poll_next::<ClientFrame>(&mut none, cx)).await;
            assert!(matches!(read, Ok(Some(_))), "{read:?}");
        }
        let read = poll_fn(|cx| reader.poll_next::<ClientFrame>(&mut none, cx)).await;
        let why = read.expect_err("one too many").to_string();
        assert!(why.contains("it has 101 fields"), "{why}");
    }

    #[tokio::test]
    async fn large_buffers_are_given_back() {
        let frames = [frame(1, 1 << 18), frame(2, 1)];
        let (mut ours, mut theirs) = duplex(1 << 20);
        let (mut writer, mut reader) = (FrameWriter::default(), FrameReader::new(FRAME_BYTES_MAX));
        for frame in &frames {
            writer.put(frame);
            poll_fn(|cx| writer.poll_flush(&mut ours, cx)).await.expect("it is written");
            let read = poll_fn(|cx| reader.poll_next(&mut theirs, cx)).await;
            assert_eq!(read.expect("a frame").as_ref(), Some(frame));
        }
        assert!(writer.buffer.capacity() <= KEPT_BYTES, "{}", writer.buffer.capacity());
        assert!(reader.buffer.capacity() <= KEPT_BYTES, "{}", reader.buffer.capacity());
    }
}
