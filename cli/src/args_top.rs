//! What may be typed after `holdfast top`.

use std::time::Duration;

use clap::Args;

use super::{EndpointArgs, LogArgs};
use crate::duration;

const TOP_HELP: &str = "\
Keys:
  q, Esc, Ctrl-C    leave
  Tab, 1 to 4       one panel in full: nodes, locks, queues, caches; again for all
  up, down          scroll in the panel that is shown in full
  p, space          hold the picture still, or let it go on

Busy things stand first: locks by how many wait, queues and caches by what goes on in them. Rates
are per second, between two looks. Nodes are shown with or without a leader; the rest needs one.

Without a terminal, and with --once, one picture is printed after two looks.

Examples:
  holdfast top
  holdfast top jobs/ --every 500ms
  holdfast top --once | less

Exit codes: 0 left, 1 failure, 2 usage.";

/// Shows nodes, locks with their waiters, queues and caches, live.
#[derive(Debug, Args)]
#[command(after_help = TOP_HELP)]
pub(crate) struct TopArgs {
    /// Only names that begin with this.
    #[arg(value_name = "PREFIX", default_value = "")]
    pub(crate) prefix: String,
    /// How often to look.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration::parse)]
    pub(crate) every: Duration,
    /// Print one picture and leave.
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}
