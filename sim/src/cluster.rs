//! A cluster of members with disks, a network and clients, everything drawn from a seed.
//!
//! The network loses, delays, reorders and duplicates messages and is cut, in one direction or both; members pause,
//! crash at any step and lose what was not synced; disks are slow, stall and fail; leaders are told to hand over;
//! members are added as learners, promoted and removed. `witness.rs` looks at every member after each of its steps;
//! `clients.rs` judges every answer. Then the faults end: a leader must come, every request be answered, and all
//! members agree.

mod bugs;
mod clients;
mod faults;
mod seat;
mod witness;

use crate::crash::{Panicked, guarded, is_one_line};
use crate::machine::{Driving, End, Pace, Seen};
use crate::shape::Shape;
pub use bugs::Bug;
use bytes::Bytes;
use clients::Clients;
use faults::Plan;
use node::{Input, OutgoingSnapshot, Reply};
use proto::raftpb::{Message, MessageType};
use raft::Role;
use seat::Seat;
use std::collections::BTreeMap;
use stdx::prng::Prng;
use types::{ETCD_VERSION, MemberId};
use vfs::mem::MemDisk;
use witness::Witness;

const SECOND_NS: u64 = 1_000_000_000;
/// An election timeout of the members.
const ELECTION_NS: u64 = SECOND_NS;

/// What happened in a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Requests answered.
    pub answers: u64,
    /// Requests whose outcome nobody knows.
    pub given_up: u64,
    /// Terms that had a leader.
    pub leaders: u64,
    /// Entries committed.
    pub entries: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// Messages lost or cut.
    pub lost: u64,
    /// Messages that came twice.
    pub duplicated: u64,
    /// Processes killed, and power losses.
    pub crashes: u64,
    /// Members that halted because of their disk.
    pub halts: u64,
    /// Starts on what a member before had left.
    pub recoveries: u64,
    /// Partitions, pauses, and hand-overs of the leadership.
    pub disturbances: u64,
    /// Changes of the membership that were carried out.
    pub changes: u64,
    /// Snapshots sent.
    pub snapshots: u64,
    /// Snapshots put in place.
    pub installs: u64,
    /// Clusters that can elect nobody, by a limit of the protocol.
    pub deadlocks: u64,
    /// A hash over everything that happened: equal for equal seeds.
    pub digest: crate::session::Digest,
}

impl Summary {
    /// Adds what happened in another one.
    pub fn add(&mut self, other: &Self) {
        self.answers += other.answers;
        self.given_up += other.given_up;
        self.leaders += other.leaders;
        self.entries += other.entries;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.crashes += other.crashes;
        self.halts += other.halts;
        self.recoveries += other.recoveries;
        self.disturbances += other.disturbances;
        self.changes += other.changes;
        self.snapshots += other.snapshots;
        self.installs += other.installs;
        self.deadlocks += other.deadlocks;
        self.digest.add(&format!("{:?}", other.digest));
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} requests answered, {} of unknown outcome, ", self.answers, self.given_up)?;
        write!(f, "{} entries committed, {} terms with a leader, ", self.entries, self.leaders)?;
        write!(
            f,
            "{} messages delivered, {} lost, {} doubled, ",
            self.delivered, self.lost, self.duplicated
        )?;
        write!(
            f,
            "{} disturbances, {} crashes, {} halts by the disk, ",
            self.disturbances, self.crashes, self.halts
        )?;
        write!(f, "{} recoveries, {} changes of the membership, ", self.recoveries, self.changes)?;
        write!(f, "{} snapshots sent, {} installed, ", self.snapshots, self.installs)?;
        write!(f, "{} deadlocked by a promotion, ", self.deadlocks)?;
        write!(f, "digest {:016x}", self.digest.0)
    }
}

/// A cluster that was not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cluster seed {seed}, at {at_ms} ms: {what}")]
pub struct Failed {
    /// The seed.
    pub seed: u64,
    /// The bug that was planted.
    pub bug: Option<Bug>,
    /// Virtual time.
    pub at_ms: u64,
    /// What was wrong.
    pub what: String,
}

impl Failed {
    /// The command that does it again.
    pub fn replay(&self) -> String {
        let plant = self.bug.map_or_else(String::new, |bug| format!(" --plant {}", bug.name()));
        format!("cargo xtask sim --cluster --seed {}{plant}", self.seed)
    }
}

/// Runs the cluster of `seed`, whose members have a bug if one is given.
///
/// # Errors
/// The first thing that is wrong.
pub fn run(seed: u64, bug: Option<Bug>) -> Result<Summary, Failed> {
    let mut cluster = Cluster::new(seed, bug);
    let outcome = guarded(|| cluster.run());
    outcome.map_err(|Text(what)| Failed { seed, bug, at_ms: cluster.now / 1_000_000, what })?;
    Ok(cluster.summary())
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

/// What is under way.
enum Parcel {
    Message(Message),
    /// A snapshot with its database, from the member in a seat in one of its lives.
    Snapshot {
        message: Message,
        image: Vec<u8>,
        from: (usize, u64),
    },
    /// Word of how a snapshot arrived.
    Report {
        place: usize,
        life: u64,
        to: MemberId,
        is_delivered: bool,
    },
}

/// What the loop does next.
enum Event {
    Deliver,
    Seat(usize),
    Start(usize),
    Client(usize),
    Fault,
}

/// The loop.
struct Cluster {
    rng: Prng,
    bug: Option<Bug>,
    /// The first image that was sent, for a bug.
    old_image: Option<Vec<u8>>,
    plan: Plan,
    shape: Shape,
    pace: Pace,
    now: u64,
    seats: Vec<Seat>,
    /// Messages under way, by the time they arrive.
    wire: BTreeMap<(u64, u64), Parcel>,
    wire_count: u64,
    /// Who does not reach whom.
    cut: Vec<(MemberId, MemberId)>,
    fault_at: Option<u64>,
    clients: Clients,
    witness: Witness,
    /// The change of the membership under way: who was asked, what, and until when to wait.
    change: Option<faults::ChangeUnderWay>,
    summary: Summary,
}

impl Cluster {
    fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut rng = Prng::new(seed);
        let plan = Plan::draw(&mut rng);
        let mut shape = Shape::small();
        let (snapshot_count, catch_up) = plan.snapshots;
        shape.flags.snapshot_count = snapshot_count;
        let names: Vec<String> = (1..=plan.members).map(|number| format!("m{number}")).collect();
        let founders: Vec<(String, Vec<String>)> =
            names.iter().map(|name| (name.clone(), vec![format!("http://{name}:2380")])).collect();
        let seats =
            names.iter().map(|name| Seat::new(name, &founders, None).with_catch_up(catch_up)).collect();
        Self {
            clients: Clients::new(plan.clients),
            fault_at: Some(2 * SECOND_NS),
            rng,
            bug,
            old_image: None,
            shape,
            pace: plan.pace,
            plan,
            now: 0,
            seats,
            wire: BTreeMap::new(),
            wire_count: 0,
            cut: Vec::new(),
            witness: Witness::default(),
            change: None,
            summary: Summary::default(),
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            answers: self.clients.answered,
            given_up: self.clients.given_up + self.clients.cut_short,
            leaders: self.witness.leaders(),
            entries: self.witness.last_committed(),
            ..self.summary
        }
    }

    fn run(&mut self) -> Result<(), Text> {
        self.run_until(self.plan.lasts_ns)?;
        self.heal();
        let healed_at = self.now;
        let elected = self.run_until_done(healed_at + 10 * ELECTION_NS, |cluster| cluster.leader().is_some());
        if elected.is_err() && self.waits_for_unaware_voter() {
            self.summary.deadlocks += 1;
            return Ok(());
        }
        elected.map_err(|text| self.explain(text, "no leader ten election timeouts after the last fault"))?;
        self.follow_membership();
        // Whatever was asked before has its answer or its time is over; from here on everything is answered.
        // A sync that stalled before may go on for a while.
        self.run_until(self.now + 12 * SECOND_NS)?;
        let (answered, given_up) = (self.clients.answered, self.clients.given_up);
        self.run_until(self.now + 3 * SECOND_NS)?;
        if self.clients.given_up > given_up || self.clients.answered == answered {
            let what = format!(
                "without faults {} requests were answered and {} were not, the last one {:?}",
                self.clients.answered - answered,
                self.clients.given_up - given_up,
                self.clients.last_given_up
            );
            return Err(self.explain(String::new().into(), &what));
        }
        self.clients.next_at.fill(u64::MAX);
        self.run_until_done(self.now + 10 * SECOND_NS, Self::is_converged)
            .map_err(|text| self.explain(text, "the members do not converge"))?;
        self.verify()
    }

    fn explain(&self, Text(text): Text, what: &str) -> Text {
        let mut lines = format!("{what}{text}");
        for seat in &self.seats {
            let status = seat.machine.as_ref().map(|machine| machine.member().raft().describe().to_string());
            lines += &format!("; {} {}: {}", seat.name, seat.id, status.unwrap_or("down".into()));
        }
        Text(lines)
    }

    fn run_until(&mut self, until: u64) -> Result<(), Text> {
        while let Some((at, event)) = self.next_event()
            && at <= until
        {
            self.now = self.now.max(at);
            self.act(event)?;
        }
        self.now = self.now.max(until);
        Ok(())
    }

    fn run_until_done(&mut self, until: u64, is_done: impl Fn(&Self) -> bool) -> Result<(), Text> {
        while !is_done(self) {
            match self.next_event() {
                Some((at, event)) if at <= until => {
                    self.now = self.now.max(at);
                    self.act(event)?;
                }
                _ => return Err(String::new().into()),
            }
        }
        Ok(())
    }

    fn next_event(&self) -> Option<(u64, Event)> {
        let wire = self.wire.first_key_value().map(|((at, _), _)| (*at, Event::Deliver));
        let seats = self.seats.iter().enumerate();
        let due = seats.clone().filter_map(|(place, seat)| Some((seat.next_due()?, Event::Seat(place))));
        let starts = seats.filter_map(|(place, seat)| Some((seat.starts_at?, Event::Start(place))));
        let client = self.clients.next_due().map(|(at, client)| (at, Event::Client(client)));
        let fault = self.fault_at.map(|at| (at, Event::Fault));
        wire.into_iter().chain(due).chain(starts).chain(client).chain(fault).min_by_key(|(at, _)| *at)
    }

    fn act(&mut self, event: Event) -> Result<(), Text> {
        match event {
            Event::Deliver => self.deliver(),
            Event::Seat(place) => {
                if let Some(machine) = &mut self.seats[place].machine {
                    machine.pass_to(self.now);
                    machine.step();
                }
                self.poll(place)
            }
            Event::Start(place) => self.start(place),
            Event::Client(client) => self.let_client_act(client),
            Event::Fault => self.disturb(),
        }
    }

    fn deliver(&mut self) -> Result<(), Text> {
        let Some((_, parcel)) = self.wire.pop_first() else { return Ok(()) };
        let mut message = match parcel {
            Parcel::Message(message) => message,
            Parcel::Snapshot { message, image, from } => return self.deliver_snapshot(message, &image, from),
            Parcel::Report { place, life, to, is_delivered } => {
                let (is_there, paused_until) =
                    (self.seats[place].life == life, self.seats[place].paused_until);
                if is_there && paused_until > self.now {
                    self.mail(paused_until, Parcel::Report { place, life, to, is_delivered });
                    return Ok(());
                }
                let input = Input::SnapshotSent { to, is_delivered };
                return if is_there { self.tell(place, input) } else { Ok(()) };
            }
        };
        let (from, to) = (MemberId(message.from), MemberId(message.to));
        let place = self.seats.iter().position(|seat| seat.id == to && seat.machine.is_some());
        let Some(place) = place.filter(|_| !self.cut.contains(&(from, to))) else {
            self.summary.lost += 1;
            return Ok(());
        };
        let seat = &mut self.seats[place];
        if seat.paused_until > self.now {
            // It waits in front of the process.
            let at = seat.paused_until;
            self.mail(at, Parcel::Message(message));
            return Ok(());
        }
        self.summary.delivered += 1;
        self.spoil_received(place, &mut message);
        let seat = &mut self.seats[place];
        if let Some(machine) = &mut seat.machine {
            machine.pass_to(self.now);
            machine.tell(Input::Message(Box::new(message)));
        }
        self.poll(place)
    }

    fn mail(&mut self, at: u64, parcel: Parcel) {
        self.wire_count += 1;
        self.wire.insert((at, self.wire_count), parcel);
    }

    /// A snapshot is on its way for longer than a message, and lost more often.
    fn send_snapshot(&mut self, place: usize, outgoing: &OutgoingSnapshot) -> Result<(), Text> {
        self.summary.snapshots += 1;
        let image = outgoing.file.root.image();
        let mut bytes = vec![0; usize::try_from(image.size_bytes()).map_err(|error| error.to_string())?];
        let read = image.read_at(0, &mut bytes).map_err(|error| error.to_string())?;
        if read != bytes.len() {
            return Err(format!("an image of {} bytes ends at {read}", bytes.len()).into());
        }
        let bytes = self.spoil_image(bytes);
        let at = self.now + 5 * self.plan.delay.draw(&mut self.rng) + self.rng.below(SECOND_NS);
        let (message, life) = (outgoing.message.clone(), self.seats[place].life);
        let to = MemberId(message.to);
        let parcel = if self.rng.chance(3 * self.plan.lost, 1000) {
            Parcel::Report { place, life, to, is_delivered: false }
        } else {
            Parcel::Snapshot { message, image: bytes, from: (place, life) }
        };
        self.mail(at, parcel);
        Ok(())
    }

    fn deliver_snapshot(&mut self, message: Message, image: &[u8], from: (usize, u64)) -> Result<(), Text> {
        let (sender, to) = (MemberId(message.from), MemberId(message.to));
        let index = message.snapshot.as_ref().map_or(0, |snapshot| snapshot.metadata.index);
        let place = self.seats.iter().position(|seat| seat.id == to && seat.machine.is_some());
        let is_delivered = place.is_some_and(|place| {
            let seat = &self.seats[place];
            !self.cut.contains(&(sender, to)) && seat.paused_until <= self.now && seat.receive(index, image)
        });
        let (place_of_sender, life) = from;
        let at = self.now + self.plan.delay.draw(&mut self.rng);
        self.mail(at, Parcel::Report { place: place_of_sender, life, to, is_delivered });
        match place {
            Some(place) if is_delivered => self.tell(place, Input::Snapshot(Box::new(message))),
            _ => Ok(()),
        }
    }

    fn send(&mut self, mut message: Message) {
        self.spoil_sent(&mut message);
        let kind = message.r#type();
        if self.rng.chance(self.plan.lost, 1000) {
            self.summary.lost += 1;
            return;
        }
        // A proposal that came twice would be carried out twice; no connection delivers a message twice.
        let is_doubled = kind != MessageType::MsgProp && self.rng.chance(self.plan.duplicated, 1000);
        for _ in 0..1 + u64::from(is_doubled) {
            let at = self.now + self.plan.delay.draw(&mut self.rng);
            self.mail(at, Parcel::Message(message.clone()));
        }
        self.summary.duplicated += u64::from(is_doubled);
    }

    /// Lets a member do what it can, and looks at it.
    fn poll(&mut self, place: usize) -> Result<(), Text> {
        loop {
            let Some(machine) = &mut self.seats[place].machine else { return Ok(()) };
            let Some(seen) = machine.poll() else { break };
            self.take(place, seen)?;
        }
        self.witness.look(&mut self.seats[place])?;
        let end = self.seats[place].machine.as_ref().and_then(|machine| machine.end().cloned());
        end.map_or(Ok(()), |end| self.ended(place, &end))
    }

    fn take(&mut self, place: usize, seen: Seen) -> Result<(), Text> {
        match seen {
            Seen::View(view) => {
                self.witness.compare(self.seats[place].id, &view)?;
                self.seats[place].view = Some(view);
            }
            Seen::Replies(replies) => {
                for reply in replies {
                    self.take_reply(place, reply)?;
                }
            }
            Seen::ReadsReady(ids) => {
                for id in ids {
                    let view = self.seats[place].view.as_deref();
                    self.clients.read(place, id, view, self.now)?;
                }
            }
            Seen::SentSnapshot(snapshot) => self.send_snapshot(place, &snapshot)?,
            Seen::Sent(messages) => messages.into_iter().for_each(|message| self.send(message)),
            Seen::Ready | Seen::OwnEntries { .. } => {}
        }
        Ok(())
    }

    fn take_reply(&mut self, place: usize, reply: Reply) -> Result<(), Text> {
        if self.change_answered(place, &reply) {
            return Ok(());
        }
        let revision = reply.result.ok().map(|answer| answer.revision);
        Ok(self.clients.answer(place, reply.id, revision, self.now)?)
    }

    fn ended(&mut self, place: usize, end: &End) -> Result<(), Text> {
        let seat = &mut self.seats[place];
        match end {
            End::Restarts => {
                let disk = seat.disk.kill();
                seat.end(disk, Some(self.now));
                self.summary.installs += 1;
                self.clients.seat_ended(place, self.now);
                Ok(())
            }
            End::Halted(reason) if seat.has_faults && is_one_line(reason) => {
                self.summary.halts += 1;
                self.crash(place);
                Ok(())
            }
            End::Halted(reason) if reason.contains("removed") && seat.was_removed() => {
                seat.is_gone = true;
                let disk = seat.disk.kill();
                seat.end(disk, None);
                self.clients.seat_ended(place, self.now);
                Ok(())
            }
            end => Err(format!("{} has ended: {end:?}", seat.name).into()),
        }
    }

    fn start(&mut self, place: usize) -> Result<(), Text> {
        let seat = &mut self.seats[place];
        self.summary.recoveries += u64::from(seat.disk.op_count() > 0 || !seat.disk.files().is_empty());
        let planted = self.bug.and_then(Bug::of_member);
        let driving = Driving { pace: self.pace, planted, rng: Prng::new(self.rng.next_u64()) };
        if let Err(reason) = seat.start(self.now, &self.shape, driving) {
            // Nobody who was removed starts again: its own directory says so.
            if reason.contains("was removed from its cluster") {
                (seat.is_gone, seat.starts_at) = (true, None);
                return Ok(());
            }
            return Err(reason.into());
        }
        if let Some(machine) = &mut seat.machine {
            machine.tell(Input::MembersAllow(ETCD_VERSION.level()));
        }
        self.poll(place)
    }

    fn let_client_act(&mut self, client: usize) -> Result<(), Text> {
        if self.resend(client)? {
            return Ok(());
        }
        self.clients.give_up(client);
        let what = self.clients.draw(&mut self.rng);
        self.ask(client, what)
    }

    /// Asks some member for something.
    fn ask(&mut self, client: usize, what: (Bytes, Option<Bytes>)) -> Result<(), Text> {
        let running = |seat: &Seat| seat.view.is_some() && seat.paused_until <= self.now && !seat.is_gone;
        let places: Vec<usize> = (0..self.seats.len()).filter(|place| running(&self.seats[*place])).collect();
        if places.is_empty() {
            self.clients.next_at[client] = self.now + SECOND_NS / 10;
            return Ok(());
        }
        let place = places[usize::try_from(self.rng.below(places.len() as u64)).expect("few seats")];
        let Some(machine) = &mut self.seats[place].machine else { return Ok(()) };
        machine.pass_to(self.now);
        let is_local_read = what.1.is_none() && self.bug == Some(Bug::LocalReads);
        let id = match &what {
            (key, Some(value)) => machine.propose(&Clients::put(key, value)).0,
            (_, None) if is_local_read => machine.request_id(),
            (_, None) => machine.read_index(),
        };
        self.clients.begin(place, id, what, (self.now, client));
        if is_local_read {
            let view = self.seats[place].view.as_deref();
            self.clients.read(place, id, view, self.now)?;
        }
        self.poll(place)
    }

    /// Lets the process in a seat end, with or without the machine under it; it starts again later.
    fn crash(&mut self, place: usize) {
        let starts_at = self.now + self.rng.below(4 * SECOND_NS);
        let seat = &mut self.seats[place];
        let disk: MemDisk = if !seat.has_faults && self.rng.chance(1, 3) {
            seat.disk.kill()
        } else {
            seat.disk.crash(faults::damage(&mut self.rng), &mut self.rng)
        };
        seat.end(disk, Some(starts_at));
        self.summary.crashes += 1;
        self.clients.seat_ended(place, self.now);
        if self.change.as_ref().is_some_and(|change| change.place == place) {
            self.change = None;
        }
    }

    /// Ends all faults.
    fn heal(&mut self) {
        self.fault_at = None;
        self.cut.clear();
        self.plan.lost = 0;
        self.plan.duplicated = 0;
        self.plan.delay = Plan::good_network();
        self.pace = Pace::steady();
        for place in 0..self.seats.len() {
            self.seats[place].paused_until = 0;
            if self.seats[place].has_faults {
                self.crash(place);
            }
            let seat = &mut self.seats[place];
            if let Some(machine) = &mut seat.machine {
                machine.set_pace(self.pace);
            }
            if seat.starts_at.is_some() {
                seat.starts_at = Some(self.now);
            }
        }
    }

    /// Whether the member with the longest log is a voter as others know, and does not know it itself: a limit of the
    /// protocol (decision 6).
    fn waits_for_unaware_voter(&self) -> bool {
        let running =
            self.seats.iter().filter_map(|seat| Some((seat.id.0, seat.machine.as_ref()?.member().raft())));
        let end = |raft: &raft::Raft| {
            let last = raft.status().last;
            (raft.term_of(last), last)
        };
        let Some((longest, own)) = running.clone().max_by_key(|(_, raft)| end(raft)) else { return false };
        let is_voter = |raft: &raft::Raft| raft.conf_state().voters.contains(&longest);
        !is_voter(own) && running.clone().any(|(_, raft)| is_voter(raft))
    }

    /// The place of the leader with the highest term.
    fn leader(&self) -> Option<usize> {
        let places = self.seats.iter().enumerate();
        let leaders = places.filter_map(|(place, seat)| {
            let status = seat.machine.as_ref()?.member().status();
            (status.role == Role::Leader && status.has_committed_in_term).then_some((status.term, place))
        });
        leaders.max().map(|(_, place)| place)
    }

    /// Whether everything committed is applied everywhere.
    fn is_converged(&self) -> bool {
        let Some(leader) = self.leader().and_then(|place| self.seats[place].machine.as_ref()) else {
            return false;
        };
        let goal = leader.member().status();
        self.members().all(|seat| {
            seat.machine.as_ref().is_some_and(|machine| {
                let status = machine.member().status();
                status.last == goal.last
                    && status.commit == goal.last
                    && machine.member().applier().applied().0 == goal.last
                    && seat.view.as_ref().is_some_and(|view| view.state.applied == goal.last)
            })
        })
    }

    /// The seats whose members belong to the cluster, as the leader knows it.
    fn members(&self) -> impl Iterator<Item = &Seat> {
        let leader = self.leader().and_then(|place| self.seats[place].machine.as_ref());
        self.seats.iter().filter(move |seat| {
            leader.is_some_and(|machine| machine.member().applier().cluster().member(seat.id).is_some())
        })
    }

    /// Whether all members and all clients agree about what has happened.
    fn verify(&mut self) -> Result<(), Text> {
        let mut first: Option<crate::state::State> = None;
        for seat in self.members() {
            let Some(view) = &seat.view else { return Err(format!("{} shows nothing", seat.name).into()) };
            let state = crate::state::State::read(view, false)?;
            match &first {
                Some(first) if *first != state => {
                    return Err(format!("{} differs: {state:?} and {first:?}", seat.name).into());
                }
                Some(_) => {}
                None => first = Some(state),
            }
        }
        let first = first.ok_or_else(|| "nobody is left".to_owned())?;
        self.clients.verify(&first.view)?;
        let digest = format!("{:?} {} {}", first, self.now, self.wire_count);
        self.summary.digest.add(&digest);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
