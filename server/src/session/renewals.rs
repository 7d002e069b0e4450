//! Gathers renewals, so that however many sessions renew, the log gets one command per tick.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast_primitives::{Command, Rejection, Section, SessionId};
use tokio::sync::Notify;

use super::outbox::Outbox;
use crate::api::errors;
use crate::raft::applier::SharedMachine;
use crate::raft::proposer::Proposer;

/// How long renewals are gathered. Clients count their lease from when they sent the renewal, so
/// this only shortens their margin.
const GATHER: Duration = Duration::from_millis(25);

/// How many sessions one command renews at most.
const SESSIONS_PER_COMMAND: usize = 4_096;

#[derive(Default)]
struct Waiting {
    /// For each session its stream and the largest number it asked with.
    sessions: Mutex<BTreeMap<SessionId, (Arc<Outbox>, u64)>>,
    some: Notify,
}

/// Takes renewals. Cheap to clone.
#[derive(Clone)]
pub struct Renewals(Arc<Waiting>);

impl Renewals {
    /// What takes renewals, and the task that proposes them.
    pub fn new(
        proposer: Proposer,
        machine: SharedMachine,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let waiting = Arc::new(Waiting::default());
        let gathering = waiting.clone();
        let task = async move {
            loop {
                gathering.some.notified().await;
                tokio::time::sleep(GATHER).await;
                let batch = {
                    let mut sessions = gathering.sessions.lock().expect("no holder panics");
                    let mut batch = std::mem::take(&mut *sessions);
                    if batch.len() > SESSIONS_PER_COMMAND {
                        let nth = *batch.keys().nth(SESSIONS_PER_COMMAND).expect("it is longer");
                        *sessions = batch.split_off(&nth);
                        gathering.some.notify_one();
                    }
                    batch
                };
                // Whoever asked while the last ones were gathered went along with them.
                if batch.is_empty() {
                    continue;
                }
                // Without waiting for the outcome: the next tick's renewals must not be held up.
                tokio::spawn(renew(proposer.clone(), machine.clone(), batch));
            }
        };
        (Self(waiting), task)
    }

    /// Renews `session` with the next tick and tells `outbox` when it has taken effect.
    pub fn ask(&self, session: SessionId, outbox: Arc<Outbox>, number: u64) {
        self.0.sessions.lock().expect("no holder panics").insert(session, (outbox, number));
        self.0.some.notify_one();
    }
}

async fn renew(
    proposer: Proposer,
    machine: SharedMachine,
    batch: BTreeMap<SessionId, (Arc<Outbox>, u64)>,
) {
    let sessions = batch.keys().copied().collect();
    let section = Section::anonymous(Command::RenewSessions { sessions });
    match proposer.propose(&section).await {
        Ok(_) => {
            // The command passes over sessions that are gone. Only those that are still there were
            // renewed; the others must not believe so.
            let applied = machine.read();
            for (session, (outbox, number)) in batch {
                match applied.machine.session(session) {
                    Some(_) => outbox.renewed(number),
                    None => {
                        let gone = Rejection::UnknownSession { session };
                        outbox.goodbye(errors::rejection(&gone));
                    }
                }
            }
        }
        Err(why) => batch.values().for_each(|(outbox, _)| outbox.move_on(&why)),
    }
}
