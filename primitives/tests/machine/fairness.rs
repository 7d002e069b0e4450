//! Nobody who came later is granted what keeps an earlier one of the same line waiting. This is
//! checked by what readers see before and after each single operation, and without the model's
//! rules; the model only helps to make up the operations.

use std::collections::BTreeMap;

use holdfast_primitives::{
    Applied, EventKind, Fault, LockView, Machine, Mode, Name, Outcome, SessionId, Token, WaiterView,
};
use proptest::prelude::*;

use crate::model::Model;
use crate::properties::{config, machine_with};
use crate::workload::{Clients, Step, steps};

pub(crate) fn is_fair(steps: &[Step], fault: Option<Fault>) {
    let (mut machine, mut model) = (machine_with(fault), Model::default());
    let mut clients = Clients::default();
    for step in steps.iter().flat_map(Step::one_by_one) {
        let Step::Batch { advance, ops } = step else { continue };
        let batch = clients.batch(&model, advance, &ops);
        let before = machine.view();
        let secrets: Secrets = model.sessions.iter().map(|s| (s.id, s.secret_hash)).collect();
        let applied = machine.apply(&batch);
        for event in &applied.events {
            if let EventKind::LockGranted { name, session, token, mode } = &event.kind {
                let grant = Granted { name, session: *session, token: *token, mode: *mode };
                grant.check(before.lock(name).as_ref(), &secrets, &machine, &applied);
            }
        }
        model.apply(&batch);
        clients.learn(&applied.outcomes);
    }
}

/// What each session opened with.
type Secrets = BTreeMap<SessionId, [u8; 32]>;

struct Granted<'a> {
    name: &'a Name,
    session: SessionId,
    token: Token,
    mode: Mode,
}

impl Granted<'_> {
    fn check(
        &self,
        before: Option<&LockView>,
        secrets: &Secrets,
        machine: &Machine,
        applied: &Applied,
    ) {
        let Some(after) = machine.lock(self.name) else { return };
        if self.may_pass(before, secrets, applied) {
            return;
        }
        let came = self.came(applied);
        let passed = |waiter: &&WaiterView| {
            let mode = waiter.wants.iter().find(|want| want.name == *self.name).map(|w| w.mode);
            waiter.ticket < came && !(mode == Some(Mode::Shared) && self.mode == Mode::Shared)
        };
        if let Some(passed) = after.waiters.iter().find(passed) {
            panic!("the grant {} of {} passed {passed:?}", self.token, self.name);
        }
    }

    /// The ticket of the wait that ended in this grant, or the token of what was granted at once.
    fn came(&self, applied: &Applied) -> Token {
        let by = Outcome::Granted { token: self.token };
        let ended = applied.notices.iter().find(|n| n.session == self.session && n.outcome == by);
        ended.map_or(self.token, |notice| notice.ticket)
    }

    /// Upgrades, whoever enters once more, and whoever takes the place of a ghost.
    fn may_pass(&self, before: Option<&LockView>, secrets: &Secrets, applied: &Applied) -> bool {
        let came = self.came(applied);
        let Some(before) = before else { return false };
        let upgraded = before.waiters.iter().any(|w| w.ticket == came && w.upgrades.is_some());
        let holds = before.holders.iter().any(|h| h.session == self.session);
        // What was due may have made a ghost in the same step.
        let expired = applied.events.iter().any(|event| {
            matches!(&event.kind, EventKind::LockReleased { name, .. } if name == self.name)
        });
        let at_once = came == self.token;
        let ghost = before.holders.iter().any(|h| h.closed_until.is_some());
        upgraded
            || (at_once && (holds || ghost || expired))
            || self.inherits(before, secrets, applied)
    }

    /// Who held the lock has just expired, and had the same secret.
    fn inherits(&self, before: &LockView, secrets: &Secrets, applied: &Applied) -> bool {
        applied.events.iter().any(|event| {
            let EventKind::SessionExpired { session } = event.kind else { return false };
            before.holders.iter().any(|h| h.session == session)
                && secrets.get(&session) == secrets.get(&self.session)
        })
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nobody_is_overtaken(steps in steps()) {
        is_fair(&steps, None);
    }
}
