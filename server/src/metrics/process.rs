//! What the kernel says of this process. Where it says nothing, nothing is said.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::catalog;
use super::registry::{Origin, Registry};

/// Says how the process is.
pub(super) fn tell(registry: &Registry) {
    let gauge = |family, value: Option<f64>| {
        if let Some(value) = value {
            registry.gauge(family, &[]).set(value);
        }
    };
    gauge(&catalog::PROCESS_MEMORY, status_field("VmRSS:").map(|kib| kib * 1_024.0));
    gauge(&catalog::PROCESS_THREADS, status_field("Threads:"));
    let descriptors = std::fs::read_dir("/proc/self/fd").ok();
    // One of them is the directory that is being read.
    gauge(&catalog::PROCESS_FDS, descriptors.map(|fds| fds.count().saturating_sub(1) as f64));
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    gauge(&catalog::PROCESS_MAX_FDS, limit.map(|limit| limit as f64));
    gauge(&catalog::PROCESS_START, Some(began().as_secs_f64()));
}

/// Time on a processor, as text, because it is a counter with fractions.
pub(super) fn processor_text(origin: &Origin) -> String {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = used.tv_sec as f64 + used.tv_nsec as f64 / 1e9;
    let (name, help) = (catalog::PROCESS_CPU.name, catalog::PROCESS_CPU.help);
    let Origin { cluster, node } = origin;
    let labels = format!("{{cluster=\"{cluster}\",node=\"{node}\"}}");
    format!("# HELP {name} {help}\n# TYPE {name} counter\n{name}{labels} {seconds}\n\n")
}

/// A number of `/proc/self/status`.
fn status_field(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// When the process began, since 1970. The clock is read once, so that setting it changes nothing.
fn began() -> Duration {
    static BEGAN: OnceLock<Duration> = OnceLock::new();
    *BEGAN.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(age().unwrap_or_default())
    })
}

/// How long the process runs: field 22 of its `stat` is when it began, in ticks since the boot.
fn age() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let ticks: f64 = after_name.split_whitespace().nth(19)?.parse().ok()?;
    let began = ticks / rustix::param::clock_ticks_per_second() as f64;
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let up = boot.tv_sec as f64 + boot.tv_nsec as f64 / 1e9;
    Duration::try_from_secs_f64(up - began).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_young_and_small() {
        assert!(age().is_some_and(|age| age < Duration::from_secs(3_600)), "{:?}", age());
        let kib = status_field("VmRSS:").expect("Linux says it");
        assert!(kib > 1_000.0 && kib < 10e6, "{kib}");
        let origin = Origin::of(&crate::Settings::default());
        let registry = Registry::new(&origin);
        tell(&registry);
        let text = registry.text() + &processor_text(&origin);
        for family in ["process_open_fds{", "process_max_fds{", "process_cpu_seconds_total{"] {
            assert!(text.contains(&format!("\n{family}")), "{family} in {text}");
        }
    }
}
