//! Spans of time as people write them: `500ms`, `1.5s`, `2m`, `1h 30m`, `7d`.

use std::time::Duration;

/// Reads numbers with their units, the largest unit first: also whatever [`show`] writes.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    read(text)
        .map(Duration::from_millis)
        .ok_or_else(|| "give a number with a unit, such as 500ms, 5s, 2m, 1h, 7d or 1h30m".into())
}

/// The same, if it is any time at all.
pub(crate) fn parse_some(text: &str) -> Result<Duration, String> {
    let time = parse(text)?;
    if time.is_zero() { Err("give more than nothing, such as 2s".into()) } else { Ok(time) }
}

fn read(text: &str) -> Option<u64> {
    let (mut rest, mut sum_ms, mut smaller_than) = (text, 0_u64, u64::MAX);
    loop {
        let (number, from_unit) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic())?);
        let end = from_unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(from_unit.len());
        let (unit, next) = from_unit.split_at(end);
        let unit_ms = unit_ms(unit).filter(|ms| *ms < smaller_than)?;
        sum_ms = sum_ms.checked_add(times(number, unit_ms)?)?;
        (rest, smaller_than) = (next.trim_start_matches(' '), unit_ms);
        if rest.is_empty() {
            return Some(sum_ms);
        }
    }
}

fn unit_ms(unit: &str) -> Option<u64> {
    match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    }
}

/// So many of a unit, perhaps with a fraction, if those are whole milliseconds.
fn times(number: &str, unit_ms: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten()
    };
    let parts = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction_ms = digits(fraction)?.checked_mul(unit_ms)?;
    if fraction_ms % parts != 0 {
        return None;
    }
    digits(whole)?.checked_mul(unit_ms)?.checked_add(fraction_ms / parts)
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
        check("5d", Some(432_000_000));
        check("1.5s", Some(1_500));
        check("0.25h", Some(900_000));
        check("1h30m", Some(5_400_000));
        check("1h 0m 2s", Some(3_602_000));
        check("5 s", None);
        check("5s5", None);
        check("5s 5s", None);
        check("5s 1m", None);
        check("1.s", None);
        check(".5s", None);
        check("1.+5s", None);
        check("0.5ms", None);
        check("18446744073709551615h", None);
        check("99999999999999999999ms", None);
        check("18446744073709551615ms 1ms", None);
        assert_eq!(parse_some("1ms"), Ok(Duration::from_millis(1)));
        assert!(parse_some("0s").is_err());
    }

    #[test]
    fn what_is_shown_can_be_typed_back() {
        for ms in [0, 999, 1_250, 30_000, 59_999, 61_000, 300_000, 3_660_000, 90_000_000, u64::MAX]
        {
            let shown = show(ms);
            assert_eq!(parse(&shown).map(super::ms).map(show), Ok(shown.clone()), "{shown}");
        }
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
