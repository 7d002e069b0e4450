//! `run`: Holdfast alone, for a profiler.

use crate::cli::RunArgs;
use crate::commands::rounds;
use crate::error::BenchError;
use crate::folder::RunFolder;
use crate::report;
use crate::systems::{self, AnySystem, Holdfast, System};

pub(crate) async fn run(args: RunArgs) -> Result<(), BenchError> {
    for cell in args.load.cells() {
        cell.check_sense()?;
    }
    report::check_writable(args.place.json.as_deref())?;
    // Dropped last: the servers end before their data goes.
    let mut folder = RunFolder::create(args.place.data_dir.as_deref())?;
    let mut holdfast: Holdfast = systems::launch(&args.place.binaries(), &folder).await?;
    let leader = systems::leadership(&mut holdfast).await?;
    for (node, pid) in holdfast.cluster().pids().into_iter().enumerate() {
        let role = if node == leader.node { "leads" } else { "follows" };
        let endpoint = &holdfast.endpoints()[node];
        println!("node {}: pid {pid}, {endpoint}, {role}", node + 1);
    }

    let mut systems = [AnySystem::from(holdfast)];
    let rows = rounds::measure(&mut systems, &args.load).await?;
    rounds::publish(&rows, &args.load, &args.place)?;
    if args.keep {
        let pids: Vec<_> = systems[0].pids().iter().map(u32::to_string).collect();
        systems[0].leave_running();
        folder.keep_data();
        println!("The servers run on; end them with: kill {}", pids.join(" "));
    }
    Ok(())
}
