//! The settings of `holdfast serve`: one table of them, the layers that they are read from, the
//! rules that they obey together, and the way they are printed.
//!
//! [`table::SETTINGS`] is the only place that knows the settings one by one. Flags, environment,
//! file and `--print-config` all walk it.

pub(crate) mod layers;
mod members;
pub(crate) mod print;
pub(crate) mod table;
mod texts;
mod tls_files;
mod validate;

pub(crate) use layers::{Layers, Resolved};
pub(crate) use table::{Config, LogFormat};
