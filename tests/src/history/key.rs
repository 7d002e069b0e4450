//! The operations on one key made ready for the search, and what the search found in words.

use std::collections::{BTreeMap, BTreeSet};

use super::register::{Act, Register, Step, Value};
use super::{Came, Operation, What};

/// So many operations before the one that cannot be explained are told along with it.
const TOLD: usize = 12;

/// What became of a search.
pub(super) enum Judgement {
    Explained,
    Wrong(String),
    GivenUp,
}

/// Searches for an order of the operations on one key.
pub(super) fn judge(operations: &[&Operation], lost: &BTreeSet<u64>, steps_max: u64) -> Judgement {
    let key = Key::new(operations, lost);
    match Register::has_order(&key.until(u64::MAX), steps_max) {
        Some(true) => Judgement::Explained,
        None => Judgement::GivenUp,
        Some(false) => Judgement::Wrong(key.explain(steps_max)),
    }
}

struct Key<'a> {
    operations: &'a [&'a Operation],
    lost: &'a BTreeSet<u64>,
    /// Numbers of the values that somebody has read, or has expected to find.
    seen: BTreeMap<&'a str, u32>,
    /// Which value has which version.
    versions: BTreeMap<u64, &'a str>,
    has_numbers: bool,
    /// Somebody was told whether there is a value, whichever it is.
    asks_for_presence: bool,
}

impl<'a> Key<'a> {
    fn new(operations: &'a [&'a Operation], lost: &'a BTreeSet<u64>) -> Self {
        let has_numbers = operations.iter().any(|o| matches!(o.what, What::Add { .. }));
        // What goes by itself leaves nothing behind, whether anybody saw it or not.
        let asks_for_presence = operations.iter().any(|operation| match operation.what {
            What::Delete | What::Add { .. } | What::CompareAndPut { .. } => true,
            What::Put { ttl, .. } => ttl.is_some(),
            What::Get | What::WriteBack { .. } | What::Flush => false,
        });
        let mut versions = BTreeMap::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for operation in operations {
            match (&operation.what, &operation.came) {
                (_, Came::Read(Some((version, value)))) => {
                    versions.insert(*version, value.as_str());
                    seen.insert(value);
                }
                (
                    What::Put { value, .. } | What::CompareAndPut { value, .. },
                    Came::Written(version),
                ) => {
                    versions.insert(*version, value.as_str());
                }
                _ => {}
            }
            // What goes by itself must be told from what does not.
            if let What::Put { value, ttl: Some(_) }
            | What::CompareAndPut { value, ttl: Some(_), .. } = &operation.what
            {
                seen.insert(value);
            }
        }
        for operation in operations {
            if let What::CompareAndPut { version, .. } = &operation.what {
                seen.extend(versions.get(version));
            }
        }
        let seen = seen.into_iter().zip(0..).collect();
        Self { operations, lost, seen, versions, has_numbers, asks_for_presence }
    }

    fn value(&self, text: &str) -> Value {
        match (self.has_numbers, text.parse(), self.seen.get(text)) {
            (true, Ok(number), _) => Value::Number(number),
            (_, _, Some(number)) => Value::Seen(*number),
            _ => Value::Unseen,
        }
    }

    /// The value of a version; a version that nobody has heard of is that of no value.
    fn version(&self, version: u64) -> Option<Value> {
        if version == 0 {
            return Some(Value::Nothing);
        }
        self.versions.get(&version).map(|value| self.value(value))
    }

    /// A session is lost after whatever it has certainly written, so only the last of that may be
    /// lost by itself, with all that was not flushed before.
    fn may_be_lost(&self, operation: &Operation) -> bool {
        let by_same = self.operations.iter().filter(|o| o.session == operation.session);
        let mut later = by_same.filter(|o| {
            matches!(o.what, What::WriteBack { .. })
                && o.came == Came::Done
                && operation.end.is_some_and(|end| o.call > end)
        });
        self.lost.contains(&operation.session) && later.next().is_none()
    }

    /// All that has begun by then. What was not over by then is unknown.
    fn until(&self, time: u64) -> Vec<porcupine_rs::Operation<Register>> {
        let mut steps = Steps::default();
        let begun = || self.operations.iter().filter(|o| o.call <= time);
        // Whatever was read was written before.
        let mut read_by: BTreeMap<&str, u64> = BTreeMap::new();
        for operation in begun() {
            if let (Came::Read(Some((_, value))), Some(end)) = (&operation.came, operation.end)
                && end <= time
            {
                let first = read_by.entry(value).or_insert(end);
                *first = (*first).min(end);
            }
        }
        for operation in begun() {
            let end = operation.end.filter(|end| *end <= time);
            let came = if end.is_some() { &operation.came } else { &Came::Unknown };
            self.add(operation, came, end, &read_by, &mut steps);
        }
        steps.close()
    }

    fn add(
        &self,
        operation: &Operation,
        came: &Came,
        end: Option<u64>,
        read_by: &BTreeMap<&str, u64>,
        steps: &mut Steps,
    ) {
        let Operation { session, call, what, .. } = operation;
        let is_certain = *came != Came::Unknown;
        let act = match (what, came) {
            (_, Came::Failed) | (What::Get | What::Flush, Came::Unknown) => return,
            (What::Get, Came::Read(None)) => Act::Read(Value::Nothing),
            (What::Get, Came::Read(Some((_, value)))) => Act::Read(self.value(value)),
            (What::Put { value, .. }, _) => Act::Put(self.value(value)),
            (What::CompareAndPut { version, .. }, Came::Differed) => match self.version(*version) {
                Some(expected) => Act::Differ(expected),
                None => return,
            },
            (What::CompareAndPut { version, value, .. }, _) => {
                // That no version is expected which nobody was told of keeps this from guessing.
                let expected = self.version(*version).unwrap_or(Value::Number(i64::MIN));
                Act::CompareAndPut { expected, value: self.value(value) }
            }
            (What::Delete, Came::Deleted(existed)) => Act::Delete(Some(*existed)),
            (What::Delete, _) => Act::Delete(None),
            (What::Add { number }, Came::Sum(sum)) => Act::Add(*number, Some(*sum)),
            (What::Add { number }, _) => Act::Add(*number, None),
            (What::WriteBack { value }, _) => {
                Act::WriteBack(self.value(value), self.may_be_lost(operation))
            }
            (What::Flush, _) => Act::Flush,
            (What::Get, _) => return,
        };
        let written = match what {
            What::Put { value, ttl } | What::CompareAndPut { value, ttl, .. } => {
                Some((value, *ttl))
            }
            What::WriteBack { value } => Some((value, None)),
            What::Get | What::Delete | What::Add { .. } | What::Flush => None,
        };
        if let Some((value, Some(ttl))) = written
            && *came != Came::Differed
        {
            steps.add(*session, call + ttl, None, false, Act::Expire(self.value(value)));
        }
        let read_by = written.and_then(|(value, _)| read_by.get(value.as_str())).copied();
        // A value of unknown fate that nobody has seen explains nothing where nobody asks whether
        // there is a value at all.
        if !is_certain && read_by.is_none() && !self.asks_for_presence && written.is_some() {
            return;
        }
        match (is_certain, read_by) {
            (false, Some(read_by)) => {
                steps.add(*session, *call, Some(read_by.max(*call)), true, act);
            }
            _ => steps.add(*session, *call, end.filter(|_| is_certain), is_certain, act),
        }
    }

    /// The first end by which there is no order any more, and what came before.
    fn explain(&self, steps_max: u64) -> String {
        let mut ended: Vec<&Operation> = self.operations.to_vec();
        ended.retain(|o| o.end.is_some() && !matches!(o.came, Came::Unknown | Came::Failed));
        ended.sort_by_key(|operation| operation.end);
        let end_of = |at: usize| ended[at].end.unwrap_or(u64::MAX);
        let at = partition_point(ended.len(), |at| {
            Register::has_order(&self.until(end_of(at)), steps_max) != Some(false)
        });
        let Some(first) = ended.get(at) else {
            return "there is no order of its operations, though there is one of each part".into();
        };
        let call = first.call;
        let mut before: Vec<&Operation> = self.operations.to_vec();
        before.retain(|o| o.call <= end_of(at) && o.came != Came::Failed && *o != *first);
        // Those that are no reads, and then the last of them.
        before.retain(|o| o.what != What::Get || o.end.is_some_and(|end| end + 1 >= call));
        before.sort_by_key(|operation| operation.end.unwrap_or(operation.call));
        let before = &before[before.len().saturating_sub(TOLD)..];
        let before: Vec<String> = before.iter().map(|o| format!("\n      {o}")).collect();
        format!("no order explains this: {first}; before and beside it:{}", before.concat())
    }
}

/// The first number below `end` for which it does not hold, if from there on it never does.
fn partition_point(end: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[derive(Default)]
struct Steps {
    steps: Vec<porcupine_rs::Operation<Register>>,
    last: u64,
}

impl Steps {
    /// Without an end it may take effect at any later moment, or never.
    fn add(&mut self, session: u64, call: u64, end: Option<u64>, is_certain: bool, act: Act) {
        self.last = self.last.max(call).max(end.unwrap_or(0));
        let return_time = end.map_or(i64::MAX, time);
        let op = Step { session, is_certain, act };
        let (client_id, call_time, metadata) = (None, time(call), None);
        self.steps.push(porcupine_rs::Operation {
            client_id,
            call_time,
            return_time,
            op,
            metadata,
        });
    }

    fn close(mut self) -> Vec<porcupine_rs::Operation<Register>> {
        let end = self.last + 1;
        self.add(0, end, Some(end + 1), true, Act::Close);
        self.steps
    }
}

fn time(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX - 1)
}
