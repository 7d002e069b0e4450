//! What became of every message: none lost, none invented, none twice without reason, and none
//! before another of its group that came first.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_client::Error;

/// What is known of one message, by its body, which nobody else uses.
#[derive(Clone, Debug, Default)]
struct Account {
    /// Its producer was told that it is in the queue.
    acknowledged: bool,
    /// Its producer was told that it is not.
    refused: bool,
    /// Its number, once anybody was told.
    number: Option<u64>,
    group: Option<String>,
    /// The tokens of acks that were begun, and of which nobody was told what came of them.
    open_acks: BTreeSet<u64>,
    /// The token of the delivery whose consumer was told that the message is done with.
    done: Option<u64>,
}

impl Account {
    /// Somebody was told that it is done with, or may have been.
    fn may_be_done(&self) -> bool {
        self.done.is_some() || !self.open_acks.is_empty()
    }
}

/// The books of a queue.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    by_body: BTreeMap<String, Account>,
    /// The bodies of each group's messages, by number, once anybody was told of that.
    groups: BTreeMap<String, BTreeMap<u64, String>>,
}

impl Accounts {
    /// A producer is about to enqueue it, in a group or by itself.
    pub fn attempted(&mut self, body: &str, group: Option<&str>) {
        let group = group.map(str::to_owned);
        self.by_body.insert(body.to_owned(), Account { group, ..Account::default() });
    }

    /// A producer was told that it is in the queue.
    ///
    /// # Errors
    /// What that contradicts.
    pub fn acknowledged(&mut self, body: &str, number: u64) -> Result<(), String> {
        let account = self.by_body.get_mut(body).ok_or_else(|| format!("{body} was never sent"))?;
        account.acknowledged = true;
        self.has_number(body, number)
    }

    /// A producer was told that it is not in the queue, unless the error leaves that open.
    ///
    /// # Errors
    /// What that contradicts.
    pub fn not_enqueued(&mut self, body: &str, why: &Error) -> Result<(), String> {
        let Some(account) = self.by_body.get_mut(body).filter(|_| !why.is_unknown()) else {
            return Ok(());
        };
        account.refused = true;
        match account.number {
            Some(number) => Err(format!("message {number} was refused, yet it came: {body}")),
            None => Ok(()),
        }
    }

    /// A consumer has it in its hands. One that has slept over its time may still look at an older
    /// delivery than the one that was acknowledged.
    ///
    /// # Errors
    /// What that contradicts.
    pub fn delivered(&mut self, body: &str, number: u64, token: u64) -> Result<(), String> {
        let Some(account) = self.by_body.get(body) else {
            return Err(format!("message {number} is invented: {body}"));
        };
        if account.refused {
            return Err(format!("message {number} came, yet it was refused: {body}"));
        }
        if account.done.is_some_and(|done| token > done) {
            return Err(format!("message {number} came again after its ack was confirmed"));
        }
        self.has_number(body, number)?;
        match self.open_before(body, number) {
            Some(first) => Err(format!("message {number} came before {first} of its group")),
            None => Ok(()),
        }
    }

    /// The first of its group that nobody can be done with and that came in before it.
    fn open_before(&self, body: &str, number: u64) -> Option<u64> {
        let group = self.by_body.get(body)?.group.as_ref()?;
        let mut earlier = self.groups.get(group)?.range(..number);
        let is_open = |(_, body): &(&u64, &String)| {
            self.by_body.get(*body).is_some_and(|account| !account.may_be_done())
        };
        earlier.find(is_open).map(|(number, _)| *number)
    }

    fn has_number(&mut self, body: &str, number: u64) -> Result<(), String> {
        let Some(account) = self.by_body.get_mut(body) else { return Ok(()) };
        let known = *account.number.get_or_insert(number);
        if known != number {
            return Err(format!("{body} was enqueued twice, as messages {known} and {number}"));
        }
        if let Some(group) = &account.group {
            self.groups.entry(group.clone()).or_default().insert(number, body.to_owned());
        }
        Ok(())
    }

    /// Its consumer is about to acknowledge the delivery with this token.
    pub fn about_to_be_done(&mut self, body: &str, token: u64) {
        if let Some(account) = self.by_body.get_mut(body) {
            account.open_acks.insert(token);
        }
    }

    /// Its consumer was told that it is done with.
    ///
    /// # Errors
    /// What that contradicts.
    pub fn done(&mut self, body: &str, token: u64) -> Result<(), String> {
        let Some(account) = self.by_body.get_mut(body) else { return Ok(()) };
        account.open_acks.remove(&token);
        match account.done.replace(token) {
            Some(other) => {
                let number = account.number.unwrap_or_default();
                Err(format!("two acks of message {number} were confirmed: {other} and {token}"))
            }
            None => Ok(()),
        }
    }

    /// Its consumer was told that it is not done with, unless the error leaves that open.
    pub fn not_done(&mut self, body: &str, token: u64, why: &Error) {
        if let Some(account) = self.by_body.get_mut(body).filter(|_| !why.is_unknown()) {
            account.open_acks.remove(&token);
        }
    }

    /// Messages that are in no queue any more, and that nobody can be done with.
    pub fn lost(&self) -> Vec<String> {
        let is_lost = |account: &Account| account.acknowledged && !account.may_be_done();
        let lost = self.by_body.iter().filter(|(_, account)| is_lost(account));
        lost.map(|(body, account)| format!("message {:?} is lost: {body}", account.number))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ErrorCode;

    use super::*;

    /// Plays what happens to the message "m", a word each: `in` and `in!` are an attempt and its
    /// confirmation, `d3` is a delivery with token 3, and `a3`, `a3!`, `a3-`, `a3?` are an ack of
    /// it: begun, confirmed, refused, unknown. Answers what is found, also at the end.
    fn play(story: &str) -> String {
        let refused =
            || Error::Rejected { code: ErrorCode::UnknownReceipt, message: String::new() };
        let unknown = || Error::Unknown { message: String::new() };
        let mut accounts = Accounts::default();
        let mut found = Vec::new();
        for word in story.split(' ') {
            let token = || word.chars().filter(char::is_ascii_digit).collect::<String>();
            let token = token().parse().unwrap_or_default();
            let told = match (&word[..1], &word[word.len() - 1..]) {
                ("i", "n") => {
                    accounts.attempted("m", None);
                    Ok(())
                }
                ("i", "!") => accounts.acknowledged("m", 7),
                ("i", "-") => accounts.not_enqueued("m", &refused()),
                ("i", "?") => accounts.not_enqueued("m", &unknown()),
                ("d", _) => accounts.delivered("m", 7, token),
                ("o", _) => accounts.delivered("m", 8, token),
                ("a", "!") => accounts.done("m", token),
                ("a", "-") => {
                    accounts.not_done("m", token, &refused());
                    Ok(())
                }
                ("a", "?") => {
                    accounts.not_done("m", token, &unknown());
                    Ok(())
                }
                ("a", _) => {
                    accounts.about_to_be_done("m", token);
                    Ok(())
                }
                _ => panic!("no such word: {word}"),
            };
            found.extend(told.err());
        }
        found.extend(accounts.lost());
        found.join("; ")
    }

    #[test]
    fn what_becomes_of_a_message() {
        let lost = "message Some(7) is lost: m";
        for (story, want) in [
            ("in in! d1 a1 a1!", ""),
            ("in in!", lost),
            ("in in! d1", lost),
            ("in", ""),
            ("in in?", ""),
            ("in in? d1 a1 a1!", ""),
            ("in in-", ""),
            ("in in- d1", "message 7 came, yet it was refused: m"),
            ("in d1 in-", "message 7 was refused, yet it came: m"),
            ("d1", "message 7 is invented: m"),
            ("in in! d1 o2 a2 a2!", "m was enqueued twice, as messages 7 and 8"),
            // Of an ack whose fate is unknown nobody can say that the message is lost.
            ("in in! d1 a1", ""),
            ("in in! d1 a1 a1?", ""),
            ("in in! d1 a1 a1-", lost),
            ("in in! d1 a1 a1- d2 a2 a2!", ""),
            ("in in! d1 a1 a1? d2 a2 a2-", ""),
            ("in in! d1 d2 a1 a2 a1- a2-", lost),
            ("in in! d1 a1 d2 a2 a2! a1-", ""),
            ("in in! d1 a1 d2 a2 a2! a1!", "two acks of message 7 were confirmed: 2 and 1"),
            ("in in! d1 a1 a1! d2", "message 7 came again after its ack was confirmed"),
            ("in in! d2 a2 a2! d1", ""),
        ] {
            assert_eq!(play(story), want, "{story}");
        }
    }

    #[test]
    fn a_group_goes_one_by_one() {
        let mut accounts = Accounts::default();
        for (body, group) in [("a1", "a"), ("a2", "a"), ("b3", "b"), ("a4", "a")] {
            accounts.attempted(body, Some(group));
        }
        accounts.attempted("5", None);
        for (body, number) in [("a1", 1), ("a2", 2), ("b3", 3), ("5", 5)] {
            assert_eq!(accounts.acknowledged(body, number), Ok(()));
        }
        assert_eq!(accounts.delivered("a1", 1, 11), Ok(()));
        assert_eq!(accounts.delivered("b3", 3, 12), Ok(()));
        assert_eq!(accounts.delivered("5", 5, 13), Ok(()));
        let early = || Err("message 2 came before 1 of its group".to_owned());
        assert_eq!(accounts.delivered("a2", 2, 14), early());
        accounts.about_to_be_done("a1", 11);
        assert_eq!(accounts.delivered("a2", 2, 15), Ok(()), "perhaps it is done with");
        let refused = Error::Rejected { code: ErrorCode::UnknownReceipt, message: String::new() };
        accounts.not_done("a1", 11, &refused);
        assert_eq!(accounts.delivered("a2", 2, 16), early());
        accounts.about_to_be_done("a1", 17);
        assert_eq!(accounts.done("a1", 17), Ok(()));
        assert_eq!(accounts.delivered("a2", 2, 18), Ok(()));
        let early = Err("message 4 came before 2 of its group".to_owned());
        assert_eq!(accounts.delivered("a4", 4, 19), early, "its producer was told nothing so far");
    }
}
