//! One key as porcupine sees it: a register that holds a value or nothing, or may hold one of
//! several, after the session of an owner was lost that had not flushed everything.

use std::cell::Cell;

use porcupine_rs::Model;

/// What may be in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value {
    Nothing,
    /// A value that somebody has read, by its number.
    Seen(u32),
    /// A value that nobody has ever read.
    Unseen,
    Number(i64),
}

/// What is done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Read(Value),
    Put(Value),
    CompareAndPut {
        expected: Value,
        value: Value,
    },
    /// There was something other than this.
    Differ(Value),
    /// With whether there was anything, if that was told.
    Delete(Option<bool>),
    /// With the sum, if that was told.
    Add(i64, Option<i64>),
    /// With whether it may be lost: nothing that came later has certainly been written.
    WriteBack(Value, bool),
    Flush,
    /// The value goes by itself, if it is this one.
    Expire(Value),
    /// Whatever has not taken effect yet never will.
    Close,
}

/// An act, and whether it has certainly taken effect.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) session: u64,
    pub(super) is_certain: bool,
    pub(super) act: Act,
}

/// What the register holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// The session that writes in its own memory.
    owner: Option<u64>,
    /// It may end without a word, and what it has not flushed is lost then.
    is_mortal: bool,
    /// What may be in the register. While there is an owner, the last is what it has written last,
    /// and the others are what may have been flushed.
    may_be: Vec<Value>,
    is_closed: bool,
}

impl State {
    fn is(value: Value) -> Self {
        Self::free(vec![value])
    }

    fn free(may_be: Vec<Value>) -> Self {
        Self { owner: None, is_mortal: false, may_be, is_closed: false }
    }

    /// What may be found there. An owner is asked for what it has written, unless it is gone.
    fn found(&self) -> &[Value] {
        match self.owner {
            Some(_) if !self.is_mortal => &self.may_be[self.may_be.len().saturating_sub(1)..],
            _ => &self.may_be,
        }
    }

    /// What is left of the possibilities.
    fn keep(&self, fits: impl Fn(Value) -> bool) -> Option<Self> {
        let may_be: Vec<Value> =
            self.found().iter().copied().filter(|value| fits(*value)).collect();
        (!may_be.is_empty()).then(|| Self::free(may_be))
    }

    fn after(&self, step: &Step) -> Option<Self> {
        let session = step.session;
        match &step.act {
            Act::Read(value) if self.owner == Some(session) => {
                (self.may_be.last() == Some(value)).then(|| self.clone())
            }
            Act::Read(value) => self.keep(|is| is == *value),
            Act::Put(value) => Some(Self::is(*value)),
            Act::CompareAndPut { expected, value } => {
                self.keep(|is| is == *expected).map(|_| Self::is(*value))
            }
            Act::Differ(expected) => self.keep(|is| is != *expected),
            Act::Delete(Some(false)) => self.keep(|is| is == Value::Nothing),
            Act::Delete(_) => {
                let something = self.keep(|is| is != Value::Nothing);
                something.map(|_| Self::is(Value::Nothing))
            }
            Act::Add(number, sum) => self.add(*number, *sum),
            Act::WriteBack(value, is_mortal) => Some(self.write_back(session, *value, *is_mortal)),
            Act::Flush if self.owner == Some(session) => {
                let may_be = self.may_be.last().copied().into_iter().collect();
                Some(Self { may_be, ..self.clone() })
            }
            Act::Flush => Some(self.clone()),
            Act::Expire(value) => self.keep(|is| is == *value).map(|_| Self::is(Value::Nothing)),
            Act::Close => Some(Self { is_closed: true, ..self.clone() }),
        }
    }

    fn add(&self, number: i64, sum: Option<i64>) -> Option<Self> {
        let sums = self.found().iter().filter_map(|value| match value {
            Value::Nothing => Some(number),
            Value::Number(is) => Some(is + number),
            Value::Seen(_) | Value::Unseen => None,
        });
        let fits = |is: &i64| sum.is_none_or(|sum| sum == *is);
        let may_be: Vec<Value> = sums.filter(fits).map(Value::Number).collect();
        (!may_be.is_empty()).then(|| Self::free(may_be))
    }

    fn write_back(&self, session: u64, value: Value, is_mortal: bool) -> Self {
        let mut may_be = match self.owner == Some(session) {
            true => self.may_be.clone(),
            false => self.found().to_vec(),
        };
        may_be.retain(|is| *is != value);
        may_be.push(value);
        Self { owner: Some(session), is_mortal, may_be, is_closed: false }
    }
}

/// The register.
#[derive(Clone, Debug)]
pub(super) struct Register;

thread_local! {
    static STEPS_LEFT: Cell<u64> = const { Cell::new(0) };
}

impl Register {
    /// Whether there is an order of these operations. `None`: it was not found in so many steps.
    pub(super) fn has_order(
        operations: &[porcupine_rs::Operation<Self>],
        steps_max: u64,
    ) -> Option<bool> {
        STEPS_LEFT.set(steps_max);
        // Without a time limit this runs in the present thread.
        let has_order = porcupine_rs::check_operations(operations);
        (has_order || STEPS_LEFT.get() > 0).then_some(has_order)
    }
}

impl Model for Register {
    type State = State;
    type Op = Step;
    type Metadata = ();

    fn init() -> State {
        State::is(Value::Nothing)
    }

    fn step(state: &State, step: &Step) -> (bool, State) {
        // Nothing fits any more once there were too many steps, so the search ends.
        let left = STEPS_LEFT.get();
        if left == 0 {
            return (false, state.clone());
        }
        STEPS_LEFT.set(left - 1);
        if state.is_closed {
            return (!step.is_certain, state.clone());
        }
        match state.after(step) {
            // To have no effect at all is left to the end, so there are fewer orders.
            Some(after) if step.is_certain || after != *state => (true, after),
            _ => (false, state.clone()),
        }
    }
}
