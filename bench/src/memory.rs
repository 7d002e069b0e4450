//! Memory of server processes, from `/proc/PID/status`.

use std::fs;

/// Resident memory of the process, in kilobytes. `None` if it is gone.
pub(crate) fn resident_kb(pid: u32) -> Option<u64> {
    parse(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_set_is_found() {
        assert_eq!(parse("Name:\tx\nVmRSS:\t   1234 kB\nThreads:\t1\n"), Some(1_234));
        assert_eq!(parse("Name:\tx\n"), None);
        assert!(resident_kb(std::process::id()).is_some_and(|kb| kb > 0));
        assert_eq!(resident_kb(u32::MAX), None);
    }
}
