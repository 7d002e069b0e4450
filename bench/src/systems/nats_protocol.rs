//! The text protocol of NATS, as far as it is needed: what a server sends, and what it is sent.

use bytes::{Buf, Bytes, BytesMut};

/// Longer lines and messages are nonsense here.
const LINE_BYTES_MAX: usize = 16 << 10;
const MESSAGE_BYTES_MAX: usize = 1 << 20;
const LINE_END: &[u8] = b"\r\n";

/// What a server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Message(NatsMessage),
    Ping,
    /// Greetings, and answers to pings.
    Other,
    Error(String),
}

/// A message that was delivered to a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NatsMessage {
    pub(crate) subscription: u64,
    pub(crate) subject: String,
    /// Where it is acked.
    pub(crate) reply: String,
    /// A word of the server's instead of a message: 503 when nobody listens there, 408 and others
    /// when a request for messages is over.
    pub(crate) status: Option<u16>,
    pub(crate) body: Bytes,
}

/// Takes the next frame out of what was received, if it is complete.
pub(crate) fn parse(received: &mut BytesMut) -> Result<Option<Frame>, String> {
    let Some(end) = received.windows(2).position(|two| two == LINE_END) else {
        return match received.len() {
            0..=LINE_BYTES_MAX => Ok(None),
            _ => Err("the server sends a line without end".to_owned()),
        };
    };
    let line = String::from_utf8_lossy(&received[..end]).into_owned();
    let mut words = line.split_ascii_whitespace();
    let has_headers = match words.next() {
        Some("MSG") => false,
        Some("HMSG") => true,
        verb => {
            received.advance(end + 2);
            return Ok(Some(match verb {
                Some("PING") => Frame::Ping,
                Some("-ERR") => Frame::Error(line),
                _ => Frame::Other,
            }));
        }
    };
    let words: Vec<_> = words.collect();
    let (mut message, head_bytes, bytes) =
        envelope(&words, has_headers).ok_or_else(|| format!("not understood: {line}"))?;
    if received.len() < end + 2 + bytes + 2 {
        return Ok(None);
    }
    received.advance(end + 2);
    let mut content = received.split_to(bytes).freeze();
    received.advance(2);
    message.body = content.split_off(head_bytes);
    message.status = status(&content);
    Ok(Some(Frame::Message(message)))
}

/// Subject, subscription, maybe a reply, maybe the length of the headers, the length in all.
fn envelope(words: &[&str], has_headers: bool) -> Option<(NatsMessage, usize, usize)> {
    let (places, lengths) =
        words.split_at_checked(words.len().checked_sub(1 + usize::from(has_headers))?)?;
    let lengths: Vec<usize> =
        lengths.iter().map(|length| length.parse().ok()).collect::<Option<_>>()?;
    let (head, all) = match lengths[..] {
        [head, all] => (head, all),
        [all] => (0, all),
        _ => return None,
    };
    let (subject, subscription, reply) = match *places {
        [subject, subscription] => (subject, subscription, ""),
        [subject, subscription, reply] => (subject, subscription, reply),
        _ => return None,
    };
    let message = NatsMessage {
        subscription: subscription.parse().ok()?,
        subject: subject.to_owned(),
        reply: reply.to_owned(),
        ..NatsMessage::default()
    };
    (head <= all && all <= MESSAGE_BYTES_MAX).then_some((message, head, all))
}

/// `NATS/1.0 503 maybe words`. Headers of an ordinary message have no number.
fn status(headers: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(headers).ok()?.lines().next()?;
    line.strip_prefix("NATS/1.0")?.split_ascii_whitespace().next()?.parse().ok()
}

/// Appends a message to what is to be sent.
pub(crate) fn publish(out: &mut Vec<u8>, subject: &str, reply: &str, body: &[u8]) {
    out.extend_from_slice(format!("PUB {subject} {reply} {}\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(LINE_END);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_all(text: &str) -> Vec<Frame> {
        let mut received = BytesMut::from(text);
        let mut frames = Vec::new();
        while let Some(frame) = parse(&mut received).unwrap() {
            frames.push(frame);
        }
        frames
    }

    fn message(subject: &str, reply: &str, status: Option<u16>, body: &'static str) -> Frame {
        Frame::Message(NatsMessage {
            subscription: 7,
            subject: subject.to_owned(),
            reply: reply.to_owned(),
            status,
            body: Bytes::from_static(body.as_bytes()),
        })
    }

    #[test]
    fn frames_are_read() {
        let table = [
            ("PING\r\n", vec![Frame::Ping]),
            ("INFO {}\r\nPONG\r\n", vec![Frame::Other, Frame::Other]),
            ("-ERR 'no'\r\n", vec![Frame::Error("-ERR 'no'".to_owned())]),
            ("MSG a.b 7 5\r\nhello\r\n", vec![message("a.b", "", None, "hello")]),
            ("MSG a 7 r.1 0\r\n\r\nPING\r\n", vec![message("a", "r.1", None, ""), Frame::Ping]),
            ("HMSG a 7 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", vec![message("a", "", Some(503), "")]),
            (
                "HMSG a 7 r 17 19\r\nNATS/1.0\r\nk:v\r\n\r\nhi\r\n",
                vec![message("a", "r", None, "hi")],
            ),
        ];
        for (text, expected) in table {
            assert_eq!(parse_all(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_complete_is_left() {
        let text = "MSG a 7 5\r\nhello\r\n";
        for length in 0..text.len() {
            assert_eq!(parse(&mut BytesMut::from(&text[..length])), Ok(None), "{length}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["MSG a\r\n", "MSG a x 5\r\n", "MSG a 7 -1\r\n", "HMSG a 7 9 5\r\n", "MSG\r\n"]
        {
            assert!(parse(&mut BytesMut::from(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_message_is_written() {
        let mut out = Vec::new();
        publish(&mut out, "a", "r", b"hello");
        publish(&mut out, "b", "", b"");
        assert_eq!(out, b"PUB a r 5\r\nhello\r\nPUB b  0\r\n\r\n");
    }
}
