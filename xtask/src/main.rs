//! Project tasks, run as `cargo xtask <task>`.
//!
//! Layer: above everything; no crate depends on it. Each task is a module; `ci` runs them in the order in which a
//! mistake is cheapest to find. Nothing here is part of the product.

mod advisories;
mod ci;
mod codegen;
mod fuzz;
mod interop;
mod oracle;
mod process;
mod sim;
mod tidy;
mod tools;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of this project")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Writes the Rust sources of the .proto files; they are committed.
    Codegen {
        /// Writes nothing; fails if the committed sources are not what would be written.
        #[arg(long)]
        check: bool,
    },
    /// Checks layers, dependencies, file lengths and other rules that the compiler does not know.
    Tidy,
    /// Checks Cargo.lock against the dated list in xtask/advisories.toml.
    Advisories,
    /// Builds the reference programs (Go etcd 3.5, 3.6, 3.7; 3.4 from a package; bbolt) into target/interop/bin.
    InteropTools,
    /// Builds our programs and the reference programs, then runs the tests in tests/interop.
    Interop {
        /// Runs only the tests whose name contains this.
        filter: Option<String>,
    },
    /// Builds and runs the fuzz targets in fuzz/; what they find lands in target/fuzz/findings.
    Fuzz {
        /// Runs only this one: wal, snap, bolt, proto, membership, grpc or boot.
        target: Option<String>,
        /// How long each runs, in seconds; the build comes on top.
        #[arg(long, default_value_t = 15)]
        seconds: u64,
        /// Gives the target this input once instead.
        #[arg(long, requires = "target")]
        replay: Option<PathBuf>,
    },
    /// Simulates members whose disks crash and fail, by seed; `cargo xtask sim --help` has its options.
    #[command(disable_help_flag = true)]
    Sim {
        /// For the simulator.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Compares our consensus with Go's raft library, step by step; `cargo xtask oracle --help` has its options.
    #[command(disable_help_flag = true)]
    Oracle {
        /// For the comparison.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs every check and test, in order; stops at the first failure.
    Ci {
        /// Runs only this step.
        #[arg(long)]
        only: Option<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Codegen { check: false } => codegen::write(),
        Task::Codegen { check: true } => codegen::check(),
        Task::Tidy => tidy::run(),
        Task::Advisories => advisories::run(),
        Task::InteropTools => tools::run(),
        Task::Interop { filter } => interop::run(filter.as_deref()),
        Task::Fuzz { target: Some(target), replay: Some(file), .. } => fuzz::replay(&target, &file),
        Task::Fuzz { target, seconds, .. } => fuzz::run(target.as_deref(), seconds),
        Task::Sim { arguments } => sim::run(&arguments),
        Task::Oracle { arguments } => oracle::run(&arguments),
        Task::Ci { only } => ci::run(only.as_deref()),
    }
}
