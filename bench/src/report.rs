//! What the user gets: a table on standard output, and rows as JSON in a file.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::error::BenchError;
use crate::stats::Row;
use crate::systems::{Holdfast, System};

const COLUMNS: [&str; 12] = [
    "work",
    "shape",
    "clients",
    "system",
    "ops/s",
    "p50",
    "p99",
    "p99.9",
    "cpu us/op",
    "leader us/op",
    "replies/op",
    "ratio",
];
/// Columns that hold words, and are aligned to the left.
const WORDS: [usize; 3] = [0, 1, 3];

/// The table of all rows. `ratio` stands in a peer's row: ours over theirs, in the same cell.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines = vec![COLUMNS.map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        [
            row.work.name().to_owned(),
            row.shape.name().to_owned(),
            row.clients.to_string(),
            row.system.clone(),
            thousands(row.ops_per_s),
            latency(row.p50_us),
            latency(row.p99_us),
            latency(row.p999_us),
            format!("{:.1}", row.cpu_us_per_op),
            format!("{:.1}", row.leader_cpu_us_per_op),
            row.replies_per_op.map(|replies| format!("{replies:.1}")).unwrap_or_default(),
            ratio(row, rows),
        ]
    }));
    align(&lines)
}

/// Every system with its version and what its acknowledgement promises; failures and elections,
/// if any.
pub(crate) fn notes(rows: &[Row]) -> String {
    let mut notes: Vec<String> = Vec::new();
    for row in rows {
        let note = format!("{} {}: {}", row.system, row.version, row.durability);
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    for row in rows.iter().filter(|row| row.errors > 0) {
        notes.push(format!(
            "{}, {}: {} ops failed and are in no figure",
            row.system,
            row.cell(),
            row.errors
        ));
    }
    for row in rows.iter().filter(|row| row.elections > 0) {
        notes.push(format!(
            "{}, {}: the leader changed in {} of {} rounds, which are in the medians",
            row.system,
            row.cell(),
            row.elections,
            row.rounds
        ));
    }
    notes.join("\n")
}

/// Writes `value` as JSON, indented.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), BenchError> {
    let written = serde_json::to_string_pretty(value)
        .map_err(std::io::Error::from)
        .and_then(|json| fs::write(path, json + "\n"));
    written.map_err(|source| BenchError::Write { path: path.to_owned(), source })?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// Refuses a path that cannot be written before time is spent on figures for it. What is there
/// stays as it is until there are new figures.
pub(crate) fn check_writable(path: Option<&Path>) -> Result<(), BenchError> {
    let Some(path) = path else { return Ok(()) };
    let was_there = path.exists();
    let opened = fs::OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|source| BenchError::Write { path: path.to_owned(), source })?;
    if !was_there {
        let _ = fs::remove_file(path);
    }
    Ok(())
}

fn ratio(row: &Row, rows: &[Row]) -> String {
    let ours =
        rows.iter().find(|other| other.system == Holdfast::NAME && other.cell() == row.cell());
    match ours {
        Some(ours) if row.system != Holdfast::NAME && row.ops_per_s > 0.0 => {
            format!("{:.1}x", ours.ops_per_s / row.ops_per_s)
        }
        _ => String::new(),
    }
}

fn align<const N: usize>(lines: &[[String; N]]) -> String {
    let widths: Vec<_> = (0..N)
        .map(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0))
        .collect();
    let mut table = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate();
        let cells: Vec<_> = cells
            .map(|(column, (cell, &width))| match WORDS.contains(&column) {
                true => format!("{cell:<width$}"),
                false => format!("{cell:>width$}"),
            })
            .collect();
        table.push_str(cells.join("  ").trim_end());
        table.push('\n');
    }
    table
}

/// A whole number with commas.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Microseconds in the unit that people would choose.
pub(crate) fn latency(micros: f64) -> String {
    match micros {
        tiny if 0.0 < tiny && tiny < 10.0 => format!("{:.0} ns", tiny * 1e3),
        short if short < 1_000.0 => format!("{short:.0} us"),
        middle if middle < 10_000.0 => format!("{:.2} ms", middle / 1e3),
        long if long < 1_000_000.0 => format!("{:.1} ms", long / 1e3),
        huge => format!("{:.2} s", huge / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::works::{Shape, Work};

    fn row(system: &str, clients: usize, ops_per_s: f64) -> Row {
        Row {
            work: Work::Lock,
            system: system.to_owned(),
            version: "1.2".to_owned(),
            durability: "fsync".to_owned(),
            shape: Shape::Shared,
            clients,
            ops_per_s,
            p50_us: 950.0,
            p99_us: 7_900.0,
            p999_us: 24_000.0,
            cpu_us_per_op: 12.5,
            leader_cpu_us_per_op: 5.0,
            replies_per_op: (system == "holdfast").then_some(2.0),
            errors: 0,
            elections: 0,
            rounds: 3,
            seconds: 5.0,
        }
    }

    #[test]
    fn the_table_is_aligned_and_compares_cell_by_cell() {
        let rows =
            [row("holdfast", 64, 57_000.0), row("etcd", 64, 3_561.0), row("etcd", 256, 5_773.0)];
        let expected = "\
work  shape   clients  system     ops/s     p50      p99    p99.9  cpu us/op  \
            leader us/op  replies/op  ratio
lock  shared       64  holdfast  57,000  950 us  7.90 ms  24.0 ms       12.5           \
            5.0         2.0
lock  shared       64  etcd       3,561  950 us  7.90 ms  24.0 ms       12.5           \
            5.0              16.0x
lock  shared      256  etcd       5,773  950 us  7.90 ms  24.0 ms       12.5           5.0
";
        assert_eq!(table(&rows), expected);
    }

    #[test]
    fn notes_name_each_system_once_and_every_failure() {
        let mut failed = row("etcd", 64, 1.0);
        (failed.errors, failed.elections) = (7, 1);
        let notes = notes(&[row("etcd", 1, 1.0), failed]);
        let expected = "etcd 1.2: fsync\n\
                        etcd, lock, shared, 64 clients: 7 ops failed and are in no figure\n\
                        etcd, lock, shared, 64 clients: the leader changed in 1 of 3 rounds, \
                        which are in the medians";
        assert_eq!(notes, expected);
    }

    #[test]
    fn json_has_the_published_fields() {
        let json = serde_json::to_value([row("etcd", 1, 10.0)]).unwrap();
        for field in [
            "work",
            "system",
            "version",
            "durability",
            "shape",
            "clients",
            "ops_per_s",
            "p50_us",
            "p99_us",
            "p999_us",
            "cpu_us_per_op",
            "errors",
            "elections",
        ] {
            assert!(json[0].get(field).is_some(), "{field}");
        }
        assert_eq!(json[0]["work"], "lock");
        assert_eq!(json[0]["shape"], "shared");
    }

    #[test]
    fn numbers_for_people() {
        for (value, expected) in
            [(0.4, "0"), (999.0, "999"), (1e3, "1,000"), (1234567.0, "1,234,567")]
        {
            assert_eq!(thousands(value), expected);
        }
        for (value, expected) in [(0.0, "0 us"), (1_500.0, "1.50 ms"), (2.5e6, "2.50 s")] {
            assert_eq!(latency(value), expected);
        }
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let error = check_writable(Some(Path::new("/no/such/file.json"))).unwrap_err();
        assert!(error.to_string().contains("/no/such/file.json"), "{error}");
    }
}
