//! File descriptors: every connection takes one, and so does every file of the log. A node without
//! any left could not go on with its log, and an error of the disk is final.

use rustix::process::{Resource, getrlimit, setrlimit};

/// So many are kept for files, for peers, and for whoever looks at the metrics.
const RESERVED: u64 = 256;

/// Lets this process have as many descriptors as it may, and says how many that are. `None`: as
/// many as it likes.
pub(crate) fn raise() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(e) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!("the limit on file descriptors cannot be raised: {e}");
    }
    getrlimit(Resource::Nofile).current
}

/// How many clients may be connected, if `wanted` is what the settings say. A log line says so if
/// that is less.
pub(crate) fn connections_max(wanted: usize, limit: Option<u64>) -> usize {
    let Some(limit) = limit else { return wanted };
    let left = usize::try_from(limit - reserved(limit)).unwrap_or(usize::MAX);
    if left >= wanted {
        return wanted;
    }
    tracing::warn!(
        "connections_max is {wanted}, and the process may have {limit} file descriptors: {left} \
         clients may be connected at once; raise the limit (LimitNOFILE in systemd, `ulimit -Hn` \
         in a shell) or lower connections_max"
    );
    left
}

/// How many are not for clients. Where there are few, half of them.
fn reserved(limit: u64) -> u64 {
    RESERVED.min(limit / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_descriptors_for_the_log() {
        for (wanted, limit, allowed) in [
            (16_384, None, 16_384),
            (16_384, Some(1 << 20), 16_384),
            (16_384, Some(16_640), 16_384),
            (16_384, Some(16_639), 16_383),
            (16_384, Some(1_024), 768),
            (500, Some(1_024), 500),
            (16_384, Some(100), 50),
        ] {
            assert_eq!(connections_max(wanted, limit), allowed, "{wanted} of {limit:?}");
        }
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        assert_eq!(raise(), getrlimit(Resource::Nofile).maximum);
    }
}
