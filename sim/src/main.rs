//! The simulator's command line: `cargo xtask sim`, for as long as one likes.
//!
//! The only part with a clock: it shows progress on a terminal and stops after `--minutes`. What is found follows from
//! the seed alone, and is printed with the one command that finds it again.

use clap::Parser;
use sim::cluster::Bug;
use sim::crash::{Crash, FaultPlan, FaultPoint, Plan, Point, Report, enumerate, enumerate_faults};
use sim::lives::{Summary, live};
use sim::machine::Planted;
use sim::member::MemberWorkload;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use vfs::ErrorKind;

/// Runs members on disks in memory that crash and fail, by seed.
#[derive(Parser)]
#[command(name = "cargo xtask sim")]
struct Arguments {
    /// The first seed.
    #[arg(long)]
    seed: Option<u64>,
    /// How many seeds to try, one after the other [default: 1 with --seed, --crash-points or --faults, else 1000]
    #[arg(long)]
    count: Option<u64>,
    /// Goes on with further seeds for so many minutes.
    #[arg(long, conflicts_with = "count")]
    minutes: Option<u64>,
    /// Plants a bug, which must be found: reply-before-sync or index-apart; with --cluster also local-reads,
    /// resent-proposal, old-image, member-differs or unchecked-vote.
    #[arg(long, value_parser = parse_plant)]
    plant: Option<String>,
    /// Crashes one workload after each of its disk operations, in every way.
    #[arg(long, conflicts_with = "faults", group = "mode")]
    crash_points: bool,
    /// Lets each disk operation of one workload fail.
    #[arg(long, group = "mode")]
    faults: bool,
    /// Runs clusters of several members instead of single ones.
    #[arg(long, group = "mode")]
    cluster: bool,
    /// Requests of the workload.
    #[arg(long, default_value_t = 300)]
    requests: u64,
    /// How often each random damage is drawn.
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// This operation only, with --crash or --fault.
    #[arg(long, requires_all = ["kind", "mode"])]
    op: Option<u64>,
    /// With --crash-points and --op: the kind of crash.
    #[arg(long, requires = "op", conflicts_with = "faults", group = "kind", value_parser = parse_crash)]
    crash: Option<Crash>,
    /// With --crash: which draw of the damage.
    #[arg(long, requires = "crash")]
    round: Option<u64>,
    /// With --faults and --op: the kind of failure.
    #[arg(long, requires = "op", conflicts_with = "crash_points", group = "kind", value_parser = parse_fault)]
    fault: Option<ErrorKind>,
}

fn parse_plant(name: &str) -> Result<String, String> {
    let names = Bug::ALL.map(Bug::name);
    let is_known = names.contains(&name);
    if is_known { Ok(name.to_owned()) } else { Err(format!("expected one of {}", names.join(", "))) }
}

fn bug(name: &str) -> Option<Bug> {
    Bug::ALL.into_iter().find(|bug| bug.name() == name)
}

/// The bug as one of a single member.
fn planted(arguments: &Arguments) -> Result<Option<Planted>, Found> {
    let Some(name) = &arguments.plant else { return Ok(None) };
    let found = Planted::ALL.into_iter().find(|planted| planted.name() == name);
    let unknown = || Found { what: format!("{name} is a bug of clusters"), replay: "with --cluster".into() };
    found.map(Some).ok_or_else(unknown)
}

fn parse_crash(name: &str) -> Result<Crash, String> {
    Crash::parse(name).ok_or_else(|| {
        let names: Vec<String> = Crash::all().map(|crash| crash.to_string()).collect();
        format!("expected one of {}", names.join(", "))
    })
}

fn parse_fault(name: &str) -> Result<ErrorKind, String> {
    FaultPoint::parse_kind(name).ok_or_else(|| "expected io-error or no-space".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut progress = Progress::new();
    let outcome = if arguments.crash_points || arguments.faults {
        enumerations(&arguments, &mut progress)
    } else if arguments.cluster {
        clusters(&arguments, &mut progress)
    } else {
        lives(&arguments, &mut progress)
    };
    progress.clear();
    match outcome {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(Found { what, replay }) => {
            println!("{what}\nagain: {replay}");
            ExitCode::FAILURE
        }
    }
}

/// What was wrong, and the command that finds it again.
struct Found {
    what: String,
    replay: String,
}

/// The seeds to try.
fn seeds(arguments: &Arguments) -> impl Iterator<Item = u64> {
    let is_one = arguments.seed.is_some() || arguments.crash_points || arguments.faults;
    let deadline = arguments.minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let count = arguments.count.unwrap_or(if is_one { 1 } else { 1000 });
    let count = if deadline.is_some() { u64::MAX } else { count };
    let first = arguments.seed.unwrap_or(1);
    let seeds = (0..count).map(move |number| first.wrapping_add(number));
    seeds.take_while(move |_| deadline.is_none_or(|deadline| Instant::now() < deadline))
}

fn lives(arguments: &Arguments, progress: &mut Progress) -> Result<String, Found> {
    let planted = planted(arguments)?;
    let mut total = Summary::default();
    let mut count = 0u64;
    for seed in seeds(arguments) {
        let summary = live(seed, planted)
            .map_err(|failed| Found { what: failed.to_string(), replay: failed.replay() })?;
        count += 1;
        total.lives += summary.lives;
        total.stillborn += summary.stillborn;
        total.halts += summary.halts;
        total.answers += summary.answers;
        total.ops += summary.ops;
        total.digest.add(&format!("{:?}", summary.digest));
        progress.show(|| format!("seed {seed}: {} lives, {} requests answered", total.lives, total.answers));
    }
    let Summary { lives, stillborn, halts, answers, ops, digest } = total;
    Ok(format!(
        "{count} seeds, {lives} lives ({stillborn} ended in their recovery, {halts} by their disk), \
         {answers} requests answered, {ops} disk operations, digest {:016x}",
        digest.0
    ))
}

fn clusters(arguments: &Arguments, progress: &mut Progress) -> Result<String, Found> {
    let bug = arguments.plant.as_deref().and_then(bug);
    let mut total = sim::cluster::Summary::default();
    let mut count = 0u64;
    for seed in seeds(arguments) {
        let summary = sim::cluster::run(seed, bug)
            .map_err(|failed| Found { what: failed.to_string(), replay: failed.replay() })?;
        count += 1;
        total.add(&summary);
        progress
            .show(|| format!("seed {seed}: {} requests answered, {} crashes", total.answers, total.crashes));
    }
    Ok(format!("{count} clusters: {total}"))
}

fn enumerations(arguments: &Arguments, progress: &mut Progress) -> Result<String, Found> {
    let planted = planted(arguments)?;
    let mut lines = Vec::new();
    for seed in seeds(arguments) {
        let workload = MemberWorkload::new(seed, arguments.requests).with(planted);
        let mut watch = |op: u64, report: &Report| {
            progress.show(|| {
                let Report { ops, crashes, recoveries, .. } = report;
                format!("seed {seed}: operation {op} of {ops}, {crashes} crashes, {recoveries} recoveries")
            });
        };
        let result = if arguments.faults {
            let only = arguments.op.zip(arguments.fault).map(|(op, kind)| FaultPoint { op, kind });
            enumerate_faults(&workload, &FaultPlan { every: 1, only }, &mut watch)
        } else {
            let round = arguments.round.unwrap_or(0);
            let only = arguments.op.zip(arguments.crash).map(|(op, crash)| Point { op, crash, round });
            enumerate(&workload, &Plan { rounds: arguments.rounds, only, ..Plan::new(seed) }, &mut watch)
        };
        let report = result.map_err(|finding| Found {
            what: format!("seed {seed}: {finding}"),
            replay: workload.replay(&finding),
        })?;
        let Report { ops, requests, crashes, recoveries, digest } = report;
        lines.push(format!(
            "seed {seed}: {requests} requests, {ops} disk operations, {crashes} crashes, {recoveries} recoveries, \
             digest {digest:016x}"
        ));
    }
    Ok(lines.join("\n"))
}

/// One line on the terminal, once the work has taken a while.
struct Progress {
    is_terminal: bool,
    begun: Instant,
    shown: Option<Instant>,
}

impl Progress {
    fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), begun: Instant::now(), shown: None }
    }

    fn show(&mut self, line: impl FnOnce() -> String) {
        let is_due = self.shown.is_none_or(|shown| shown.elapsed() > PROGRESS_EVERY);
        if self.is_terminal && self.begun.elapsed() > QUIET && is_due {
            self.shown = Some(Instant::now());
            self.write(&line());
        }
    }

    fn clear(&self) {
        if self.shown.is_some() {
            self.write("");
        }
    }

    fn write(&self, line: &str) {
        // Progress that cannot be shown is not worth a failure.
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
    }
}

/// Short work shows no progress.
const QUIET: Duration = Duration::from_secs(2);
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
