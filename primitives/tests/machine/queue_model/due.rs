//! What is due when, in the model.

use holdfast_primitives::{Name, SessionId};

use super::{Place, QueueModel};

/// What is due, in the order in which it happens: when, born when, what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    at: u64,
    born: u64,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Session(SessionId),
    Message(u64, Name),
    Wait(u64, Name),
    Retention(Name),
    Ids(Name),
}

impl Due {
    /// Whether it may happen in a later batch.
    pub(super) fn can_wait(&self) -> bool {
        matches!(self.what, What::Message(..) | What::Retention(_) | What::Ids(_))
    }
}

impl QueueModel {
    pub(super) fn next_due(&self, others_wait: bool) -> Option<Due> {
        let due = |due: &Due| due.at <= self.clock && !(others_wait && due.can_wait());
        self.dues().into_iter().filter(due).min()
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.dues().into_iter().map(|due| due.at).min()
    }

    fn dues(&self) -> Vec<Due> {
        let mut dues = Vec::new();
        let mut due = |at: u64, born: u64, what: What| dues.push(Due { at, born, what });
        for session in &self.sessions {
            due(session.deadline, session.id.get(), What::Session(session.id));
        }
        for queue in &self.queues {
            for message in &queue.messages {
                let at = match message.place {
                    Place::Delayed(until) | Place::Flight { until, .. } => until,
                    Place::Ready | Place::Parked(_) => continue,
                };
                due(at, message.number, What::Message(message.number, queue.name.clone()));
            }
            let claims = queue.claims.iter().map(|claim| &claim.wait);
            for wait in claims.chain(queue.producers.iter().map(|producer| &producer.wait)) {
                if let Some(at) = wait.deadline {
                    due(at, wait.ticket, What::Wait(wait.ticket, queue.name.clone()));
                }
            }
            if let Some(at) = queue.retention_check {
                due(at, 0, What::Retention(queue.name.clone()));
            }
            if let Some((.., at)) = queue.ids.first() {
                // Ids are forgotten at whole seconds.
                let over = at + queue.settings.dedup_window_ms;
                due(over.next_multiple_of(1_000), 0, What::Ids(queue.name.clone()));
            }
        }
        dues
    }
}
