//! Systems of different types in one list. Only what a round needs is here, and none of it is on
//! the hot path: clients stay generic.

use super::{Etcd, Holdfast, Leadership, System, leadership};
use crate::error::BenchError;
use crate::load::Load;
use crate::works::Cell;

/// Any of the systems.
pub(crate) enum AnySystem {
    Holdfast(Holdfast),
    Etcd(Etcd),
}

impl From<Holdfast> for AnySystem {
    fn from(system: Holdfast) -> Self {
        Self::Holdfast(system)
    }
}

impl From<Etcd> for AnySystem {
    fn from(system: Etcd) -> Self {
        Self::Etcd(system)
    }
}

impl AnySystem {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Holdfast(_) => Holdfast::NAME,
            Self::Etcd(_) => Etcd::NAME,
        }
    }

    pub(crate) fn durability(&self) -> &'static str {
        match self {
            Self::Holdfast(_) => Holdfast::DURABILITY,
            Self::Etcd(_) => Etcd::DURABILITY,
        }
    }

    pub(crate) fn pids(&mut self) -> Vec<u32> {
        match self {
            Self::Holdfast(system) => system.cluster().pids(),
            Self::Etcd(system) => system.cluster().pids(),
        }
    }

    /// Lets the servers run on when the runner ends.
    pub(crate) fn leave_running(&mut self) {
        match self {
            Self::Holdfast(system) => system.cluster().leave_running(),
            Self::Etcd(system) => system.cluster().leave_running(),
        }
    }

    /// An error if a server has ended by itself.
    pub(crate) fn check_alive(&mut self) -> Result<(), BenchError> {
        match self {
            Self::Holdfast(system) => system.cluster().check_alive(),
            Self::Etcd(system) => system.cluster().check_alive(),
        }
    }

    pub(crate) async fn leadership(&mut self) -> Result<Leadership, BenchError> {
        match self {
            Self::Holdfast(system) => leadership(system).await,
            Self::Etcd(system) => leadership(system).await,
        }
    }

    pub(crate) async fn start_load(&self, cell: Cell) -> Result<Load, BenchError> {
        match self {
            Self::Holdfast(system) => Load::start(system, cell).await,
            Self::Etcd(system) => Load::start(system, cell).await,
        }
    }
}
