//! The three clients are alike, so a state and the same one with two of them exchanged need only
//! one look.

use super::state::{CLIENTS, State};

impl State {
    /// The same state with the clients in an order that does not depend on who is who.
    ///
    /// Two clients that know the same, and differ only in their places in line, keep their order.
    /// That misses an exchange and costs a second look, no more.
    pub fn representative(&self) -> Self {
        let mut order = [0, 1, 2];
        order.sort_by(|a, b| self.parties[*a].cmp(&self.parties[*b]));
        if order == [0, 1, 2] {
            return self.clone();
        }
        let mut place = [0; CLIENTS];
        for (to, from) in order.iter().enumerate() {
            place[*from] = to as u8;
        }
        let mut same = self.clone();
        same.parties = order.map(|from| self.parties[from].clone());
        for turn in &mut same.turns {
            turn.party = place[usize::from(turn.party)];
        }
        same
    }
}
