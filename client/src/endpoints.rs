//! Which node to try next, and how long to rest before.
//!
//! A *round* tries every endpoint once, without a pause, and a leader's hint at once when it names
//! a node that this round has not tried. After a round without success comes a rest: exponential,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) endpoint: String,
    pub(crate) rest: Duration,
}

/// The order in which endpoints are tried.
#[derive(Debug)]
pub(crate) struct Rotation {
    endpoints: VecDeque<String>,
    hint: Option<String>,
    tried: Vec<String>,
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
        Self { endpoints, hint: None, tried: Vec::new(), failed_rounds: 0, must_rest: false, rng }
    }

    /// Chooses the next node to try.
    pub(crate) fn next(&mut self) -> Destination {
        let hint = self.hint.take().filter(|hint| !self.tried.contains(hint));
        let rest = if std::mem::take(&mut self.must_rest) { self.rest() } else { Duration::ZERO };
        if let Some(endpoint) = hint.or_else(|| self.untried()) {
            return self.go(endpoint, rest);
        }
        self.tried.clear();
        let rest = self.rest();
        let endpoint = self.rotate();
        self.go(endpoint, rest)
    }

    /// The last attempt failed; perhaps the node said who leads.
    pub(crate) fn failed(&mut self, leader: Option<String>) {
        self.hint = leader;
    }

    /// A stream that had been up for `lived` is gone; perhaps the node said who leads.
    pub(crate) fn lost(&mut self, endpoint: &str, lived: Duration, leader: Option<String>) {
        self.hint = leader;
        self.tried.clear();
        self.tried.push(endpoint.to_owned());
        if lived >= STABLE_AFTER {
            self.failed_rounds = 0;
        } else {
            self.must_rest = true;
        }
    }

    fn untried(&mut self) -> Option<String> {
        for _ in 0..self.endpoints.len() {
            let endpoint = self.rotate();
            if !self.tried.contains(&endpoint) {
                return Some(endpoint);
            }
        }
        None
    }

    fn go(&mut self, endpoint: String, rest: Duration) -> Destination {
        self.tried.push(endpoint.clone());
        Destination { endpoint, rest }
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
                rotation.failed(None);
            }
            seen.sort();
            assert_eq!(seen, ["a:1", "b:1", "c:1"]);
        }
    }

    #[test]
    fn a_hint_is_followed_at_once_but_not_in_circles() {
        let mut rotation = three();
        rotation.next();
        rotation.failed(Some("d:1".into()));
        let hinted = Destination { endpoint: "d:1".into(), rest: Duration::ZERO };
        assert_eq!(rotation.next(), hinted);
        rotation.failed(Some("d:1".into()));
        assert_ne!(rotation.next().endpoint, "d:1");
    }

    #[test]
    fn a_lost_stream_is_resumed_elsewhere_and_a_short_one_after_a_rest() {
        let mut rotation = three();
        let first = rotation.next().endpoint;
        rotation.lost(&first, STABLE_AFTER, None);
        let second = rotation.next();
        assert_ne!(second.endpoint, first);
        assert!(second.rest.is_zero());
        let mut rested = Duration::ZERO;
        for _ in 0..50 {
            let to = rotation.next();
            rested += to.rest;
            rotation.lost(&to.endpoint, Duration::ZERO, Some("d:1".into()));
        }
        assert!(rested > REST_MAX, "{rested:?}");
    }
}
