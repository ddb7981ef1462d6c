//! A crash after every disk operation, with every damage.
//!
//! [`enumerate`] runs a [`Workload`] once on a [`MemDisk`] that keeps an image after each operation. From each image it
//! makes the disks that a machine could find: the old one after `kill -9`, and one for each [`Damage`] to what was
//! not synced. Each of them is recovered, and then:
//! 1. the recovered state holds everything acknowledged before the crash and nothing that was never asked for
//!    ([`Workload::check`]);
//! 2. a second recovery, after a kill or after a power loss that takes all that the first one did not sync, finds the
//!    same state: what a reader was shown does not change any more;
//! 3. the first recovery is itself crashed at an operation drawn from the seed, and 1. and 2. hold after that too.
//!
//! [`enumerate_faults`] lets each operation fail instead, once, and goes on as long as the workload does.

mod faults;

pub(crate) use faults::is_one_line;
pub use faults::{FaultPlan, FaultPoint, enumerate_faults};

use crate::history::{History, Request};
use std::fmt::{self, Debug, Display};
use std::panic::AssertUnwindSafe;
use stdx::fnv;
use stdx::prng::Prng;
use vfs::mem::{Damage, MemDisk, Op};

/// Work on a disk, and what must be left of it after a crash.
///
/// Everything must follow from `self` alone: the same run meets the same operations.
pub trait Workload {
    /// What a client asks for.
    type Request: Debug;
    /// What clients can see of a recovered member; equal states are equal to every client.
    type State: PartialEq + Debug;

    /// The disk before the first start.
    fn prepare(&self) -> MemDisk;

    /// Does the work, as far as the disk lets it, noting requests and answers. The end is that of a process that
    /// stops without a word: what it holds is dropped.
    ///
    /// # Errors
    /// Why the work stopped early. Without faults that is a finding; with them [`Stop::Halted`] is what should happen.
    fn run(&self, disk: &MemDisk, history: &mut History<Self::Request>) -> Result<(), Stop>;

    /// Starts on a disk as it was found, in a manner drawn from `rng`, and stops without a word.
    ///
    /// # Errors
    /// Why it refuses: always a finding.
    fn recover(&self, disk: &MemDisk, rng: &mut Prng) -> Result<Self::State, String>;

    /// Compares a recovered state with the requests begun before the crash.
    ///
    /// # Errors
    /// What is missing or should not be there.
    fn check(&self, requests: &[Request<'_, Self::Request>], state: &Self::State) -> Result<(), String>;
}

/// Why work on a disk ended early.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The program gave up; its last words, one line.
    #[error("halted: {0}")]
    Halted(String),
    /// It did something that it must never do, whatever the disk does.
    #[error("wrong: {0}")]
    Wrong(String),
}

impl From<String> for Stop {
    fn from(reason: String) -> Self {
        Self::Halted(reason)
    }
}

/// What becomes of the disk at a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// `kill -9`: the operating system lives on.
    Kill,
    /// The power goes.
    PowerLoss(Damage),
}

impl Crash {
    /// Every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Kill].into_iter().chain(Damage::ALL.map(Self::PowerLoss))
    }

    /// The kind that [`Display`] shows as `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|crash| crash.to_string() == name)
    }

    fn strike(self, disk: &MemDisk, rng: &mut Prng) -> MemDisk {
        match self {
            Self::Kill => disk.kill(),
            Self::PowerLoss(damage) => disk.crash(damage, rng),
        }
    }
}

impl Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::PowerLoss(Damage::LoseAll) => "lose-all",
            Self::PowerLoss(Damage::Prefix) => "prefix",
            Self::PowerLoss(Damage::RandomSubset) => "random-subset",
            Self::PowerLoss(Damage::Reordered) => "reordered",
            Self::PowerLoss(Damage::TornSectors512) => "torn-512",
            Self::PowerLoss(Damage::TornPages4096) => "torn-4096",
        })
    }
}

/// The ends of a process that leave nothing to chance.
const BOTH: [Crash; 2] = [Crash::Kill, Crash::PowerLoss(Damage::LoseAll)];

/// One crash of an enumeration: enough, with the seed, to do it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The last operation that took effect.
    pub op: u64,
    /// What became of the disk.
    pub crash: Crash,
    /// Which of several draws of the same damage, from 0.
    pub round: u64,
}

impl Point {
    /// Draws at this point for one purpose, independent of all others.
    fn rng(&self, seed: u64, purpose: &str) -> Prng {
        let place = format!("{seed} {} {} {} {purpose}", self.op, self.crash, self.round);
        Prng::new(fnv::fnv1a_64(place.as_bytes()))
    }
}

impl Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--op {} --crash {} --round {}", self.op, self.crash, self.round)
    }
}

/// How much to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where every draw comes from.
    pub seed: u64,
    /// How often each damage is drawn after each operation. A kill leaves nothing to chance, but the recovery does, and
    /// most of all what it makes of writes that only the caches hold: it is drawn twice as often.
    pub rounds: u64,
    /// One recovery out of so many is crashed itself, at an operation drawn from the seed; 0 for none.
    pub recovery_crash_one_in: u64,
    /// This crash only, to replay a finding.
    pub only: Option<Point>,
}

impl Plan {
    /// One round of each damage, and a crash of each recovery.
    pub fn new(seed: u64) -> Self {
        Self { seed, rounds: 1, recovery_crash_one_in: 1, only: None }
    }

    /// Whether the recovery at `point` is crashed too. A replay crashes it whatever the first run did with others.
    fn crashes_recovery(&self, point: Point) -> bool {
        let one_in = self.recovery_crash_one_in;
        self.only.is_some() || (one_in > 0 && point.rng(self.seed, "choice").chance(1, one_in))
    }

    fn points(&self, op: u64) -> impl Iterator<Item = Point> + '_ {
        Crash::all()
            .flat_map(move |crash| {
                let rounds = if crash == Crash::Kill { 2 * self.rounds } else { self.rounds };
                (0..rounds).map(move |round| Point { op, crash, round })
            })
            .filter(|point| self.only.is_none_or(|only| only == *point))
    }
}

/// What an enumeration did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Operations of the workload on the disk.
    pub ops: u64,
    /// Requests of the workload.
    pub requests: u64,
    /// Crashes, those of recoveries included.
    pub crashes: u64,
    /// Recoveries, second ones included.
    pub recoveries: u64,
    /// A hash over every disk found and every disk recovered: equal for equal seeds.
    pub digest: u64,
}

impl Report {
    fn absorb(&mut self, disk: &MemDisk) {
        let words = [self.digest.to_le_bytes(), disk.digest().to_le_bytes()];
        self.digest = fnv::fnv1a_64(words.as_flattened());
    }
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The workload failed on a disk without faults.
    #[error("without a fault: {0}")]
    Run(Stop),
    /// After a crash something was not as it must be.
    #[error("crash after operation {op} ({point}): {what}", op = describe(.op.as_ref(), .point.op))]
    Crash {
        /// Where.
        point: Point,
        /// The operation that it followed; none if that was before the first.
        op: Option<Op>,
        /// What was wrong.
        what: String,
    },
    /// After a failed operation something was not as it must be.
    #[error("failure of operation {op} ({point}): {what}", op = describe(Some(op), op.number))]
    Fault {
        /// Where.
        point: FaultPoint,
        /// The operation that failed.
        op: Op,
        /// What was wrong.
        what: String,
    },
}

impl Finding {
    /// The place in an enumeration as arguments of the simulator's command line; nothing for a run without a fault.
    pub fn place(&self) -> String {
        match self {
            Self::Run(_) => "--crash-points".to_owned(),
            Self::Crash { point, .. } => format!("--crash-points {point}"),
            Self::Fault { point, .. } => format!("--faults {point}"),
        }
    }
}

fn describe(op: Option<&Op>, number: u64) -> String {
    match op {
        Some(op) => format!("{number}, {:?} of {}", op.kind, op.path.display()),
        None => number.to_string(),
    }
}

/// Is told how far an enumeration is: the operations done with, and what was done so far.
pub type Watch<'a> = &'a mut dyn FnMut(u64, &Report);

/// Crashes `workload` after each operation that changed the disk, in every way, and recovers.
///
/// # Errors
/// The first [`Finding`].
pub fn enumerate<W: Workload>(workload: &W, plan: &Plan, watch: Watch<'_>) -> Result<Report, Finding> {
    let disk = workload.prepare();
    disk.record_trace();
    disk.record_images();
    let mut history = History::default();
    guarded(|| workload.run(&disk, &mut history)).map_err(Finding::Run)?;
    let trace = disk.trace();
    let images = disk.take_images();
    let mut report = Report { ops: trace.len() as u64, requests: history.len() as u64, ..Report::default() };
    for (position, image) in images.iter().enumerate() {
        watch(image.op, &report);
        // Operations that change nothing leave the disk as it is, but an answer may come after any of them.
        let next = images.get(position + 1).map_or(disk.op_count(), |next| next.op - 1);
        let requests = history.at(next);
        for point in plan.points(image.op) {
            let rng = point.rng(plan.seed, "manner");
            let mut trial = Trial { workload, requests: &requests, report: &mut report, rng };
            guarded(|| trial.crash(&image.disk, point, plan)).map_err(|what| {
                let op = trace.iter().find(|op| op.number == image.op).cloned();
                Finding::Crash { point, op, what }
            })?;
        }
    }
    Ok(report)
}

/// Calls `work` and turns a panic into its error: the program under test asserts a lot.
pub(crate) fn guarded<T, E: From<Panicked>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let words = payload.downcast_ref::<&str>().map(|words| (*words).to_owned());
        let words = words.or_else(|| payload.downcast_ref::<String>().cloned());
        Err(Panicked(words.unwrap_or_default()).into())
    })
}

/// A panic, with its message.
pub(crate) struct Panicked(String);

impl From<Panicked> for String {
    fn from(panicked: Panicked) -> Self {
        format!("panic: {}", panicked.0)
    }
}

impl From<Panicked> for Stop {
    fn from(panicked: Panicked) -> Self {
        Self::Wrong(panicked.into())
    }
}

/// Recoveries after one crash.
struct Trial<'a, W: Workload> {
    workload: &'a W,
    requests: &'a [Request<'a, W::Request>],
    report: &'a mut Report,
    rng: Prng,
}

impl<W: Workload> Trial<'_, W> {
    fn crash(&mut self, image: &MemDisk, point: Point, plan: &Plan) -> Result<(), String> {
        self.report.crashes += 1;
        let found = point.crash.strike(image, &mut point.rng(plan.seed, "damage"));
        if !plan.crashes_recovery(point) {
            return self.recover(&found, &BOTH);
        }
        found.record_images();
        self.recover(&found, &BOTH)?;
        let images = found.take_images();
        let mut rng = point.rng(plan.seed, "recovery");
        let image = &images[rng.below(images.len() as u64) as usize];
        let crashes: Vec<Crash> = Crash::all().collect();
        let crash = crashes[rng.below(crashes.len() as u64) as usize];
        self.report.crashes += 1;
        let found_again = crash.strike(&image.disk, &mut rng);
        self.recover(&found_again, &BOTH).map_err(|what| {
            format!("the recovery was crashed after its operation {} ({crash}): {what}", image.op)
        })
    }

    /// Recovers, checks, and recovers again after each crash of `again`.
    fn recover(&mut self, found: &MemDisk, again: &[Crash]) -> Result<(), String> {
        let state = self.start(found).map_err(|why| format!("the recovery failed: {why}"))?;
        self.workload.check(self.requests, &state)?;
        for crash in again {
            let found_again = crash.strike(found, &mut Prng::new(0));
            let second = self
                .start(&found_again)
                .map_err(|why| format!("the recovery after {crash} failed: {why}"))?;
            if second != state {
                return Err(format!("the recovery after {crash} found {second:?}, the first one {state:?}"));
            }
        }
        Ok(())
    }

    fn start(&mut self, disk: &MemDisk) -> Result<W::State, String> {
        self.report.absorb(disk);
        let state = self.workload.recover(disk, &mut self.rng)?;
        self.report.recoveries += 1;
        self.report.absorb(disk);
        Ok(state)
    }
}

#[cfg(test)]
mod tests;
