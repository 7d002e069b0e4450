//! The tests of the machine, in one binary.
//!
//! `script` runs small texts and compares transcripts; the files named after concepts use it.
//! `model` says the rules a second time, as simply as possible; `workload` makes up histories,
//! and `reach` proves that they go everywhere; `properties` lets the machine and the model run side
//! by side, `fairness` watches who is granted before whom; `damage` tries bytes; `faults` plants
//! mistakes and proves that those checks would find them.

mod cache_coherence;
mod cache_golden;
mod cache_limits;
mod cache_loads;
mod cache_model;
mod cache_owned;
mod cache_properties;
mod cache_retries;
mod cache_room;
mod cache_sweeps;
mod cache_turns;
mod cache_workload;
mod caches;
mod change;
mod damage;
mod dead_letters;
mod deadlocks;
mod delays;
mod dice;
mod fairness;
mod faults;
mod figures;
mod force;
mod full_disk;
mod golden;
mod guards;
mod limits;
mod locks;
mod model;
mod model_session;
mod modes;
mod prevention;
mod promises;
mod properties;
mod queue_golden;
mod queue_limits;
mod queue_model;
mod queue_properties;
mod queue_workload;
mod queues;
mod reach;
mod retries;
mod room;
mod script;
mod sessions;
mod several;
mod signals;
mod snapshots;
mod views;
mod workload;
