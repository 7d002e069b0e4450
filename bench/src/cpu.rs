//! CPU time of server processes, from `/proc/PID/stat`.

use std::fs;
use std::time::Duration;

/// CPU time, user and system, that the process has used so far. `None` if it is gone.
pub(crate) fn time_of(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&stat, rustix::param::clock_ticks_per_second())
}

/// utime and stime are fields 14 and 15. Field 2 is the program's name in parentheses and may
/// itself hold spaces and parentheses, so counting starts behind the last one.
fn parse_stat(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user_ticks: u64 = fields.next()?.parse().ok()?;
    let system_ticks: u64 = fields.next()?.parse().ok()?;
    let ticks = user_ticks + system_ticks;
    Some(Duration::from_micros(ticks * 1_000_000 / ticks_per_second))
}

/// A reading of every server of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuReading(Vec<Option<Duration>>);

impl CpuReading {
    pub(crate) fn take(pids: &[u32]) -> Self {
        Self(pids.iter().map(|pid| time_of(*pid)).collect())
    }

    /// What each server used since `earlier`. Zero for one that was not there both times.
    pub(crate) fn since(&self, earlier: &Self) -> Vec<Duration> {
        let pairs = self.0.iter().zip(&earlier.0);
        pairs
            .map(|(now, then)| match (now, then) {
                (Some(now), Some(then)) => now.saturating_sub(*then),
                _ => Duration::ZERO,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_the_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 9 0";
        for name in ["etcd", "a b", "odd) (name", ")"] {
            let line = format!("42 ({name}) {rest}");
            assert_eq!(parse_stat(&line, 100), Some(Duration::from_secs(2)), "{line}");
        }
    }

    #[test]
    fn a_broken_stat_line_is_nothing() {
        for line in ["", "42 (etcd", "42 (etcd) S 1 2", "42 (e) S 1 2 3 4 5 6 7 8 9 10 x y"] {
            assert_eq!(parse_stat(line, 100), None, "{line}");
        }
    }

    #[test]
    fn this_process_has_used_some_time() {
        assert!(time_of(std::process::id()).is_some());
        assert_eq!(time_of(u32::MAX), None);
    }

    #[test]
    fn a_server_that_was_restarted_counts_as_zero() {
        let then = CpuReading(vec![Some(Duration::from_secs(1)), None]);
        let now = CpuReading(vec![Some(Duration::from_secs(3)), Some(Duration::from_secs(9))]);
        assert_eq!(now.since(&then), [Duration::from_secs(2), Duration::ZERO]);
    }
}
