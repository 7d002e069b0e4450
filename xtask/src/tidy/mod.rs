//! The style as a test: what `STYLE` asks for and neither rustfmt nor clippy can see.

mod blank;
mod errors;
mod files;
mod functions;
mod ratchet;
mod rules;

pub(crate) use rules::{check, lower_ratchet};
