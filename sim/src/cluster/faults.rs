//! What goes wrong in a cluster, and what its operators do meanwhile.

use crate::cluster::seat::Seat;
use crate::cluster::{Cluster, SECOND_NS, Text};
use crate::machine::{Delay, Pace};
use crate::request::Request;
use membership::{Change, Member};
use node::{Input, Joining, Reply};
use proto::etcdserverpb::CompactionRequest;
use stdx::prng::Prng;
use types::{MemberId, RequestId};
use vfs::ErrorKind;
use vfs::mem::Damage;

/// How bad it gets.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Founders.
    pub members: u64,
    pub clients: usize,
    /// How long the faults last, in virtual time.
    pub lasts_ns: u64,
    /// Messages lost, of a thousand.
    pub lost: u64,
    /// Messages that come twice, of a thousand.
    pub duplicated: u64,
    /// How long messages travel; a wide range reorders them.
    pub delay: Delay,
    pub pace: Pace,
    /// Entries between two snapshots, and kept before one.
    pub snapshots: (u64, u64),
    /// Between two disturbances.
    pub disturbance: Delay,
}

impl Plan {
    pub fn draw(rng: &mut Prng) -> Self {
        let millis = |min: u64, max: u64| Delay { min_ns: min * 1_000_000, max_ns: max * 1_000_000 };
        let slow =
            Pace { log_sync: millis(1, 60), backend_sync: millis(5, 80), stall_one_in: 30, ..Pace::steady() };
        Self {
            members: pick(rng, &[1, 3, 3, 3, 5]),
            clients: pick(rng, &[1, 3, 6]),
            lasts_ns: (6 + rng.below(20)) * SECOND_NS,
            lost: pick(rng, &[0, 0, 5, 50, 200]),
            duplicated: pick(rng, &[0, 10, 100]),
            delay: pick(rng, &[Self::good_network(), millis(0, 30), millis(1, 300)]),
            pace: pick(rng, &[Pace::steady(), slow]),
            snapshots: pick(rng, &[(10, 0), (40, 10), (200, 50), (1_000_000, 0)]),
            disturbance: pick(rng, &[millis(100, 1000), millis(500, 4000)]),
        }
    }

    pub fn good_network() -> Delay {
        Delay { min_ns: 100_000, max_ns: 600_000 }
    }
}

/// A change of the membership that was asked for.
pub struct ChangeUnderWay {
    /// Who was asked.
    pub place: usize,
    id: RequestId,
    until: u64,
}

/// Entries that a learner may lack when it becomes a voter.
const PROMOTION_LAG: u64 = 20;
/// Seats at most, the empty ones included.
const SEATS_MAX: usize = 9;

impl Cluster {
    /// Does something bad, or something that an operator does.
    pub(super) fn disturb(&mut self) -> Result<(), Text> {
        self.fault_at = Some(self.now + self.plan.disturbance.draw(&mut self.rng));
        self.summary.disturbances += 1;
        let place = usize::try_from(self.rng.below(self.seats.len() as u64)).expect("few seats");
        let is_running = self.seats[place].machine.is_some();
        match self.rng.below(14) {
            0..3 if is_running => self.crash(place),
            3 => self.cut_off(place),
            4 | 5 => self.cut.clear(),
            6 if is_running => self.seats[place].paused_until = self.now + self.rng.below(3 * SECOND_NS),
            7 if is_running => {
                let seat = &mut self.seats[place];
                let op = seat.disk.op_count() + 1 + self.rng.below(200);
                let kind = if self.rng.chance(1, 2) { ErrorKind::Other } else { ErrorKind::NoSpace };
                seat.disk.fail_at(op, kind);
                seat.has_faults = true;
            }
            8 | 9 => return self.hand_over(),
            10 | 11 => return self.change_membership(),
            12 => return self.compact(),
            _ => {}
        }
        Ok(())
    }

    /// Cuts a member off, in both directions or in one; or the cluster in two.
    fn cut_off(&mut self, place: usize) {
        let alone = self.seats[place].id;
        let others: Vec<MemberId> = self.seats.iter().map(|seat| seat.id).filter(|id| *id != alone).collect();
        let (hears, speaks) = (self.rng.chance(1, 4), self.rng.chance(1, 4));
        let splits = self.rng.chance(1, 3);
        for other in others {
            if splits && self.rng.chance(1, 2) {
                continue;
            }
            if !hears {
                self.cut.push((other, alone));
            }
            if !speaks {
                self.cut.push((alone, other));
            }
        }
    }

    /// Compacts the history up to a little before what clients know of.
    fn compact(&mut self) -> Result<(), Text> {
        let Some(place) = self.leader() else { return Ok(()) };
        let Some(machine) = &mut self.seats[place].machine else { return Ok(()) };
        let revision = self.clients.floor() - i64::try_from(self.rng.below(30)).expect("a small number");
        let id = machine.request_id();
        let request = Request::Compact(CompactionRequest { revision, physical: false });
        // Nobody waits for it; it may be refused or lost.
        self.tell(place, Input::Propose { id, data: request.encode(id) })
    }

    fn hand_over(&mut self) -> Result<(), Text> {
        let Some(place) = self.leader() else { return Ok(()) };
        let to = self.seats[usize::try_from(self.rng.below(self.seats.len() as u64)).expect("few seats")].id;
        self.tell(place, Input::TransferLeader(to))
    }

    pub(super) fn tell(&mut self, place: usize, input: Input) -> Result<(), Text> {
        let now = self.now;
        let seat = &mut self.seats[place];
        let Some(machine) = seat.machine.as_mut().filter(|_| seat.paused_until <= now) else { return Ok(()) };
        machine.pass_to(now);
        machine.tell(input);
        self.poll(place)
    }

    /// Asks the leader to add a learner, to promote one, or to remove a member.
    fn change_membership(&mut self) -> Result<(), Text> {
        if self.change.as_ref().is_some_and(|change| change.until > self.now) {
            return Ok(());
        }
        self.follow_membership();
        let number = self.seats.len() + 1;
        let Some(place) = self.leader() else { return Ok(()) };
        let Some(machine) = &mut self.seats[place].machine else { return Ok(()) };
        let cluster = machine.member().applier().cluster();
        let voters: Vec<MemberId> = cluster.voters().map(|member| member.id).collect();
        let learner = cluster.members().find(|member| member.is_learner).map(|member| member.id);
        // As etcd's server: only who has nearly everything becomes a voter.
        let last = machine.last_index().0;
        let has_most = |progress: &raft::Progress| progress.matched + PROMOTION_LAG >= last;
        let progress = machine
            .member()
            .raft()
            .progress()
            .iter()
            .find(|progress| Some(progress.id) == learner.map(|id| id.0));
        let is_ready = progress.is_some_and(has_most);
        let any = voters[usize::try_from(self.rng.below(voters.len() as u64)).expect("few members")];
        let change = match (self.rng.below(4), learner) {
            (0 | 1, Some(id)) if is_ready => Change::Promote(id),
            (2, Some(id)) => Change::Remove(id),
            (3, _) if voters.len() > 2 => Change::Remove(any),
            _ if number <= SEATS_MAX => {
                let peer_urls = vec![format!("http://m{number}:2380")];
                let id = membership::member_id(&peer_urls, "", Some(self.now / SECOND_NS));
                Change::Add(Member { id, peer_urls, is_learner: true, ..Member::default() })
            }
            _ => return Ok(()),
        };
        let id = machine.request_id();
        let until = self.now + 5 * SECOND_NS;
        self.change = Some(ChangeUnderWay { place, id, until });
        self.tell(place, Input::ProposeChange { id, change: Box::new(change) })
    }

    /// Takes the answer to a change; false if it is one to something else.
    pub(super) fn change_answered(&mut self, place: usize, reply: &Reply) -> bool {
        let is_its = |change: &mut ChangeUnderWay| (change.place, change.id) == (place, reply.id);
        let Some(_) = self.change.take_if(is_its) else { return false };
        self.summary.changes += u64::from(reply.result.is_ok());
        self.follow_membership();
        true
    }

    /// Starts members that the leader knows and that have no place yet, and notes who is not one any more. The answer
    /// to a change may have been lost.
    pub(super) fn follow_membership(&mut self) {
        let leader = self.leader().and_then(|place| self.seats[place].machine.as_ref());
        let Some(cluster) = leader.map(|machine| machine.member().applier().cluster()) else { return };
        let ids: Vec<MemberId> = cluster.members().map(|member| member.id).collect();
        let removed: Vec<MemberId> = cluster.removed().collect();
        for seat in self.seats.iter_mut().filter(|seat| !seat.is_gone && removed.contains(&seat.id)) {
            seat.is_gone = true;
            // Whoever is down stays so: it would only be told that it was removed.
            seat.starts_at = None;
        }
        for member in ids {
            if self.seats.iter().all(|seat| seat.id != member) {
                let name = format!("m{}", self.seats.len() + 1);
                let joining = Joining { cluster: self.cluster_id(), member };
                let mut seat = Seat::new(&name, &[], Some(joining)).with_catch_up(self.plan.snapshots.1);
                seat.starts_at = Some(self.now + self.rng.below(SECOND_NS));
                self.seats.push(seat);
            }
        }
    }

    fn cluster_id(&self) -> types::ClusterId {
        let mut founders: Vec<MemberId> = self
            .seats
            .iter()
            .take(usize::try_from(self.plan.members).expect("few members"))
            .map(|seat| seat.id)
            .collect();
        founders.sort_unstable();
        membership::cluster_id(&founders)
    }
}

/// What a power loss does to what was not synced.
pub fn damage(rng: &mut Prng) -> Damage {
    pick(rng, &Damage::ALL)
}

fn pick<T: Clone>(rng: &mut Prng, choices: &[T]) -> T {
    choices[usize::try_from(rng.below(choices.len() as u64)).expect("few choices")].clone()
}
