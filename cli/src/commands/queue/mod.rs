//! `holdfast queue`: a file for each command, and the choice among them.

mod ack;
mod look;
mod outstanding;
mod peek;
mod pop;
mod push;
mod rates;
mod settings;
mod stats;
mod sweep;
mod ticket;
mod unary;
mod variables;
mod watch;
mod work;
mod worker;
mod written;

use crate::args::QueueCommand;
use crate::failure::Failure;

/// Runs what was asked for.
pub(super) async fn run(command: &QueueCommand) -> Result<u8, Failure> {
    match command {
        QueueCommand::Push(args) => push::run(args).await,
        QueueCommand::Pop(args) => pop::run(args).await,
        QueueCommand::Ack(args) => ack::run(args).await,
        QueueCommand::Work(args) => work::run(args).await,
        QueueCommand::Peek(args) => peek::run(args).await,
        QueueCommand::Stats(args) => stats::run(args).await,
        QueueCommand::Watch(args) => watch::run(args).await,
        QueueCommand::Create(args) => settings::create(args).await,
        QueueCommand::Change(args) => settings::change(args).await,
        QueueCommand::Delete(args) => settings::delete(args).await,
        QueueCommand::Purge(args) => sweep::purge(args).await,
        QueueCommand::Redrive(args) => sweep::redrive(args).await,
    }
}
