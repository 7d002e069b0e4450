//! Which node to try next, and how long to rest before.
//!
//! A *round* tries every endpoint once, without a pause, and a leader's hint at once when it names
//! a node that this round has not tried. Who names a leader that cannot be reached is asked, once
//! in a round, to pass on what is said. After a round without success comes a rest, exponential,
//! with full jitter, so that a fleet does not return in step. Stale hints cannot make a hot loop.

use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::Error;

/// Longest rest after the first failed round.
const REST_FIRST: Duration = Duration::from_millis(10);

/// Longest rest while an election may be under way, which takes about half a second: to rest longer
/// would add to every failover.
const REST_SOON: Duration = Duration::from_millis(80);

/// So many rounds without success take longer than an election.
const ROUNDS_SOON: u32 = 40;

/// Longest rest of all.
const REST_MAX: Duration = Duration::from_millis(500);

/// A stream that lived for less than this does not count as a success, so that a node which takes
/// streams only to end them is not asked again and again without a rest.
const STABLE_AFTER: Duration = Duration::from_secs(1);

/// `host:port` out of `http://host:port/` or `host:port`.
pub(crate) fn parse(raw: &str) -> Result<String, Error> {
    let refuse = |why: &str| {
        let message =
            format!("the endpoint {raw:?} {why}: write host:port, such as 127.0.0.1:7401");
        Err(Error::InvalidSettings { message })
    };
    let trimmed = raw.trim();
    let address = match trimmed.split_once("://") {
        Some(("http", rest)) => rest,
        Some((scheme, _)) => return refuse(&format!("has the scheme {scheme}, not http")),
        None => trimmed,
    };
    let address = address.strip_suffix('/').unwrap_or(address);
    let Some((host, port)) = address.rsplit_once(':') else {
        return refuse("names no port");
    };
    if port.parse::<u16>().is_err() {
        return refuse("has no number for a port");
    }
    if host.is_empty() || host.contains(|c: char| c == '/' || c.is_whitespace()) {
        return refuse("names no host");
    }
    Ok(address.to_owned())
}

/// Where to go next, and after what rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) endpoint: String,
    pub(crate) rest: Duration,
    /// The leader, who was not reached, and to whom this node is asked to pass on what is said.
    pub(crate) pass_on_to: Option<String>,
}

/// How an attempt, or a stream, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The node said nothing.
    Unreached,
    /// The node said that it is of no use, and perhaps who leads.
    Refused { leader: Option<String> },
}

/// A way to a leader through another node.
#[derive(Clone, Debug)]
struct Detour {
    through: String,
    leader: String,
}

/// The order in which endpoints are tried.
#[derive(Debug)]
pub(crate) struct Rotation {
    endpoints: VecDeque<String>,
    /// Where the last attempt went.
    current: Destination,
    hint: Option<String>,
    tried: Vec<String>,
    /// Who has said nothing, since the last stream to a leader itself.
    unreached: Vec<String>,
    /// Who has named the leader last, and whom.
    named: Option<Detour>,
    /// Who was asked to pass on, in this round.
    asked: Vec<String>,
    failed_rounds: u32,
    must_rest: bool,
    rng: StdRng,
}

impl Rotation {
    /// `endpoints` must not be empty. They are tried from a random one on, to spread a fleet.
    pub(crate) fn new(endpoints: &[String], seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut endpoints: VecDeque<String> = endpoints.iter().cloned().collect();
        let first = rng.random_range(0..endpoints.len().max(1));
        endpoints.rotate_left(first);
        Self {
            endpoints,
            current: Destination::default(),
            hint: None,
            tried: Vec::new(),
            unreached: Vec::new(),
            named: None,
            asked: Vec::new(),
            failed_rounds: 0,
            must_rest: false,
            rng,
        }
    }

    /// Chooses the next node to try.
    pub(crate) fn next(&mut self) -> Destination {
        let hint = self.hint.take().filter(|hint| !self.tried.contains(hint));
        let rest = if std::mem::take(&mut self.must_rest) { self.rest() } else { Duration::ZERO };
        if let Some(Detour { through, leader }) = self.detour() {
            self.asked.push(through.clone());
            return self.go(through, rest, Some(leader));
        }
        if let Some(endpoint) = hint.or_else(|| self.untried()) {
            return self.go(endpoint, rest, None);
        }
        self.tried.clear();
        self.asked.clear();
        // What somebody said before the rest may have changed.
        self.named = None;
        let rest = self.rest();
        let endpoint = self.rotate();
        self.go(endpoint, rest, None)
    }

    /// The last attempt failed.
    pub(crate) fn failed(&mut self, end: End) {
        let Destination { endpoint, pass_on_to, .. } = self.current.clone();
        match (end, pass_on_to) {
            // That node has answered before it was asked to pass on.
            (End::Unreached, Some(_)) => self.hint = None,
            (end, _) => self.ended(endpoint, end),
        }
    }

    /// A stream that had been up for `lived` is gone.
    pub(crate) fn lost(&mut self, endpoint: &str, lived: Duration, end: End) {
        self.unreached.clear();
        self.begin_anew(lived);
        self.tried.push(endpoint.to_owned());
        self.ended(endpoint.to_owned(), end);
    }

    /// The same of one that was passed on there. That it broke says nothing of that node.
    pub(crate) fn lost_passed_on(&mut self, through: &str, lived: Duration, end: End) {
        self.begin_anew(lived);
        match end {
            End::Unreached => self.hint = Some(through.to_owned()),
            End::Refused { .. } => self.ended(through.to_owned(), end),
        }
    }

    /// There is a way to this node again.
    pub(crate) fn reaches(&mut self, endpoint: &str) {
        self.unreached.retain(|unreached| unreached != endpoint);
    }

    fn begin_anew(&mut self, lived: Duration) {
        self.tried.clear();
        self.asked.clear();
        self.named = None;
        if lived >= STABLE_AFTER {
            self.failed_rounds = 0;
        } else {
            self.must_rest = true;
        }
    }

    fn ended(&mut self, endpoint: String, end: End) {
        self.hint = None;
        match end {
            End::Unreached if self.unreached.contains(&endpoint) => {}
            End::Unreached => self.unreached.push(endpoint),
            End::Refused { leader } => {
                self.reaches(&endpoint);
                self.hint.clone_from(&leader);
                self.named = leader.map(|leader| Detour { through: endpoint, leader });
            }
        }
    }

    /// The way through who has named a leader that cannot be reached, once in a round.
    fn detour(&self) -> Option<Detour> {
        let is_of_use = |detour: &&Detour| {
            self.unreached.contains(&detour.leader) && !self.asked.contains(&detour.through)
        };
        self.named.as_ref().filter(is_of_use).cloned()
    }

    /// Whoever is next in turn, those last that were not reached.
    fn untried(&mut self) -> Option<String> {
        let untried = |it: &&String| !self.tried.contains(*it);
        let reached = |it: &&String| untried(it) && !self.unreached.contains(*it);
        let next = self.endpoints.iter().find(reached).or(self.endpoints.iter().find(untried));
        let next = next.cloned()?;
        while self.rotate() != next {}
        Some(next)
    }

    fn go(&mut self, endpoint: String, rest: Duration, pass_on_to: Option<String>) -> Destination {
        self.tried.push(endpoint.clone());
        self.current = Destination { endpoint, rest, pass_on_to };
        self.current.clone()
    }

    fn rotate(&mut self) -> String {
        self.endpoints.rotate_left(1);
        self.endpoints.back().cloned().unwrap_or_default()
    }

    fn rest(&mut self) -> Duration {
        let cap = if self.failed_rounds < ROUNDS_SOON { REST_SOON } else { REST_MAX };
        let longest = REST_FIRST.saturating_mul(1 << self.failed_rounds.min(16)).min(cap);
        self.failed_rounds = self.failed_rounds.saturating_add(1);
        self.rng.random_range(Duration::ZERO..=longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Rotation {
        Rotation::new(&["a:1".into(), "b:1".into(), "c:1".into()], 7)
    }

    fn names(leader: &str) -> End {
        End::Refused { leader: Some(leader.into()) }
    }

    #[test]
    fn endpoints_are_written_with_or_without_a_scheme() {
        for (raw, want) in [
            ("127.0.0.1:7400", "127.0.0.1:7400"),
            ("http://node-1:7400", "node-1:7400"),
            (" http://[::1]:7400/ ", "[::1]:7400"),
        ] {
            assert_eq!(parse(raw).as_deref(), Ok(want));
        }
        for bad in ["", "node", "node:", "node:x", ":7400", "https://node:7400", "a/b:7400"] {
            assert!(matches!(parse(bad), Err(Error::InvalidSettings { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_round_tries_every_endpoint_at_once_and_then_rests() {
        let mut rotation = three();
        for round in 0..20 {
            let mut seen: Vec<String> = Vec::new();
            for turn in 0..3 {
                let to = rotation.next();
                let may_rest = turn == 0 && round > 0;
                assert!(may_rest || to.rest.is_zero());
                assert!(to.rest <= REST_MAX);
                seen.push(to.endpoint);
                rotation.failed(End::Unreached);
            }
            seen.sort();
            assert_eq!(seen, ["a:1", "b:1", "c:1"]);
        }
    }

    #[test]
    fn a_hint_is_followed_at_once_but_not_in_circles() {
        let mut rotation = three();
        rotation.next();
        rotation.failed(names("d:1"));
        let hinted = rotation.next();
        assert_eq!((hinted.endpoint.as_str(), hinted.rest), ("d:1", Duration::ZERO));
        rotation.failed(names("d:1"));
        assert_ne!(rotation.next().endpoint, "d:1");
    }

    #[test]
    fn a_lost_stream_is_resumed_elsewhere_and_a_short_one_after_a_rest() {
        let mut rotation = three();
        let first = rotation.next().endpoint;
        rotation.lost(&first, STABLE_AFTER, End::Unreached);
        let second = rotation.next();
        assert_ne!(second.endpoint, first);
        assert!(second.rest.is_zero());
        let mut rested = Duration::ZERO;
        for _ in 0..50 {
            let to = rotation.next();
            rested += to.rest;
            rotation.lost(&to.endpoint, Duration::ZERO, names("d:1"));
        }
        assert!(rested > REST_MAX, "{rested:?}");
    }

    /// Where the next attempt goes, and whether that node is asked to pass on, and to whom.
    fn goes(rotation: &mut Rotation) -> (String, Option<String>) {
        let to = rotation.next();
        (to.endpoint, to.pass_on_to)
    }

    #[test]
    fn who_names_a_leader_that_cannot_be_reached_is_asked_to_pass_on() {
        let mut rotation = three();
        rotation.lost("a:1", STABLE_AFTER, End::Unreached);
        let (first, directly) = goes(&mut rotation);
        assert_eq!(directly, None);
        rotation.failed(names("a:1"));
        assert_eq!(goes(&mut rotation), (first.clone(), Some("a:1".into())));
        // It does not reach it either. Nor does the next, who names somebody else at first.
        rotation.failed(names("a:1"));
        let (second, directly) = goes(&mut rotation);
        assert!(second != first && second != "a:1" && directly.is_none());
        rotation.failed(names("d:1"));
        assert_eq!(goes(&mut rotation), ("d:1".into(), None));
        rotation.failed(End::Unreached);
        assert_eq!(goes(&mut rotation), (second, Some("d:1".into())));
        rotation.failed(End::Refused { leader: None });
        // Whoever answers can be reached.
        rotation.reaches("d:1");
        goes(&mut rotation);
        rotation.failed(names("d:1"));
        assert_eq!(goes(&mut rotation), ("d:1".into(), None));
    }

    #[test]
    fn a_round_with_detours_ends_with_a_rest() {
        let mut rotation = three();
        let (mut rested, mut detours) = (Duration::ZERO, 0);
        for _ in 0..200 {
            let to = rotation.next();
            rested += to.rest;
            detours += usize::from(to.pass_on_to.is_some());
            rotation.failed(if to.endpoint == "a:1" { End::Unreached } else { names("a:1") });
        }
        assert!(rested > REST_MAX, "{rested:?}");
        // Of five attempts in a round.
        assert!((70..=80).contains(&detours), "{detours}");
    }

    #[test]
    fn a_stream_that_was_passed_on_is_looked_for_where_it_was() {
        let mut rotation = three();
        rotation.lost("a:1", STABLE_AFTER, End::Unreached);
        rotation.lost_passed_on("b:1", STABLE_AFTER, End::Unreached);
        assert_eq!(goes(&mut rotation), ("b:1".into(), None));
        rotation.failed(names("a:1"));
        assert_eq!(goes(&mut rotation), ("b:1".into(), Some("a:1".into())));
        rotation.lost_passed_on("b:1", STABLE_AFTER, names("c:1"));
        assert_eq!(goes(&mut rotation), ("c:1".into(), None));
        rotation.failed(End::Unreached);
        assert_eq!(goes(&mut rotation), ("b:1".into(), Some("c:1".into())));
        rotation.reaches("c:1");
        rotation.lost_passed_on("b:1", STABLE_AFTER, names("c:1"));
        assert_eq!(goes(&mut rotation), ("c:1".into(), None));
    }

    #[test]
    fn a_detour_is_only_taken_on_a_word_of_this_round() {
        let mut rotation = three();
        rotation.lost("a:1", STABLE_AFTER, End::Unreached);
        // The two others, directly and as detours.
        for _ in 0..4 {
            rotation.next();
            rotation.failed(names("a:1"));
        }
        rotation.next();
        assert_eq!(rotation.tried.len(), 1, "another round");
        rotation.failed(End::Unreached);
        assert_eq!(rotation.next().pass_on_to, None);
    }

    #[test]
    fn who_was_not_reached_comes_last() {
        let mut rotation = three();
        rotation.lost("a:1", STABLE_AFTER, End::Unreached);
        rotation.lost_passed_on("b:1", STABLE_AFTER, End::Refused { leader: None });
        let mut first = [goes(&mut rotation).0, goes(&mut rotation).0];
        first.sort();
        assert_eq!(first, ["b:1", "c:1"]);
        assert_eq!(goes(&mut rotation).0, "a:1");
    }
}
