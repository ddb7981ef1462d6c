//! Gives random scripts to our consensus and to Go's raft library, and compares the two after every step.
//!
//! Layer: a test program beside the workspace's crates. The other side is `go/`, a program on go.etcd.io/raft/v3;
//! `cargo xtask oracle` builds both and runs this. The protocol between the two is in `go/README.md`; the differences
//! on purpose are in `docs/decisions/0006-own-raft-core-beside-gos.md`.

mod node;
mod oracle;
mod script;

use clap::Parser;
use oracle::Oracle;
use script::{Counts, Script, Storage};
use std::path::PathBuf;

/// Compares our consensus with Go's raft library, step by step.
#[derive(Debug, Parser)]
struct Options {
    /// Go's side.
    #[arg(long)]
    program: PathBuf,
    /// The first script.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many scripts.
    #[arg(long, default_value_t = 40)]
    scripts: u64,
    /// Steps of each.
    #[arg(long, default_value_t = 5000)]
    steps: u64,
    /// Print each step of ours.
    #[arg(long)]
    trace: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut oracle = Oracle::start(&options.program)?;
    let mut total = Counts::default();
    for seed in options.seed..options.seed + options.scripts {
        run(&options, &mut oracle, seed, &mut total).map_err(|error| {
            let steps = options.steps;
            error.context(format!(
                "script {seed} (again: cargo xtask oracle --seed {seed} --scripts 1 --steps {steps})"
            ))
        })?;
    }
    println!(
        "{} scripts, {} steps, no difference: {} messages delivered, {} lost, {} elections begun, {} entries applied, \
         {} configuration changes, {} snapshots sent, {} reads, {} restarts, {} times entries from disk",
        options.scripts,
        total.steps,
        total.delivered,
        total.dropped,
        total.elections,
        total.committed,
        total.changes,
        total.snapshots,
        total.reads,
        total.restarts,
        total.disk_reads
    );
    Ok(())
}

fn run(options: &Options, oracle: &mut Oracle, seed: u64, total: &mut Counts) -> anyhow::Result<()> {
    let size = [1, 3, 5, 7, 3][usize::try_from(seed % 5)?];
    let storage = if seed.is_multiple_of(3) { Storage::Synchronous } else { Storage::Asynchronous };
    let (mut script, first) = Script::new(seed, size, storage)?;
    let title = script.title();
    let mut check = |step: script::Step| {
        if options.trace {
            println!("{}\n  {}", step.command, step.answer);
        }
        oracle.check(step)
    };
    let outcome = (|| {
        first.into_iter().try_for_each(&mut check)?;
        for _ in 0..options.steps {
            check(script.step()?)?;
        }
        Ok(())
    })();
    outcome
        .and_then(|()| oracle.settle())
        .map_err(|error: anyhow::Error| error.context(format!("{size} voters, {title}")))?;
    let counts = script.counts();
    total.steps += counts.steps;
    total.delivered += counts.delivered;
    total.dropped += counts.dropped;
    total.elections += counts.elections;
    total.committed += counts.committed;
    total.changes += counts.changes;
    total.snapshots += counts.snapshots;
    total.reads += counts.reads;
    total.restarts += counts.restarts;
    total.disk_reads += counts.disk_reads;
    Ok(())
}
