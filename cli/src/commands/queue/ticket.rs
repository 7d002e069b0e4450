//! Tickets: all that another process needs to end a delivery that this one got.
//!
//! A receipt is proof only together with its session, so a ticket carries the session's secret. It
//! is text without blanks, so that it can be an argument as it is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use holdfast_client::Receipt;

/// What a ticket begins with, inside. Another number is another form.
const VERSION: &str = "holdfast-ticket-1";

/// A delivery, and the session that got it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) session_id: u64,
    pub(super) secret: Vec<u8>,
    pub(super) receipt: Receipt,
    pub(super) queue: String,
}

impl Ticket {
    /// The text that is printed.
    pub(super) fn encode(&self) -> String {
        let (session, receipt, queue) = (self.session_id, self.receipt, &self.queue);
        let secret = BASE64.encode(&self.secret);
        // The name goes last: it may hold any printable character.
        BASE64.encode(format!("{VERSION} {session} {secret} {receipt} {queue}"))
    }

    /// Reads what was printed. Blanks around it are nothing.
    pub(super) fn decode(text: &str) -> Result<Self, &'static str> {
        let unreadable = "it is not whole; give it as `holdfast queue pop --keep` printed it";
        let bytes = BASE64.decode(text.trim()).map_err(|_| unreadable)?;
        let inside = String::from_utf8(bytes).map_err(|_| unreadable)?;
        let mut parts = inside.splitn(5, ' ');
        match parts.next() {
            Some(VERSION) => {}
            Some(other) if other.starts_with("holdfast-ticket-") => {
                return Err("another version of this program has made it; use that one");
            }
            _ => return Err(unreadable),
        }
        let mut read = || -> Option<Self> {
            Some(Self {
                session_id: parts.next()?.parse().ok()?,
                secret: BASE64.decode(parts.next()?).ok()?,
                receipt: parts.next()?.parse().ok()?,
                queue: parts.next().filter(|queue| !queue.is_empty())?.to_owned(),
            })
        };
        read().ok_or(unreadable)
    }
}

impl std::fmt::Debug for Ticket {
    /// A secret is not to be printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ticket({} of {:?})", self.receipt, self.queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(queue: &str) -> Ticket {
        let receipt = Receipt { message: 4711, token: u64::MAX };
        Ticket { session_id: 7, secret: vec![0, 255, 32, 10], receipt, queue: queue.into() }
    }

    #[test]
    fn a_ticket_is_read_as_it_was_written() {
        for queue in ["mail", "a queue/of words", "größer"] {
            let text = ticket(queue).encode();
            assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)), "{text}");
            assert_eq!(Ticket::decode(&format!(" {text}\n")), Ok(ticket(queue)));
        }
    }

    #[test]
    fn what_is_no_ticket_is_refused() {
        let whole = ticket("mail").encode();
        let check = |text: &str, says: &str| {
            let refused = Ticket::decode(text).unwrap_err();
            assert!(refused.contains(says), "{text}: {refused}");
        };
        check("", "not whole");
        check("mail", "not whole");
        check("no ticket!", "not whole");
        check(&whole[..whole.len() - 8], "not whole");
        check(&BASE64.encode("holdfast-ticket-1 x AA 1-2 mail"), "not whole");
        check(&BASE64.encode("holdfast-ticket-1 1 AA 12 mail"), "not whole");
        check(&BASE64.encode("holdfast-ticket-2 1 AA 1-2 mail"), "another version");
        check(&BASE64.encode(b"\xff\xfe"), "not whole");
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(
            format!("{:?}", ticket("mail")),
            format!("Ticket(4711-{} of \"mail\")", u64::MAX)
        );
    }
}
