//! What became of every message: none lost, none invented, none twice without reason.

use std::collections::BTreeMap;

/// What is known of one message, by its body, which nobody else uses.
#[derive(Clone, Debug, Default)]
struct Account {
    /// Its producer was told that it is in the queue.
    acknowledged: bool,
    /// Its number, once anybody was told.
    number: Option<u64>,
    /// Somebody is about to acknowledge it, or has tried to.
    perhaps_done: bool,
    /// The token of the delivery whose consumer was told that the message is done with.
    done: Option<u64>,
}

/// The books of a queue.
#[derive(Clone, Debug, Default)]
pub struct Accounts(BTreeMap<String, Account>);

impl Accounts {
    /// A producer is about to enqueue it.
    pub fn attempted(&mut self, body: &str) {
        self.0.insert(body.to_owned(), Account::default());
    }

    /// A producer was told that it is in the queue.
    ///
    /// # Errors
    /// What that contradicts.
    pub fn acknowledged(&mut self, body: &str, number: u64) -> Result<(), String> {
        let account = self.0.get_mut(body).ok_or_else(|| format!("{body} was never sent"))?;
        account.acknowledged = true;
        same_number(body, account, number)
    }

    /// A consumer has it in its hands. One that has slept over its time may still look at an older
    /// delivery than the one that was acknowledged.
    ///
    /// # Errors
    /// What that contradicts.
    pub fn delivered(&mut self, body: &str, number: u64, token: u64) -> Result<(), String> {
        let Some(account) = self.0.get_mut(body) else {
            return Err(format!("message {number} is invented: {body}"));
        };
        if account.done.is_some_and(|done| token > done) {
            return Err(format!("message {number} came again after its ack was confirmed"));
        }
        same_number(body, account, number)
    }

    /// Its consumer is about to acknowledge it.
    pub fn about_to_be_done(&mut self, body: &str) {
        if let Some(account) = self.0.get_mut(body) {
            account.perhaps_done = true;
        }
    }

    /// Its consumer was told that it is done with.
    pub fn done(&mut self, body: &str, token: u64) {
        if let Some(account) = self.0.get_mut(body) {
            account.done = Some(token);
        }
    }

    /// Messages that are in no queue any more, and that nobody is done with.
    pub fn lost(&self) -> Vec<String> {
        let lost = self.0.iter().filter(|(_, a)| a.acknowledged && !a.perhaps_done);
        lost.map(|(body, account)| format!("message {:?} is lost: {body}", account.number))
            .collect()
    }
}

fn same_number(body: &str, account: &mut Account, number: u64) -> Result<(), String> {
    match account.number {
        Some(other) if other != number => {
            Err(format!("{body} was enqueued twice, as messages {other} and {number}"))
        }
        _ => {
            account.number = Some(number);
            Ok(())
        }
    }
}
