//! Which events a watch is about.

use holdfast_proto::v1::{EventKind, WatchEvent, WatchFilter};

/// Some kinds of events, of names with a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// One bit for each kind; all are set if none was named.
    kinds: u64,
    prefix: String,
}

impl Filter {
    /// Lets events of these kinds through, or of all if there are none, whose names begin with
    /// `prefix`.
    pub fn new(kinds: &[EventKind], prefix: impl Into<String>) -> Self {
        let kinds = match kinds {
            [] => u64::MAX,
            some => some.iter().fold(0, |bits, kind| bits | bit(*kind)),
        };
        Self { kinds, prefix: prefix.into() }
    }

    /// As a client said it.
    ///
    /// # Errors
    /// A kind is not known.
    pub fn parse(filter: WatchFilter) -> Result<Self, String> {
        let known = |number: &i32| match EventKind::try_from(*number) {
            Ok(EventKind::Unspecified) | Err(_) => {
                Err(format!("there is no kind of event with the number {number}"))
            }
            Ok(kind) => Ok(kind),
        };
        let kinds = filter.kinds.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::new(&kinds, filter.prefix))
    }

    fn lets_through(&self, kind: EventKind, name: &str) -> bool {
        self.kinds & bit(kind) != 0 && name.starts_with(&self.prefix)
    }
}

fn bit(kind: EventKind) -> u64 {
    // The largest number is 46.
    1 << (kind as i32 as u32 % 64)
}

/// Several filters: what any of them lets through is of interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filters(Vec<Filter>);

impl Filters {
    /// Lets through what any of `filters` does, or everything if there are none.
    pub fn new(filters: Vec<Filter>) -> Self {
        match filters.is_empty() {
            true => Self(vec![Filter::new(&[], "")]),
            false => Self(filters),
        }
    }

    /// Whether the event is of interest.
    pub fn want(&self, event: &WatchEvent) -> bool {
        self.0.iter().any(|filter| filter.lets_through(event.kind(), &event.name))
    }

    /// Whether an event of any of these kinds could be of interest, and under which prefixes.
    pub(super) fn prefixes_for(&self, kinds: &[EventKind]) -> Vec<&str> {
        let kinds = kinds.iter().fold(0, |bits, kind| bits | bit(*kind));
        let of_interest = self.0.iter().filter(|filter| filter.kinds & kinds != 0);
        let mut prefixes: Vec<&str> = of_interest.map(|filter| filter.prefix.as_str()).collect();
        prefixes.sort_unstable();
        // One that begins with another is covered by it.
        prefixes.dedup_by(|longer, shorter| longer.starts_with(*shorter));
        prefixes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind, name: &str) -> WatchEvent {
        WatchEvent { kind: kind.into(), name: name.into(), ..WatchEvent::default() }
    }

    #[test]
    fn any_filter_may_let_an_event_through() {
        let filters = Filters::new(vec![
            Filter::new(&[EventKind::LockGranted, EventKind::LockReleased], "jobs/"),
            Filter::new(&[EventKind::MessageDied], ""),
        ]);
        assert!(filters.want(&event(EventKind::LockGranted, "jobs/1")));
        assert!(!filters.want(&event(EventKind::LockGranted, "job")));
        assert!(!filters.want(&event(EventKind::LockForced, "jobs/1")));
        assert!(filters.want(&event(EventKind::MessageDied, "anything")));
        assert!(!filters.want(&event(EventKind::SessionOpened, "")));
        let all = Filters::new(Vec::new());
        assert!(all.want(&event(EventKind::SessionOpened, "")));
        assert!(all.want(&event(EventKind::EntryEvicted, "x")));
    }

    #[test]
    fn prefixes_that_others_cover_are_left_out() {
        let prefixes = ["b/c", "a", "b/", "ab", "b/"];
        let filters = Filters::new(prefixes.map(|prefix| Filter::new(&[], prefix)).to_vec());
        assert_eq!(filters.prefixes_for(&[EventKind::LockGranted]), ["a", "b/"]);
        let locks = Filters::new(vec![Filter::new(&[EventKind::LockGranted], "a")]);
        assert!(locks.prefixes_for(&[EventKind::EntryPut]).is_empty());
    }

    #[test]
    fn a_kind_that_is_none_is_refused() {
        for number in [0, 9, 64, -1] {
            let filter = WatchFilter { kinds: vec![number], prefix: String::new() };
            assert!(Filter::parse(filter).is_err_and(|why| why.contains(&number.to_string())));
        }
    }
}
