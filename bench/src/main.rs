//! Load for one server, and two servers side by side.
//!
//! `bench put|get` drives a running server; `bench compare` starts two, in turn and on empty directories, and prints the
//! table of docs/benchmarks.md. The figure that counts is server CPU per operation: on a small machine the loader takes
//! part of the processor, so operations per second say as much about the loader as about the server.

mod compare;
mod consensus;
mod frames;
mod load;
mod process;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::load::{Kind, Load, Measured};
use crate::process::Pid;

/// Measures etcd servers.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Puts random keys
    Put(Single),
    /// Reads random keys, linearizable; puts each key once before
    Get(Single),
    /// Runs two servers in turn and prints a table
    Compare(Compare),
    /// Runs consensus alone and Go's raft library in turn, and prints a table
    Consensus(Consensus),
}

#[derive(Debug, Args)]
struct Shape {
    /// Calls in flight
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    /// Connections they share
    #[arg(long, default_value_t = 100)]
    connections: usize,
    /// Calls that are measured; a tenth more run before
    #[arg(long, default_value_t = 200_000)]
    ops: u64,
}

#[derive(Debug, Args)]
struct Data {
    /// Bytes of a value, at most 32768
    #[arg(long, default_value_t = 256)]
    value_size: usize,
    /// Different keys
    #[arg(long, default_value_t = 10_000)]
    key_space: u64,
}

#[derive(Debug, Args)]
struct Single {
    /// Address of the server's client port
    #[arg(long, default_value = "127.0.0.1:2379")]
    endpoint: SocketAddr,
    /// Process of the server, to measure its CPU and memory
    #[arg(long)]
    pid: Option<i32>,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, Args)]
struct Compare {
    /// Program under test
    #[arg(long)]
    ours: PathBuf,
    /// Program to compare with
    #[arg(long)]
    theirs: PathBuf,
    /// Where data directories are made and removed; on a real disk
    #[arg(long)]
    dir: PathBuf,
    /// Pairs of runs
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of rest before idle memory is read
    #[arg(long, default_value_t = 5)]
    idle_seconds: u64,
    /// Multiplies the number of calls of every shape
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, Args)]
struct Consensus {
    /// Go's side: target/interop/bin/raft-oracle, made by `cargo xtask oracle`
    #[arg(long)]
    theirs: PathBuf,
    /// Pairs of runs
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Put(single) => run_single(Kind::Put, &single),
        Command::Get(single) => run_single(Kind::Get, &single),
        Command::Compare(compare) => compare::run(&compare),
        Command::Consensus(Consensus { theirs, rounds }) => consensus::compare(&theirs, rounds),
    }
}

fn run_single(kind: Kind, single: &Single) -> anyhow::Result<()> {
    let load = Load::new(kind, single.endpoint, &single.shape, &single.data)?;
    let pid = single.pid.map(Pid::new).transpose()?;
    if kind == Kind::Get {
        load.fill()?;
    }
    let measured = load.run(pid)?;
    print_single(kind, &measured);
    if let Some(pid) = pid {
        println!("server memory    {:9.1} MiB resident", process::resident_bytes(pid)? / f64::from(1 << 20));
    }
    Ok(())
}

fn print_single(kind: Kind, measured: &Measured) {
    println!("{kind:<16} {:9} calls in {:.2} s", measured.ops, measured.elapsed.as_secs_f64());
    println!("throughput       {:9.0} calls/s", measured.per_second());
    println!("latency          {:9.2} ms p50, {:.2} ms p99", measured.p50_ms, measured.p99_ms);
    if let Some(cpu) = measured.server_cpu_us {
        println!("server CPU       {cpu:9.2} us per call");
    }
    println!("loader CPU       {:9.2} us per call", measured.loader_cpu_us);
}
