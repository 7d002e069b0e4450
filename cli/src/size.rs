//! Sizes as people write them: `4096`, `64KiB`, `1MiB`, `2GiB`.

/// The units, the smallest first.
const UNITS: [(&str, u64); 4] =
    [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// Reads a whole number of bytes, or of a unit.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit_bytes = match unit {
        "" => Some(1),
        unit => UNITS.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes),
    };
    let bytes =
        number.parse::<u64>().ok().zip(unit_bytes).and_then(|(n, unit)| n.checked_mul(unit));
    bytes.ok_or_else(|| "give a whole number of bytes, or with KiB, MiB or GiB".into())
}

/// Writes a size in its largest unit, as tables show it.
pub(crate) fn show(bytes: u64) -> String {
    let unit = UNITS.iter().rev().find(|(_, unit)| bytes >= *unit);
    match unit {
        None => format!("{bytes} B"),
        Some((name, unit)) => {
            // Split, so that the tenth is exact and nothing overflows.
            let (whole, rest) = (bytes / unit, bytes % unit);
            format!("{whole}.{} {name}", rest * 10 / unit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let check =
            |text: &str, expect: Option<u64>| assert_eq!(parse(text).ok(), expect, "{text}");
        check("0", Some(0));
        check("4096", Some(4096));
        check("64KiB", Some(65_536));
        check("1GiB", Some(1 << 30));
        check("", None);
        check("KiB", None);
        check("1 KiB", None);
        check("1kb", None);
        check("-1", None);
        check("1.5MiB", None);
        check("99999999TiB", None);
    }

    #[test]
    fn sizes_are_shown() {
        let check = |bytes: u64, expect: &str| assert_eq!(show(bytes), expect);
        check(0, "0 B");
        check(1_023, "1023 B");
        check(1_024, "1.0 KiB");
        check(1_572_864, "1.5 MiB");
        check(u64::MAX, "16777215.9 TiB");
    }
}
