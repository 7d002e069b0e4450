//! Turns that come without a word of the cluster.

use holdfast_proto::v1::LockSignal;

use super::Pending;
use crate::connection::request::{Answer, Entry};
use crate::connection::turns::Turn;
use crate::fault::Fault;

impl Pending {
    /// Said of a request that waits. Of one that is answered it is old.
    pub(super) fn promised(&mut self, signal: &LockSignal) {
        if self.entry(signal.next_seq).is_none() {
            return;
        }
        if self.state.has_fault(Fault::TakeTurnsEarly) {
            let token = signal.next_token;
            return self.finish(signal.next_seq, Ok(Answer::Granted { token }));
        }
        self.turns.promised(signal);
    }

    /// The release before it is on its way, and whatever is done with the lock from now on is sent
    /// after that. A request that has had no first reply is left to the cluster: on a signal's word
    /// alone it would count as confirmed.
    pub(super) fn hand_on(&mut self, Turn { seq, token }: Turn) {
        if self.waiting.get(&seq).is_some_and(Entry::is_waited_for) {
            self.state.received().count_handed_on();
            self.finish(seq, Ok(Answer::Granted { token }));
        }
    }
}
