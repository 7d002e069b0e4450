//! From rounds to rows: what one round showed, medians over rounds, and the row that is published.

use std::time::Duration;

use serde::Serialize;

use crate::load::Tally;
use crate::works::{Cell, Shape, Work};

/// The figures of one round, or the medians of several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// All servers together.
    pub(crate) cpu_us_per_op: f64,
    /// The server that led when the round began.
    pub(crate) leader_cpu_us_per_op: f64,
    /// What the servers answered to all clients together, if somebody counts.
    pub(crate) replies_per_op: Option<f64>,
}

/// CPU time of the servers during a window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CpuUse {
    pub(crate) all: Duration,
    pub(crate) leader: Duration,
}

/// One row of the results. The names of the fields are read by others: charts, notebooks, CI.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) work: Work,
    pub(crate) system: String,
    pub(crate) version: String,
    pub(crate) durability: String,
    pub(crate) shape: Shape,
    pub(crate) clients: usize,
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) cpu_us_per_op: f64,
    pub(crate) leader_cpu_us_per_op: f64,
    /// Answers that the servers sent to all clients, if somebody counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replies_per_op: Option<f64>,
    /// Ops that failed, over all rounds. They are in no other figure.
    pub(crate) errors: u64,
    /// Rounds in which the leader changed. They are in the medians.
    pub(crate) elections: u64,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
}

/// Who a row is about.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) system: String,
    pub(crate) version: String,
    pub(crate) durability: String,
}

/// What went wrong, over all rounds of a cell.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Troubles {
    pub(crate) errors: u64,
    pub(crate) elections: u64,
}

impl Figures {
    pub(crate) fn of_round(
        tally: &Tally,
        window: Duration,
        cpu: CpuUse,
        replies: Option<u64>,
    ) -> Self {
        // Counts and microseconds are far below 2^53.
        let ops = tally.ops() as f64;
        let per_op = |time: Duration| time.as_secs_f64() * 1e6 / ops.max(1.0);
        let quantile = |q| tally.latency_ns.value_at_quantile(q) as f64 / 1e3;
        Self {
            ops_per_s: ops / window.as_secs_f64(),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            cpu_us_per_op: per_op(cpu.all),
            leader_cpu_us_per_op: per_op(cpu.leader),
            replies_per_op: replies.map(|replies| replies as f64 / ops.max(1.0)),
        }
    }

    /// Each figure's own median.
    pub(crate) fn medians(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        let replies: Vec<_> = rounds.iter().filter_map(|round| round.replies_per_op).collect();
        Self {
            ops_per_s: of(|round| round.ops_per_s),
            p50_us: of(|round| round.p50_us),
            p99_us: of(|round| round.p99_us),
            p999_us: of(|round| round.p999_us),
            cpu_us_per_op: of(|round| round.cpu_us_per_op),
            leader_cpu_us_per_op: of(|round| round.leader_cpu_us_per_op),
            replies_per_op: (!replies.is_empty()).then(|| median(replies)),
        }
    }
}

impl Row {
    pub(crate) fn new(
        subject: Subject,
        cell: Cell,
        rounds: &[Figures],
        troubles: Troubles,
        window: Duration,
    ) -> Self {
        let figures = Figures::medians(rounds);
        Self {
            work: cell.work,
            system: subject.system,
            version: subject.version,
            durability: subject.durability,
            shape: cell.shape,
            clients: cell.clients,
            ops_per_s: tenths(figures.ops_per_s),
            p50_us: thousandths(figures.p50_us),
            p99_us: thousandths(figures.p99_us),
            p999_us: thousandths(figures.p999_us),
            cpu_us_per_op: tenths(figures.cpu_us_per_op),
            leader_cpu_us_per_op: tenths(figures.leader_cpu_us_per_op),
            replies_per_op: figures.replies_per_op.map(tenths),
            errors: troubles.errors,
            elections: troubles.elections,
            rounds: rounds.len(),
            seconds: window.as_secs_f64(),
        }
    }

    pub(crate) fn cell(&self) -> Cell {
        Cell { work: self.work, shape: self.shape, clients: self.clients }
    }
}

/// The middle value; between two middle ones, their mean. Zero of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// More digits than one would be noise.
fn thousandths(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

pub(crate) fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let table: [(&[f64], f64); 5] = [
            (&[], 0.0),
            (&[3.0], 3.0),
            (&[9.0, 1.0], 5.0),
            (&[9.0, 1.0, 2.0], 2.0),
            (&[4.0, 1.0, 100.0, 2.0], 3.0),
        ];
        for (values, expected) in table {
            assert!((median(values.to_vec()) - expected).abs() < 1e-9, "{values:?}");
        }
    }

    #[test]
    fn each_figure_has_its_own_median() {
        let round = |ops_per_s, p50_us| Figures { ops_per_s, p50_us, ..Figures::default() };
        let medians = Figures::medians(&[round(10.0, 7.0), round(30.0, 9.0), round(20.0, 8.0)]);
        assert_eq!(medians, round(20.0, 8.0));
    }

    #[test]
    fn a_round_without_ops_has_figures_too() {
        let cpu = CpuUse { all: Duration::from_millis(30), leader: Duration::from_millis(20) };
        let figures = Figures::of_round(&Tally::new(), Duration::from_secs(1), cpu, None);
        assert!(figures.ops_per_s.abs() < 1e-9 && figures.cpu_us_per_op.is_finite());
    }
}
