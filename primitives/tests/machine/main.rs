//! The tests of the machine, in one binary.
//!
//! `script` runs small texts and compares transcripts; the files named after concepts use it.
//! `model` says the rules a second time, as simply as possible; `workload` makes up histories;
//! `properties` lets the machine and the model run side by side; `faults` plants mistakes and
//! proves that those checks would find them.

mod faults;
mod golden;
mod limits;
mod locks;
mod model;
mod properties;
mod retries;
mod script;
mod sessions;
mod views;
mod workload;
