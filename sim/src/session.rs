//! One life of a member with its clients, every answer checked against the model.
//!
//! The model stands where the newest view stands: when a view is published, everything in the log up to its applied
//! index is done on the model, and the two must show the same. So an answer that comes before the view that holds it, a
//! view that goes back, a read that misses something acknowledged, or a result that is not by the book is found at once.

mod client;

use crate::crash::Stop;
use crate::history::{History, RequestNumber};
use crate::machine::{Driving, End, Machine, Planted, Seen};
use crate::model::{Model, Outcome};
use crate::request::Request;
use crate::shape::Shape;
use crate::state::{self, State};
use crate::steps::{Step, resolve};
use crate::traffic::Traffic;
use apply::Refusal;
use client::Client;
use node::{BootInfo, Failure, Reply, View};
use std::collections::{BTreeMap, VecDeque};
use stdx::fnv;
use stdx::prng::Prng;
use types::{LogIndex, RequestId};
use vfs::mem::MemDisk;

type Result<T> = std::result::Result<T, Stop>;

fn wrong<T>(what: impl Into<String>) -> Result<T> {
    Err(Stop::Wrong(what.into()))
}

/// A hash over everything that happens in an order: equal runs have equal ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(pub u64);

impl Digest {
    /// Takes the next thing.
    pub fn add(&mut self, text: &str) {
        let mut bytes = self.0.to_le_bytes().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        self.0 = fnv::fnv1a_64(&bytes);
    }
}

/// How a member is started.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// Clients, flags and pace.
    pub shape: &'a Shape,
    /// Number of the start, from 0.
    pub life: u64,
    /// A bug, if one is wanted.
    pub planted: Option<Planted>,
    /// Where every draw comes from.
    pub seed: u64,
}

impl Start<'_> {
    /// Draws of one kind, independent of the others.
    fn rng(&self, purpose: &str) -> Prng {
        Prng::new(fnv::fnv1a_64(format!("{} {} {purpose}", self.seed, self.life).as_bytes()))
    }

    /// Boots a member and lets it run until clients may come.
    ///
    /// # Errors
    /// [`Stop::Halted`] if it does not come so far, [`Stop::Wrong`] if it stands still.
    pub fn boot(&self, disk: &MemDisk) -> Result<Started> {
        let driving = Driving { pace: self.shape.pace, planted: self.planted, rng: self.rng("pace") };
        let booted = Machine::boot(disk, self.shape.config(self.life), driving);
        let (mut machine, info) = booted.map_err(|error| Stop::Halted(error.to_string()))?;
        let (mut newest, mut first_linearizable) = (None, None);
        let mut is_ready = false;
        loop {
            while let Some(seen) = machine.poll() {
                match seen {
                    Seen::View(view) => {
                        if view.serves_linearizable && first_linearizable.is_none() {
                            first_linearizable = Some(view.clone());
                        }
                        newest = Some(view);
                    }
                    Seen::Ready => is_ready = true,
                    Seen::Replies(_) | Seen::ReadsReady(_) | Seen::OwnEntries { .. } => {}
                    Seen::Sent(_) | Seen::SentSnapshot(_) => return wrong("a sole voter writes to somebody"),
                }
            }
            if is_ready {
                let (Some(view), Some(first_linearizable)) = (newest, first_linearizable) else {
                    return wrong("the member is ready and serves no linearizable reads");
                };
                return Ok(Started { machine, info, view, first_linearizable });
            }
            go_on(&mut machine)?;
        }
    }
}

/// A member to which clients may come.
pub struct Started {
    /// The member.
    pub machine: Machine,
    /// What it told about its start.
    pub info: BootInfo,
    /// Its newest view.
    pub view: Box<View>,
    /// The first view of which it said that it serves linearizable reads.
    pub first_linearizable: Box<View>,
}

/// Does the next thing in a machine that must go on.
fn go_on(machine: &mut Machine) -> Result<()> {
    let goes_on = machine.step();
    match machine.end() {
        Some(End::Restarts) => wrong("a sole voter has received a snapshot"),
        Some(End::Halted(reason)) => Err(Stop::Halted(reason.clone())),
        Some(End::Stopped) => wrong("the member has stopped without being asked to"),
        None if goes_on => Ok(()),
        None => wrong("the member waits for something that will not happen"),
    }
}

/// Something in the log that no view shows yet.
struct Placed {
    index: LogIndex,
    what: Place,
}

enum Place {
    Request(RequestId),
    Alarm,
}

/// A request that waits for its answer.
struct Asked {
    client: usize,
    request: Request,
    /// Its place in the log and in the history; none if the member did not take it.
    place: Option<(LogIndex, RequestNumber)>,
    /// What it came to, once it was applied.
    outcome: Option<Outcome>,
}

/// A member and its clients.
pub struct Session<'a> {
    machine: Machine,
    info: BootInfo,
    history: &'a mut History<Step>,
    shape: &'a Shape,
    traffic: Traffic,
    rng: Prng,
    model: Model,
    view: Box<View>,
    placed: VecDeque<Placed>,
    asked: BTreeMap<RequestId, Asked>,
    clients: Vec<Client>,
    /// The last entry whose answer a client has.
    acknowledged: LogIndex,
    digest: Digest,
    answers: u64,
    is_stopping: bool,
}

impl<'a> Session<'a> {
    /// Starts a member and compares what it holds with `history`, in which it then notes what it shows.
    ///
    /// # Errors
    /// [`Stop::Halted`] if the member does not start, [`Stop::Wrong`] if it holds something else than it must.
    pub fn open(disk: &MemDisk, start: &Start<'a>, history: &'a mut History<Step>) -> Result<Self> {
        let Started { mut machine, info, mut view, first_linearizable } = start.boot(disk)?;
        // Its duties may still be under way. Behind them all entries of its own are alarms.
        while view.state.applied < machine.last_index() {
            go_on(&mut machine)?;
            while let Some(seen) = machine.poll() {
                if let Seen::View(newest) = seen {
                    view = newest;
                }
            }
        }
        let steps = history.at(disk.op_count());
        let state = State::read(&first_linearizable, false).map_err(Stop::Wrong)?;
        resolve(&steps, &state, start.shape.has_quota())
            .map_err(|what| Stop::Wrong(format!("in the first view for linearizable reads: {what}")))?;
        let state = State::read(&view, false).map_err(Stop::Wrong)?;
        let resolved = resolve(&steps, &state, start.shape.has_quota()).map_err(Stop::Wrong)?;
        state.verify(&resolved.model, HASHES_MAX).map_err(Stop::Wrong)?;
        let found = history.begin(disk, resolved.step());
        history.acknowledge(disk, found);
        let mut digest = Digest::default();
        digest.add(&format!("{:?} {state:?} {}", info.consistent_index, resolved.kept));
        let load = start.shape.load;
        let now = machine.now();
        Ok(Self {
            acknowledged: view.state.applied,
            machine,
            info,
            history,
            shape: start.shape,
            traffic: Traffic::new(load, start.rng("traffic"), start.life),
            rng: start.rng("clients"),
            model: resolved.model,
            view,
            placed: VecDeque::new(),
            asked: BTreeMap::new(),
            clients: (0..load.clients).map(|_| Client::idle(now)).collect(),
            digest,
            answers: 0,
            is_stopping: false,
        })
    }

    /// Everything that has happened, in one number.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many requests were answered.
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// Lets the clients ask until `requests` more requests are in the log, or virtual time is `until`.
    ///
    /// # Errors
    /// [`Stop::Halted`] if the member halts, [`Stop::Wrong`] if it does something that it must not do.
    pub fn run(&mut self, requests: u64, until: u64) -> Result<()> {
        let wanted = self.history.len() as u64 + requests;
        let mut steps_left = STEPS_PER_REQUEST_MAX * (requests + 10);
        while (self.history.len() as u64) < wanted && self.machine.now() < until {
            steps_left -= 1;
            if steps_left == 0 {
                return wrong("the member works without getting on");
            }
            self.step()?;
        }
        Ok(())
    }

    /// Does what comes first: a client's turn, or what is due in the member.
    fn step(&mut self) -> Result<()> {
        let client = (0..self.clients.len()).min_by_key(|client| self.clients[*client].at);
        let client = client.filter(|client| self.clients[*client].at < u64::MAX);
        match (client, self.machine.next_due()) {
            (Some(client), due) if due.is_none_or(|due| self.clients[client].at <= due) => {
                self.machine.pass_to(self.clients[client].at);
                self.turn(client)?;
                // Sometimes the next client is quicker than the member.
                if self.rng.chance(1, 4) { Ok(()) } else { self.look().map(drop) }
            }
            (_, Some(_)) => {
                go_on(&mut self.machine)?;
                self.look().map(drop)
            }
            (_, None) => {
                let has_seen = self.look()?;
                if has_seen || self.machine.next_due().is_some() {
                    return Ok(());
                }
                wrong("clients wait and nothing will happen")
            }
        }
    }

    /// Looks at everything that the member does now; whether there was anything.
    fn look(&mut self) -> Result<bool> {
        let mut has_seen = false;
        while let Some(seen) = self.machine.poll() {
            has_seen = true;
            self.take(seen)?;
        }
        match self.machine.end() {
            Some(End::Halted(reason)) => Err(Stop::Halted(reason.clone())),
            Some(End::Stopped) if !self.is_stopping => wrong("the member has stopped without being asked to"),
            _ => Ok(has_seen),
        }
    }

    /// Stops the member in order.
    ///
    /// # Errors
    /// As [`Session::run`], and [`Stop::Wrong`] if something is left undone.
    pub fn stop(mut self) -> Result<Digest> {
        self.is_stopping = true;
        self.machine.stop();
        // Who comes now is refused.
        if let Some(client) = (0..self.clients.len()).find(|client| self.clients[*client].is_idle()) {
            self.turn(client)?;
        }
        self.look()?;
        while self.machine.end().is_none() {
            go_on(&mut self.machine)?;
            self.look()?;
        }
        if !self.placed.is_empty() {
            return wrong(format!("the member has stopped before it applied {} entries", self.placed.len()));
        }
        let applier = self.machine.member().applier();
        let (applied, durable) = (applier.applied().0, applier.durable_index());
        if applied != durable {
            return wrong(format!(
                "the member has stopped at entry {applied} with the file at entry {durable}"
            ));
        }
        // Whoever still waits has no answer, but nothing of it may be lost any more.
        for (_, number) in std::mem::take(&mut self.asked).into_values().filter_map(|asked| asked.place) {
            self.history.acknowledge(self.machine.disk(), number);
        }
        Ok(self.digest)
    }

    fn take(&mut self, seen: Seen) -> Result<()> {
        match seen {
            Seen::View(view) => self.take_view(view),
            Seen::Replies(replies) => replies.into_iter().try_for_each(|reply| self.take_reply(reply)),
            Seen::ReadsReady(ids) => ids.into_iter().try_for_each(|id| self.finish_read(id)),
            Seen::OwnEntries { first, last, op } => self.take_own_entries(first, last, op),
            Seen::Ready => wrong("the member is ready twice"),
            Seen::Sent(_) | Seen::SentSnapshot(_) => wrong("a sole voter writes to somebody"),
        }
    }

    fn take_own_entries(&mut self, first: LogIndex, last: LogIndex, op: u64) -> Result<()> {
        if !self.shape.has_quota() {
            return wrong(format!("the member has put entry {first} into the log without a reason"));
        }
        for index in first.0..=last.0 {
            self.history.begin_at(op, Step::Alarm);
            self.placed.push_back(Placed { index: LogIndex(index), what: Place::Alarm });
        }
        Ok(())
    }

    fn take_view(&mut self, view: Box<View>) -> Result<()> {
        let applied = view.state.applied;
        if applied < self.view.state.applied {
            return wrong(format!("the view goes back from entry {} to {applied}", self.view.state.applied));
        }
        if !view.serves_linearizable {
            return wrong(format!("the view of entry {applied} serves no linearizable reads any more"));
        }
        while let Some(placed) = self.placed.pop_front_if(|placed| placed.index <= applied) {
            match placed.what {
                Place::Alarm => self.model.set_no_space_alarm(true),
                Place::Request(id) => {
                    if let Some(asked) = self.asked.get_mut(&id) {
                        asked.outcome = Some(self.model.apply(&asked.request));
                    }
                }
            }
        }
        let alarms = view.state.alarms.len();
        let store = &view.state.store;
        let shown = (store.revision(), store.compact_revision(), alarms > 0);
        let expected =
            (self.model.revision(), self.model.compact_revision(), self.model.has_no_space_alarm());
        if shown != expected {
            return wrong(format!(
                "the view of entry {applied} has revision, compacted revision and alarm {shown:?}, expected {expected:?}"
            ));
        }
        self.digest.add(&format!("view {applied} {shown:?}"));
        self.view = view;
        if self.rng.chance(1, DEEP_LOOK_ONE_IN) {
            let state = State::read(&self.view, false).map_err(Stop::Wrong)?;
            state
                .compare(&self.model)
                .map_err(|what| Stop::Wrong(format!("in the view of {applied}: {what}")))?;
        }
        Ok(())
    }

    fn take_reply(&mut self, reply: Reply) -> Result<()> {
        // The member answers its own requests too, and those that earlier lives have left in the log.
        let Some(asked) = self.asked.remove(&reply.id) else { return Ok(()) };
        let what = |why: String| Stop::Wrong(format!("{:?} at {:?}: {why}", asked.request, asked.place));
        self.digest.add(&format!("reply {:?}", reply.result.as_ref().map(|answer| answer.revision)));
        self.clients[asked.client] =
            Client::idle(self.machine.now() + self.shape.load.think.draw(&mut self.rng));
        self.answers += 1;
        let Some((index, number)) = asked.place else {
            return match reply.result {
                Err(
                    Failure::NoLeader | Failure::LeaderChanged | Failure::TooManyRequests | Failure::Stopped,
                ) => Ok(()),
                other => Err(what(format!("was not taken and is answered with {other:?}"))),
            };
        };
        let Some(outcome) = &asked.outcome else {
            return Err(what("is answered before a view shows it".to_owned()));
        };
        self.verify_answer(&asked.request, outcome, &reply).map_err(what)?;
        self.history.acknowledge(self.machine.disk(), number);
        self.acknowledged = self.acknowledged.max(index);
        Ok(())
    }

    fn verify_answer(
        &self,
        request: &Request,
        outcome: &Outcome,
        reply: &Reply,
    ) -> std::result::Result<(), String> {
        let differs = || Err(format!("is answered with {:?}, expected {outcome:?}", reply.result));
        let answer = match (&reply.result, outcome) {
            (Ok(answer), Ok(_)) => answer,
            (Err(Failure::Refused(found)), Err(expected)) if found == expected => return Ok(()),
            // What exceeds the quota is done, and its client is told so.
            (Err(Failure::Refused(Refusal::NoSpace)), Ok(_))
                if self.shape.has_quota() && request.needs_space() =>
            {
                return Ok(());
            }
            _ => return differs(),
        };
        let Ok((revision, expected)) = outcome else { return differs() };
        if request.decode_answer(answer.body.clone())? != *expected {
            return differs();
        }
        if !request.is_answered_late() {
            return if answer.revision == *revision { Ok(()) } else { differs() };
        }
        if answer.revision < *revision || answer.revision > self.model.revision() {
            return differs();
        }
        match request {
            Request::Compact(compaction) if compaction.revision == self.model.compact_revision() => {
                state::verify_compaction_is_done(&self.view, &self.model)
            }
            // A newer one has begun meanwhile.
            _ => Ok(()),
        }
    }
}

/// At so many revisions HashKV is compared at a start.
const HASHES_MAX: u64 = 5;
/// So often a view is compared with the model in full.
const DEEP_LOOK_ONE_IN: u64 = 40;
/// Bounds the time that a stuck member costs. A stalled disk may need many turns of readers for one request.
const STEPS_PER_REQUEST_MAX: u64 = 20_000;
