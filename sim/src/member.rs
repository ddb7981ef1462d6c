//! The workload of the enumerations: a member with clients, killed once and stopped once in between.

use crate::audit::audit;
use crate::crash::{Stop, Workload};
use crate::history::{History, Request};
use crate::machine::{Delay, Pace, Planted};
use crate::session::{Session, Start};
use crate::shape::Shape;
use crate::state::State;
use crate::steps::{Step, resolve};
use stdx::fnv;
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
    /// A first start on an empty disk, `requests` requests by `seed`, a kill after two fifths of them and a stop in
    /// order after three fifths.
    pub fn new(seed: u64, requests: u64) -> Self {
        Self { shape: Shape::small(), seed, requests, planted: None }
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

    fn recover(&self, disk: &MemDisk) -> Result<State, String> {
        audit(disk).map_err(|what| format!("on the disk as it was found: {what}"))?;
        // What is drawn here follows from what is found, so that recoveries differ from each other.
        let seed = fnv::fnv1a_64(&[self.seed.to_le_bytes(), disk.digest().to_le_bytes()].concat());
        let shape = Shape { pace: quick(), ..self.shape };
        let start = Start { shape: &shape, life: RECOVERY, planted: self.planted, seed };
        let (mut machine, _, view) = start.boot(disk).map_err(|stop| stop.to_string())?;
        // Half of them end where clients would come, with nothing synced that needs not be; the others go on until the
        // member has nothing left to do.
        let mut newest = view;
        let settles = Prng::new(seed).chance(1, 2);
        if settles {
            newest = machine.settle(newest)?;
        }
        audit(disk).map_err(|what| format!("on the disk of the recovered member: {what}"))?;
        State::read(&newest, settles)
    }

    fn check(&self, requests: &[Request<'_, Step>], state: &State) -> Result<(), String> {
        let resolved = resolve(requests, state, self.shape.has_quota())?;
        state.verify(&resolved.model, HASHES_MAX)
    }
}

/// A disk that is never waited for long: a recovery has no clients to notice.
fn quick() -> Pace {
    let none = Delay { min_ns: 0, max_ns: 0 };
    let short = Delay { min_ns: 0, max_ns: 1000 };
    Pace {
        log_sync: short,
        backend_sync: short,
        news: short,
        wake: none,
        pause: none,
        stall_one_in: u64::MAX,
    }
}

/// The number of the start for recoveries, above all others.
const RECOVERY: u64 = 1000;
const HASHES_MAX: u64 = 4;

#[cfg(test)]
mod tests;
