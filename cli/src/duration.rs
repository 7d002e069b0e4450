//! Spans of time as people write them: `500ms`, `5s`, `2m`, `1h`.

use std::time::Duration;

/// Reads a whole number and a unit.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let ms = number.parse::<u64>().ok().zip(unit_ms).and_then(|(n, ms)| n.checked_mul(ms));
    ms.map(Duration::from_millis)
        .ok_or_else(|| "give a whole number with a unit, such as 500ms, 5s, 2m or 1h".into())
}

/// A span as a number of milliseconds.
pub(crate) fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Writes a span in its two largest units, as tables show it.
pub(crate) fn show(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0 => format!("{ms}ms"),
        1..60 => format!("{}.{}s", seconds, ms % 1_000 / 100),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(parse(text).ok(), expect.map(Duration::from_millis), "{text:?}");
        };
        check("500ms", Some(500));
        check("0s", Some(0));
        check("5s", Some(5_000));
        check("2m", Some(120_000));
        check("1h", Some(3_600_000));
        check("5", None);
        check("s", None);
        check("", None);
        check("-1s", None);
        check("1.5s", None);
        check("5 s", None);
        check("5d", None);
        check("18446744073709551615h", None);
        check("99999999999999999999ms", None);
    }

    #[test]
    fn spans_are_shown() {
        let check = |ms: u64, expect: &str| assert_eq!(show(ms), expect);
        check(0, "0ms");
        check(999, "999ms");
        check(1_250, "1.2s");
        check(59_999, "59.9s");
        check(61_000, "1m 1s");
        check(3_660_000, "1h 1m");
        check(90_000_000, "1d 1h");
    }
}
