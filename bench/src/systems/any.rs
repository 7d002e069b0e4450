//! Systems of different types in one list. Only what a round needs is here, and none of it is on
//! the hot path: clients stay generic.

use super::{Etcd, Holdfast, Leadership, Nats, RabbitMq, Redis, System, leadership};
use crate::error::BenchError;
use crate::load::Load;
use crate::works::{Cell, Work};

/// Any of the systems.
pub(crate) enum AnySystem {
    Holdfast(Holdfast),
    Etcd(Etcd),
    Nats(Nats),
    RabbitMq(RabbitMq),
    Redis(Redis),
}

macro_rules! from {
    ($($system:ident),*) => {
        $(
            impl From<$system> for AnySystem {
                fn from(system: $system) -> Self {
                    Self::$system(system)
                }
            }
        )*
    };
}

from!(Holdfast, Etcd, Nats, RabbitMq, Redis);

/// Says the same of whichever system it is.
macro_rules! of_each {
    ($any:expr, $system:ident => $says:expr) => {
        match $any {
            AnySystem::Holdfast($system) => $says,
            AnySystem::Etcd($system) => $says,
            AnySystem::Nats($system) => $says,
            AnySystem::RabbitMq($system) => $says,
            AnySystem::Redis($system) => $says,
        }
    };
}

impl AnySystem {
    pub(crate) fn name(&self) -> &'static str {
        fn name<S: System>(_: &S) -> &'static str {
            S::NAME
        }
        of_each!(self, system => name(system))
    }

    pub(crate) fn durability(&self) -> &'static str {
        fn durability<S: System>(_: &S) -> &'static str {
            S::DURABILITY
        }
        of_each!(self, system => durability(system))
    }

    /// Whether its clients can do `work`.
    pub(crate) fn does(&self, work: Work) -> bool {
        fn does<S: System>(_: &S, work: Work) -> bool {
            S::does(work)
        }
        of_each!(self, system => does(system, work))
    }

    pub(crate) fn pids(&mut self) -> Vec<u32> {
        of_each!(self, system => system.cluster().pids())
    }

    /// Lets the servers run on when the runner ends.
    pub(crate) fn leave_running(&mut self) {
        of_each!(self, system => system.cluster().leave_running());
    }

    /// An error if a server has ended by itself.
    pub(crate) fn check_alive(&mut self) -> Result<(), BenchError> {
        of_each!(self, system => system.cluster().check_alive())
    }

    pub(crate) async fn leadership(&mut self) -> Result<Leadership, BenchError> {
        of_each!(self, system => leadership(system).await)
    }

    pub(crate) async fn start_load(&self, cell: Cell) -> Result<Load, BenchError> {
        of_each!(self, system => Load::start(system, cell).await)
    }
}
