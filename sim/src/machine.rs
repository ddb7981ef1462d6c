//! One member and its backend's writer in one loop, in virtual time.
//!
//! The loop plays the part of the threads of a real member: it performs what the member asks for and hands the results
//! back. How long that takes is drawn from a seed, so that syncs of the log and of the backend end in any order, the
//! writer's news come late, and requests arrive in between. Nothing here waits: time jumps to what is due next.

use backend::{Event, Task, Writer, WriterStep};
use node::{
    BackendEvent, BootConfig, BootError, BootInfo, Booted, Input, Member, OutgoingSnapshot, Output, Reply,
    View, boot,
};
use proto::raftpb::Message;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use stdx::prng::Prng;
use types::{LogIndex, RequestId};
use vfs::mem::{MemDisk, Pending};
use vfs::{Disk, Effect, Job, drive};

use crate::request::Request;

/// Bounds of a delay, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// The shortest.
    pub min_ns: u64,
    /// The longest, not below `min_ns`.
    pub max_ns: u64,
}

impl Delay {
    /// A delay between them.
    pub fn draw(self, rng: &mut Prng) -> u64 {
        self.min_ns + rng.below(self.max_ns - self.min_ns + 1)
    }
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A sync of the log.
    pub log_sync: Delay,
    /// A sync of the backend file.
    pub backend_sync: Delay,
    /// From the end of the writer's work until the member hears of it.
    pub news: Delay,
    /// From the time a timer was set for until the member hears of it.
    pub wake: Delay,
    /// The writer's pause between two batches of a compaction.
    pub pause: Delay,
    /// One sync out of so many takes a hundred times as long.
    pub stall_one_in: u64,
}

impl Pace {
    /// A good disk.
    pub fn steady() -> Self {
        let micros = |min: u64, max: u64| Delay { min_ns: min * 1000, max_ns: max * 1000 };
        Self {
            log_sync: micros(100, 400),
            backend_sync: micros(100, 3000),
            news: micros(0, 50),
            wake: micros(0, 100),
            pause: micros(10_000, 10_000),
            stall_one_in: 1000,
        }
    }
}

/// A bug that the loop puts in, and that the checks must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// The log tells that it is durable when its sync begins.
    ReplyBeforeSync,
    /// The small buckets, the consistent index among them, are committed in a transaction of their own, before the
    /// records of the keys.
    IndexApartFromData,
}

impl Planted {
    /// Both.
    pub const ALL: [Self; 2] = [Self::ReplyBeforeSync, Self::IndexApartFromData];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReplyBeforeSync => "reply-before-sync",
            Self::IndexApartFromData => "index-apart",
        }
    }
}

/// How a member is driven.
#[derive(Clone, Debug)]
pub struct Driving {
    /// How long things take.
    pub pace: Pace,
    /// A bug, if one is wanted.
    pub planted: Option<Planted>,
    /// Where every draw comes from.
    pub rng: Prng,
}

/// What clients can notice, in the order in which it happens.
#[derive(Debug)]
pub enum Seen {
    /// Readers look at this from here on.
    View(Box<View>),
    /// Answers.
    Replies(Vec<Reply>),
    /// These linearizable reads may look at the newest view.
    ReadsReady(Vec<RequestId>),
    /// Clients may come.
    Ready,
    /// Messages for other members.
    Sent(Vec<Message>),
    /// A snapshot for another member.
    SentSnapshot(Box<OutgoingSnapshot>),
    /// The member has put entries of its own into the log, without being asked by a client.
    OwnEntries {
        /// The first of them.
        first: LogIndex,
        /// The last of them.
        last: LogIndex,
        /// The last disk operation in front of them.
        op: u64,
    },
}

/// How a member ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// As it was told to.
    Stopped,
    /// To be started again, on a snapshot that it has received.
    Restarts,
    /// By itself; why.
    Halted(String),
}

/// A sync under way, or why it could not begin.
type Begun = vfs::Result<Pending>;

enum Due {
    LogSynced(Begun),
    /// Planted: the log hears of the end before it.
    LogToldEarly,
    LogSyncedUnheard(Begun),
    WriterSynced(Begun),
    WriterRested,
    News(Event),
    WriterFailed(String),
    Wake,
}

/// The loop.
pub struct Machine {
    disk: MemDisk,
    member: Member,
    writer: Writer,
    writer_syncs: bool,
    commits_heard: u64,
    news_at: u64,
    driving: Driving,
    now: u64,
    due: BTreeMap<(u64, u64), Due>,
    due_count: u64,
    seen: VecDeque<Seen>,
    end: Option<End>,
}

impl Machine {
    /// Starts a member on `disk`; nothing of it has run when this returns.
    ///
    /// # Errors
    /// As [`node::boot()`].
    pub fn boot(disk: &MemDisk, config: BootConfig, driving: Driving) -> Result<(Self, BootInfo), BootError> {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let job = Job::new(move |cx| async move { boot(&cx, shared, config).await });
        let Booted { member, writer, info } = drive(disk, job)?;
        let machine = Self {
            disk: disk.clone(),
            member,
            writer,
            writer_syncs: false,
            commits_heard: 0,
            news_at: 0,
            driving,
            now: 0,
            due: BTreeMap::new(),
            due_count: 0,
            seen: VecDeque::new(),
            end: None,
        };
        Ok((machine, info))
    }

    /// The disk it runs on.
    pub fn disk(&self) -> &MemDisk {
        &self.disk
    }

    /// Virtual time since the start, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// When the next thing is due, in virtual time; `None` if nothing will ever be.
    pub fn next_due(&self) -> Option<u64> {
        let ((at, _), _) = self.due.first_key_value()?;
        self.end.is_none().then_some(*at)
    }

    /// Lets time pass until `at`, which nothing must be due before.
    pub fn pass_to(&mut self, at: u64) {
        self.now = self.now.max(at);
    }

    /// How it ended, if it has.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// The member, for looking at.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// The last entry in the log, durable or not.
    pub fn last_index(&self) -> LogIndex {
        self.member.status().last
    }

    /// Proposes `request`; returns its identity, and its place in the log unless it was refused. The member does not
    /// begin to work on it before [`Machine::poll`].
    pub fn propose(&mut self, request: &Request) -> (RequestId, Option<LogIndex>) {
        let id = self.member.request_ids().next_id();
        let before = self.last_index();
        self.member.handle(Input::Propose { id, data: request.encode(id) });
        let after = self.last_index();
        (id, (after > before).then_some(after))
    }

    /// Asks for a linearizable read.
    pub fn read_index(&mut self) -> RequestId {
        let id = self.member.request_ids().next_id();
        self.member.handle(Input::ReadIndex(id));
        id
    }

    /// How long things take from now on.
    pub fn set_pace(&mut self, pace: Pace) {
        self.driving.pace = pace;
    }

    /// An identity for a request of another kind.
    pub fn request_id(&mut self) -> RequestId {
        self.member.request_ids().next_id()
    }

    /// Hands the member any other input.
    pub fn tell(&mut self, input: Input) {
        self.member.handle(input);
    }

    /// Asks the member to stop.
    pub fn stop(&mut self) {
        self.member.handle(Input::Stop);
    }

    /// Lets the member work and begins what it asks for, up to the next thing that clients can notice. Call it until
    /// there is none: the member goes on only when that has been looked at.
    pub fn poll(&mut self) -> Option<Seen> {
        while self.seen.is_empty() && self.end.is_none() {
            let (before, op) = (self.last_index(), self.disk.op_count());
            let output = self.member.poll_output(self.now);
            let last = self.last_index();
            if last > before {
                self.seen.push_back(Seen::OwnEntries { first: before.next(), last, op });
            }
            let Some(output) = output else { break };
            let seen = self.take(output);
            self.seen.extend(seen);
        }
        self.seen.pop_front()
    }

    /// Does the next thing that is due; false if nothing will ever be due again. [`Machine::poll`] comes next.
    pub fn step(&mut self) -> bool {
        if self.end.is_some() {
            return false;
        }
        let Some(((at, _), due)) = self.due.pop_first() else { return false };
        self.now = self.now.max(at);
        match due {
            Due::LogSynced(pending) => self.log_synced(pending),
            Due::LogToldEarly => self.member.handle(Input::LogPerformed(Ok(()))),
            Due::LogSyncedUnheard(pending) => drop(pending.and_then(Pending::finish)),
            Due::WriterSynced(pending) => {
                self.writer_syncs = false;
                let result = pending.and_then(Pending::finish);
                self.drive_writer(result);
            }
            Due::WriterRested => self.rouse_writer(),
            Due::News(event) => self.hear(event),
            Due::WriterFailed(reason) => self.end = Some(End::Halted(reason)),
            Due::Wake => self.member.handle(Input::Wake),
        }
        true
    }

    fn log_synced(&mut self, pending: Begun) {
        let is_sync = pending.as_ref().is_ok_and(Pending::is_sync);
        let result = pending.and_then(Pending::finish);
        let is_of_log =
            matches!(&result, Err(error) if error.path.extension().is_some_and(|end| end == "wal"));
        let is_in_doubt = is_sync && is_of_log;
        self.member.handle(Input::LogPerformed(result));
        if is_in_doubt {
            let output = self.member.poll_output(self.now);
            let Some(Output::Halt(reason)) = output else {
                panic!("a member whose log is in doubt stops at once, and not with {output:?}");
            };
            self.end = Some(End::Halted(reason));
        }
    }

    /// Lets the member finish everything that it does by itself; returns its newest view, which is `view` if it shows
    /// no other.
    ///
    /// # Errors
    /// In words, if it halts.
    pub fn settle(&mut self, view: Box<View>) -> Result<Box<View>, String> {
        let mut newest = view;
        loop {
            while let Some(seen) = self.poll() {
                if let Seen::View(view) = seen {
                    newest = view;
                }
            }
            if !self.step() {
                break;
            }
        }
        match &self.end {
            None => Ok(newest),
            Some(end) => Err(format!("the member has ended: {end:?}")),
        }
    }

    fn take(&mut self, output: Output) -> Option<Seen> {
        match output {
            Output::PerformLog(target) => self.sync_log(&target),
            Output::Backend(task) => {
                self.submit(task);
                self.rouse_writer();
            }
            Output::Publish(view) => return Some(Seen::View(view)),
            Output::Replies(replies) => return Some(Seen::Replies(replies)),
            Output::ReadsReady(ids) => return Some(Seen::ReadsReady(ids)),
            Output::Ready => return Some(Seen::Ready),
            Output::Send(messages) => return Some(Seen::Sent(messages)),
            Output::SendSnapshot(snapshot) => return Some(Seen::SentSnapshot(snapshot)),
            Output::Restart => self.end = Some(End::Restarts),
            Output::WakeAt(at) => {
                let late = self.draw(|pace| pace.wake);
                self.push(at.max(self.now) + late, Due::Wake);
            }
            Output::Continue => {
                let late = self.draw(|pace| pace.wake);
                self.push(self.now + late, Due::Wake);
            }
            Output::Halt(reason) => self.end = Some(End::Halted(reason)),
            Output::Stopped => self.end = Some(End::Stopped),
        }
        None
    }

    fn sync_log(&mut self, target: &Effect) {
        let pending = self.disk.begin(target);
        let at = self.now + self.draw_sync(|pace| pace.log_sync);
        if self.driving.planted == Some(Planted::ReplyBeforeSync) {
            self.push(self.now, Due::LogToldEarly);
            self.push(at, Due::LogSyncedUnheard(pending));
        } else {
            self.push(at, Due::LogSynced(pending));
        }
    }

    fn submit(&mut self, task: Task) {
        match task {
            Task::Commit(frozen) if self.driving.planted == Some(Planted::IndexApartFromData) => {
                let [index, data] = frozen.apart();
                self.writer.submit(Task::Commit(index));
                self.writer.submit(Task::Commit(data));
            }
            task => self.writer.submit(task),
        }
    }

    fn rouse_writer(&mut self) {
        if !self.writer_syncs {
            self.drive_writer(Ok(()));
        }
    }

    fn drive_writer(&mut self, resume: vfs::Result<()>) {
        let mut resume = resume;
        loop {
            let is_in_doubt = resume.is_err();
            let step = self.writer.step(std::mem::replace(&mut resume, Ok(())));
            let has_failed = matches!(step, WriterStep::Failed(_));
            assert!(!is_in_doubt || has_failed, "a writer whose file is in doubt fails at once");
            match step {
                WriterStep::Perform(target) => {
                    let pending = self.disk.begin(&target);
                    let at = self.now + self.draw_sync(|pace| pace.backend_sync);
                    self.writer_syncs = true;
                    return self.push(at, Due::WriterSynced(pending));
                }
                WriterStep::Event(event) => {
                    // News travel one way: none overtakes another.
                    self.news_at = self.news_at.max(self.now + self.draw(|pace| pace.news));
                    self.push(self.news_at, Due::News(event));
                }
                WriterStep::Pause => {
                    let at = self.now + self.draw(|pace| pace.pause);
                    return self.push(at, Due::WriterRested);
                }
                WriterStep::Idle => return,
                WriterStep::Failed(error) => {
                    let at = self.news_at.max(self.now + self.draw(|pace| pace.news));
                    // Whatever happens until then happens to a writer that does nothing any more.
                    self.writer_syncs = true;
                    return self.push(at, Due::WriterFailed(error.to_string()));
                }
            }
        }
    }

    fn hear(&mut self, event: Event) {
        if self.driving.planted == Some(Planted::IndexApartFromData)
            && matches!(event, Event::Committed { .. })
        {
            // The member asked for one commit where two were made: the first one's news are kept from it.
            self.commits_heard += 1;
            if self.commits_heard % 2 == 1 {
                return;
            }
        }
        self.member.handle(Input::Backend(BackendEvent(event)));
    }

    fn draw(&mut self, which: fn(&Pace) -> Delay) -> u64 {
        which(&self.driving.pace).draw(&mut self.driving.rng)
    }

    fn draw_sync(&mut self, which: fn(&Pace) -> Delay) -> u64 {
        let stalls = self.driving.rng.chance(1, self.driving.pace.stall_one_in);
        self.draw(which) * if stalls { 100 } else { 1 }
    }

    fn push(&mut self, at: u64, due: Due) {
        self.due_count += 1;
        self.due.insert((at, self.due_count), due);
    }
}
