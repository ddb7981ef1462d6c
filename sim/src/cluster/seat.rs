//! A place in the cluster: a disk, and the member that runs on it, if one does.

use crate::machine::{Driving, Machine};
use crate::shape::{DATA_DIR, Shape};
use node::{BootConfig, Joining, Timing, View};
use std::path::Path;
use types::{LogIndex, MemberId, Term};
use vfs::mem::MemDisk;
use vfs::{Disk, Effect, OpenMode};

/// What was last seen of a member; it never goes back while it runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    pub term: Term,
    pub commit: LogIndex,
    pub applied: LogIndex,
    /// The last term that it was seen to lead.
    pub led: Option<Term>,
}

/// A place in the cluster.
pub struct Seat {
    pub id: MemberId,
    pub name: String,
    pub disk: MemDisk,
    /// The member, while it runs.
    pub machine: Option<Machine>,
    pub view: Option<Box<View>>,
    pub seen: Progress,
    /// Nothing happens in it until then.
    pub paused_until: u64,
    /// When it is started again.
    pub starts_at: Option<u64>,
    /// It was taken out of the cluster.
    pub is_gone: bool,
    /// Its disk may fail in this life.
    pub has_faults: bool,
    /// Counts the starts.
    pub life: u64,
    founders: Vec<(String, Vec<String>)>,
    joining: Option<Joining>,
    catch_up_entries: u64,
}

impl Seat {
    /// A place that nobody has sat in yet; with `joining` it is not among those who found the cluster.
    pub fn new(name: &str, founders: &[(String, Vec<String>)], joining: Option<Joining>) -> Self {
        let id = joining.map_or_else(
            || {
                let urls = founders.iter().find(|(founder, _)| founder == name).map(|(_, urls)| urls.clone());
                membership::member_id(&urls.unwrap_or_default(), TOKEN, None)
            },
            |joining| joining.member,
        );
        Self {
            id,
            name: name.to_owned(),
            disk: MemDisk::new(),
            machine: None,
            view: None,
            seen: Progress::default(),
            paused_until: 0,
            starts_at: Some(0),
            is_gone: false,
            has_faults: false,
            life: 0,
            founders: founders.to_vec(),
            joining,
            catch_up_entries: 0,
        }
    }

    /// Whether the member knows that it was removed from the cluster.
    pub fn was_removed(&self) -> bool {
        let cluster = self.machine.as_ref().map(|machine| machine.member().applier().cluster());
        cluster.is_some_and(|cluster| cluster.is_removed(self.id))
    }

    /// When the next thing happens in it by itself.
    pub fn next_due(&self) -> Option<u64> {
        let machine = self.machine.as_ref()?;
        Some(machine.next_due()?.max(self.paused_until))
    }

    fn config(&self, shape: &Shape) -> BootConfig {
        BootConfig {
            name: self.name.clone(),
            initial_cluster: self.founders.clone(),
            token: TOKEN.into(),
            client_urls: vec![format!("http://{}:2379", self.name)],
            serves_clusters: true,
            joining: self.joining,
            timing: Timing::default(),
            max_learners: 2,
            catch_up_entries: self.catch_up_entries,
            ..shape.config(self.life)
        }
    }

    /// Starts the member at time `now`.
    ///
    /// # Errors
    /// In words, if it does not start.
    pub fn start(&mut self, now: u64, shape: &Shape, driving: Driving) -> Result<(), String> {
        self.life += 1;
        let booted = Machine::boot(&self.disk, self.config(shape), driving);
        let (mut machine, _) = booted.map_err(|error| format!("{} does not start: {error}", self.name))?;
        machine.pass_to(now);
        self.machine = Some(machine);
        self.seen = Progress::default();
        self.starts_at = None;
        self.paused_until = 0;
        Ok(())
    }

    /// Keeps that many entries before a snapshot from the next start on.
    pub fn with_catch_up(mut self, entries: u64) -> Self {
        self.catch_up_entries = entries;
        self
    }

    /// Puts the database of a snapshot where a member that receives one finds it; false if the disk fails.
    pub fn receive(&self, index: u64, image: &[u8]) -> bool {
        let dir = Path::new(DATA_DIR).join("member/snap");
        let unfinished = dir.join("tmp-received");
        let path = dir.join(snap::database_name(LogIndex(index)));
        let write = || -> vfs::Result<()> {
            let file = self.disk.open(&unfinished, OpenMode::Truncate { mode: 0o600 })?;
            file.write_at(0, image)?;
            Effect::SyncData(file).perform(&self.disk)?;
            self.disk.rename(&unfinished, &path)?;
            Effect::SyncDir(dir.clone()).perform(&self.disk)
        };
        write().is_ok()
    }

    /// Ends the process without a word; `disk` is what it leaves.
    pub fn end(&mut self, disk: MemDisk, starts_at: Option<u64>) {
        self.machine = None;
        self.view = None;
        self.has_faults = false;
        self.disk = disk;
        self.starts_at = starts_at;
    }
}

/// `--initial-cluster-token`.
pub const TOKEN: &str = "etcd-cluster";
