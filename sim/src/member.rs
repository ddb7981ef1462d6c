//! The workload of the enumerations: a member with clients, killed once and stopped once in between.

use crate::audit::audit;
use crate::crash::{Finding, Stop, Workload};
use crate::history::{History, Request};
use crate::machine::{Delay, Pace, Planted};
use crate::session::{Session, Start, Started};
use crate::shape::Shape;
use crate::state::State;
use crate::steps::{Step, resolve};
use stdx::prng::Prng;
use vfs::mem::MemDisk;

/// How a life of the member ends, before the next one begins on the same disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Kill,
    Stop,
}

/// A member with clients.
#[derive(Clone, Debug)]
pub struct MemberWorkload {
    shape: Shape,
    seed: u64,
    requests: u64,
    planted: Option<Planted>,
}

impl MemberWorkload {
    /// A first start on an empty disk, `requests` requests by `seed` at a pace by `seed`, a kill after two fifths of
    /// them and a stop in order after three fifths.
    pub fn new(seed: u64, requests: u64) -> Self {
        let pace = Shape::draw(&mut Prng::new(seed)).pace;
        Self { shape: Shape { pace, ..Shape::small() }, seed, requests, planted: None }
    }

    /// The command that does again what was found.
    pub fn replay(&self, finding: &Finding) -> String {
        let Self { seed, requests, .. } = self;
        format!(
            "cargo xtask sim {} --seed {seed} --requests {requests}{}",
            finding.place(),
            plant(self.planted)
        )
    }

    /// The same with a bug in it.
    #[must_use]
    pub fn with(self, planted: Option<Planted>) -> Self {
        Self { planted, ..self }
    }

    fn lives(&self) -> [(u64, Ending); 3] {
        let part = self.requests / 5;
        [(2 * part, Ending::Kill), (part, Ending::Stop), (self.requests - 3 * part, Ending::Kill)]
    }
}

impl Workload for MemberWorkload {
    type Request = Step;
    type State = State;

    fn prepare(&self) -> MemDisk {
        MemDisk::new()
    }

    fn run(&self, disk: &MemDisk, history: &mut History<Step>) -> Result<(), Stop> {
        for (life, (requests, ending)) in self.lives().into_iter().enumerate() {
            let start =
                Start { shape: &self.shape, life: life as u64, planted: self.planted, seed: self.seed };
            let mut session = Session::open(disk, &start, history)?;
            session.run(requests, u64::MAX)?;
            match ending {
                Ending::Kill => drop(session),
                Ending::Stop => drop(session.stop()?),
            }
        }
        Ok(())
    }

    fn recover(&self, disk: &MemDisk, rng: &mut Prng) -> Result<State, String> {
        recover(disk, &self.shape, self.planted, rng)
    }

    fn check(&self, requests: &[Request<'_, Step>], state: &State) -> Result<(), String> {
        let resolved = resolve(requests, state, self.shape.has_quota())?;
        state.verify(&resolved.model, HASHES_MAX)
    }
}

/// A planted bug as an argument of the command line.
pub(crate) fn plant(planted: Option<Planted>) -> String {
    planted.map_or_else(String::new, |planted| format!(" --plant {}", planted.name()))
}

/// Starts a member with the flags of `shape` on `disk` as it was found, looks at it, and stops it without a word.
///
/// # Errors
/// Why it does not start, or what is wrong with its files.
pub fn recover(
    disk: &MemDisk,
    shape: &Shape,
    planted: Option<Planted>,
    rng: &mut Prng,
) -> Result<State, String> {
    audit(disk).map_err(|what| format!("on the disk as it was found: {what}"))?;
    let mut shape = Shape { pace: quick(rng), ..*shape };
    if rng.chance(1, 2) {
        // A snapshot is due at once: it must not rest on anything that only the caches hold.
        shape.flags.snapshot_count = 1;
    }
    // Half of them end where clients would come, with nothing synced that needs not be; the others go on until the
    // member has nothing left to do.
    let settles = rng.chance(1, 2);
    let start = Start { shape: &shape, life: RECOVERY, planted, seed: rng.next_u64() };
    let Started { mut machine, view, .. } = start.boot(disk).map_err(|stop| stop.to_string())?;
    let newest = if settles { machine.settle(view)? } else { view };
    audit(disk).map_err(|what| format!("on the disk of the recovered member: {what}"))?;
    State::read(&newest, settles)
}

/// A recovery has no clients to notice how long it takes, but log and backend may be apart.
fn quick(rng: &mut Prng) -> Pace {
    let up_to = |max_ns| Delay { min_ns: max_ns / 2, max_ns };
    let (log_ns, backend_ns) = [(1000, 1000), (1000, 1_000_000), (1_000_000, 1000)][rng.below(3) as usize];
    Pace {
        log_sync: up_to(log_ns),
        backend_sync: up_to(backend_ns),
        news: up_to(1000),
        wake: up_to(0),
        pause: up_to(0),
        stall_one_in: u64::MAX,
    }
}

/// The number of the start for recoveries, above all others.
const RECOVERY: u64 = 1000;
const HASHES_MAX: u64 = 4;

#[cfg(test)]
mod tests;
