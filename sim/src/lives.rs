//! Many lives of one member, one after the other on one disk, everything drawn from a seed.
//!
//! Each life has a pace, clients and limits of its own, and an end of its own: a stop in order, a kill, a power loss at
//! some moment of virtual time or at some disk operation, also inside the recovery, or a disk that fails or is full.
//! The next life begins on what is left, and must hold what was acknowledged in all lives before it.

use crate::audit::audit;
use crate::crash::{Crash, Panicked, Stop, guarded, is_one_line};
use crate::history::History;
use crate::machine::{Delay, Planted};
use crate::member::{plant, recover};
use crate::session::{Digest, Session, Start};
use crate::shape::Shape;
use crate::steps::{Step, resolve};
use stdx::prng::Prng;
use vfs::ErrorKind;
use vfs::mem::{Damage, MemDisk};

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// In order.
    Stop,
    /// Between two steps of the member.
    Crash(Crash),
    /// The power goes behind operation `op` of this life, wherever that is.
    PowerLossAt { op: u64, damage: Damage },
    /// Operation `op` fails; the power goes later.
    Failure { op: u64, kind: ErrorKind, damage: Damage },
    /// There are only so many bytes; the power goes later.
    FullDisk { bytes: u64, damage: Damage },
}

impl Fate {
    fn draw(rng: &mut Prng) -> Self {
        let damage = Damage::ALL[rng.below(Damage::ALL.len() as u64) as usize];
        // A recovery takes a hundred operations or more, a request a few.
        let most = [20, 150, 600, 3000][rng.below(4) as usize];
        let op = 1 + rng.below(most);
        match rng.below(10) {
            0 | 1 => Self::Stop,
            2 => Self::Crash(Crash::Kill),
            3 | 4 => Self::Crash(Crash::PowerLoss(damage)),
            5..8 => Self::PowerLossAt { op, damage },
            8 => {
                let kind = if rng.chance(1, 2) { ErrorKind::Other } else { ErrorKind::NoSpace };
                Self::Failure { op, kind, damage }
            }
            _ => Self::FullDisk { bytes: (1 + rng.below(100)) << 13, damage },
        }
    }

    /// Whether the member may halt.
    fn excuses_halt(self) -> bool {
        !matches!(self, Self::Stop | Self::Crash(_))
    }

    fn prepare(self, disk: &MemDisk) {
        match self {
            Self::Stop | Self::Crash(_) => {}
            Self::PowerLossAt { op, .. } => disk.crash_after(op),
            Self::Failure { op, kind, .. } => disk.fail_at(op, kind),
            Self::FullDisk { bytes, .. } => disk.set_capacity(Some(bytes)),
        }
    }

    /// The last operation that counts, and what is left of the disk.
    fn strike(self, disk: &MemDisk, rng: &mut Prng) -> (u64, MemDisk) {
        let done = disk.op_count();
        match self {
            // All is durable, so it makes no difference.
            Self::Stop if rng.chance(1, 2) => (done, disk.kill()),
            Self::Stop => (done, disk.crash(Damage::LoseAll, rng)),
            Self::Crash(Crash::Kill) => (done, disk.kill()),
            Self::Crash(Crash::PowerLoss(damage)) => (done, disk.crash(damage, rng)),
            Self::PowerLossAt { op, damage } => (done.min(op), disk.crash(damage, rng)),
            // Behind a failed sync only a power loss tells what is there; after a mere kill it could still vanish.
            Self::Failure { damage, .. } | Self::FullDisk { damage, .. } => (done, disk.crash(damage, rng)),
        }
    }
}

/// What the lives of one seed were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many there were.
    pub lives: u64,
    /// How many of them ended before clients could come.
    pub stillborn: u64,
    /// How often the member halted because of its disk.
    pub halts: u64,
    /// Requests answered.
    pub answers: u64,
    /// Disk operations.
    pub ops: u64,
    /// A hash over everything that happened: equal for equal seeds.
    pub digest: Digest,
}

/// A life that was not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}, life {life}: {what}")]
pub struct Failed {
    /// The seed.
    pub seed: u64,
    /// The bug that was planted.
    pub planted: Option<Planted>,
    /// Which life, from 0.
    pub life: u64,
    /// What was wrong.
    pub what: String,
}

impl Failed {
    /// The command that does it again.
    pub fn replay(&self) -> String {
        format!("cargo xtask sim --seed {}{}", self.seed, plant(self.planted))
    }
}

/// Lives the lives of `seed`.
///
/// # Errors
/// The first thing that is wrong.
pub fn live(seed: u64, planted: Option<Planted>) -> Result<Summary, Failed> {
    let mut lives = Lives::new(seed, planted);
    let count = 2 + lives.rng.below(8);
    for _ in 0..count {
        guarded(|| lives.live_one()).map_err(|Text(what)| lives.failed(what))?;
    }
    guarded(|| lives.look_back()).map_err(|Text(what)| lives.failed(what))?;
    Ok(lives.summary)
}

/// What was wrong, in words.
struct Text(String);

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Panicked> for Text {
    fn from(panicked: Panicked) -> Self {
        Self(panicked.into())
    }
}

struct Lives {
    seed: u64,
    planted: Option<Planted>,
    rng: Prng,
    shape: Shape,
    disk: MemDisk,
    history: History<Step>,
    summary: Summary,
}

impl Lives {
    fn new(seed: u64, planted: Option<Planted>) -> Self {
        let mut rng = Prng::new(seed);
        let shape = Shape::draw(&mut rng);
        let (disk, history) = (MemDisk::new(), History::default());
        Self { seed, planted, rng, shape, disk, history, summary: Summary::default() }
    }

    fn failed(&self, what: String) -> Failed {
        Failed { seed: self.seed, planted: self.planted, life: self.summary.lives, what }
    }

    fn live_one(&mut self) -> Result<(), Text> {
        self.vary();
        let fate = Fate::draw(&mut self.rng);
        let most = [20, 100, 400][self.rng.below(3) as usize];
        let requests = self.rng.below(most);
        let until = Delay { min_ns: 1_000_000, max_ns: 20_000_000_000 }.draw(&mut self.rng);
        audit(&self.disk).map_err(|what| format!("on the disk as it was found: {what}"))?;
        fate.prepare(&self.disk);
        let start =
            Start { shape: &self.shape, life: self.summary.lives, planted: self.planted, seed: self.seed };
        let outcome = match Session::open(&self.disk, &start, &mut self.history) {
            Ok(mut session) => {
                let outcome = session.run(requests, until);
                self.summary.answers += session.answers();
                self.summary.digest.add(&format!("{:?}", session.digest()));
                match outcome {
                    Ok(()) if fate == Fate::Stop => session.stop().map(drop),
                    other => other,
                }
            }
            Err(stop) => {
                self.summary.stillborn += 1;
                Err(stop)
            }
        };
        self.summary.digest.add(&format!("{fate:?} {outcome:?}"));
        match outcome {
            Ok(()) => {}
            Err(Stop::Halted(reason)) if fate.excuses_halt() && is_one_line(&reason) => {
                self.summary.halts += 1
            }
            Err(stop) => return Err(format!("with {fate:?} the member {stop}").into()),
        }
        self.bury(fate);
        Ok(())
    }

    /// Another pace and other clients for each life, now and then other flags. Whether there is a quota stays.
    fn vary(&mut self) {
        let new = Shape::draw(&mut self.rng);
        self.shape.pace = new.pace;
        self.shape.load = new.load;
        if self.rng.chance(1, 3) {
            let quota_bytes = self.shape.flags.quota_bytes;
            self.shape.flags = new.flags;
            self.shape.flags.quota_bytes = quota_bytes;
        }
    }

    fn bury(&mut self, fate: Fate) {
        let (op, found) = fate.strike(&self.disk, &mut self.rng);
        self.summary.lives += 1;
        self.summary.ops += op;
        self.summary.digest.add(&format!("{}", found.digest()));
        found.set_capacity(None);
        self.disk = found;
        self.history = std::mem::take(&mut self.history).carried_over(op);
    }

    /// Two more starts at the end must find the same.
    fn look_back(&mut self) -> Result<(), Text> {
        let first = recover(&self.disk, &self.shape, self.planted, &mut self.rng)?;
        let resolved = resolve(&self.history.at(0), &first, self.shape.has_quota())?;
        first.verify(&resolved.model, u64::MAX)?;
        let left = self.disk.crash(Damage::LoseAll, &mut self.rng);
        let second = recover(&left, &self.shape, self.planted, &mut self.rng)?;
        let loses_alarm = first.has_no_space_alarm() && !second.has_no_space_alarm();
        if first != second || loses_alarm {
            return Err(format!("a second recovery found {second:?}, the first one {first:?}").into());
        }
        self.summary.digest.add(&format!("{first:?} {}", self.disk.digest()));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
