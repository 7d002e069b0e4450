//! What some settings that are texts must look like.

use tracing_subscriber::EnvFilter;

/// Whether it can name a cluster.
pub(super) fn is_label(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Origins of web pages, separated by commas; `None` if one of them is none.
pub(super) fn origins(text: &str) -> Option<Vec<String>> {
    let all: Vec<String> = text.split(',').filter(|one| !one.is_empty()).map(Into::into).collect();
    let is_origin = |one: &String| {
        let authority = one.strip_prefix("https://").or_else(|| one.strip_prefix("http://"));
        one == "*" || authority.is_some_and(|a| !a.is_empty() && !a.contains(['/', ' ']))
    };
    all.iter().all(is_origin).then_some(all)
}

/// Whether it says which log lines are written.
pub(super) fn is_filter(text: &str) -> bool {
    !text.is_empty() && EnvFilter::try_new(text).is_ok()
}
