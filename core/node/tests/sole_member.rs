//! A member on a disk in memory: boot, write, lose power, boot again.

#![allow(clippy::unwrap_used)]

use backend::WriterStep;
use node::{
    BackendEvent, BootConfig, BootError, Booted, Input, Member, Output, Reply, Retention, View, boot,
};
use prost::Message;
use proto::etcdserverpb::{CompactionRequest, InternalRaftRequest, PutRequest, RangeRequest, RequestHeader};
use std::path::PathBuf;
use std::sync::Arc;
use stdx::prng::Prng;
use types::{LogIndex, Version};
use vfs::mem::{Damage, MemDisk};
use vfs::{Disk, Job, drive};

fn config() -> BootConfig {
    BootConfig {
        data_dir: PathBuf::from("/data"),
        wal_dir: None,
        name: "default".into(),
        initial_cluster: vec![("default".into(), vec!["http://localhost:2380".into()])],
        token: "etcd-cluster".into(),
        joins_existing: false,
        client_urls: vec!["http://localhost:2379".into()],
        hold: None,
        quota_bytes: 0,
        snapshot_count: 10_000,
        retention: Retention { wals: 5, snapshots: 5 },
        limits: backend::Limits::default(),
        compaction_batch_limit: 1000,
        min_lease_ttl: 2,
        max_learners: 1,
        segment_size_bytes: 1 << 20,
        now_ms: 1_700_000_000_000,
    }
}

/// A member with its writer, driven in one loop with a clock of its own.
struct Machine {
    disk: MemDisk,
    member: Member,
    writer: backend::Writer,
    now: u64,
    view: Option<Box<View>>,
    replies: Vec<Reply>,
    is_ready: bool,
}

impl Machine {
    fn boot(disk: MemDisk, config: BootConfig) -> Result<Self, BootError> {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let job = Job::new(move |cx| async move { boot(&cx, shared, config).await });
        let Booted { member, writer, .. } = drive(&disk, job)?;
        let mut machine =
            Self { disk, member, writer, now: 0, view: None, replies: Vec::new(), is_ready: false };
        machine.run();
        assert!(machine.is_ready, "a sole member is ready without waiting");
        Ok(machine)
    }

    /// Runs until nothing is left to do at this time.
    fn run(&mut self) {
        loop {
            let mut did_something = false;
            while let Some(output) = self.member.poll_output(self.now) {
                did_something = true;
                match output {
                    Output::SyncLog(target) => {
                        let result = target.perform(&self.disk);
                        self.member.handle(Input::LogSynced(result));
                    }
                    Output::Backend(task) => self.writer.submit(task),
                    Output::Publish(view) => self.view = Some(view),
                    Output::Replies(replies) => self.replies.extend(replies),
                    Output::Ready => self.is_ready = true,
                    Output::Halt(reason) => panic!("the member stops: {reason}"),
                    Output::ReadsReady(_) | Output::WakeAt(_) | Output::Continue | Output::Stopped => {}
                }
            }
            did_something |= self.run_writer();
            if !did_something {
                return;
            }
        }
    }

    fn run_writer(&mut self) -> bool {
        let mut resume = Ok(());
        loop {
            match self.writer.step(std::mem::replace(&mut resume, Ok(()))) {
                WriterStep::Sync(target) => resume = target.perform(&self.disk),
                WriterStep::Event(event) => {
                    self.member.handle(Input::Backend(BackendEvent(event)));
                    return true;
                }
                WriterStep::Pause => {}
                WriterStep::Idle => return false,
                WriterStep::Failed(error) => panic!("the backend fails: {error}"),
            }
        }
    }

    fn propose(&mut self, request: InternalRaftRequest) -> Reply {
        let id = self.member.request_ids().next_id();
        let header = Some(RequestHeader { id: id.0, ..RequestHeader::default() });
        let data = InternalRaftRequest { header, ..request }.encode_to_vec();
        self.member.handle(Input::Propose { id, data: data.into() });
        self.run();
        let position = self.replies.iter().position(|reply| reply.id == id).expect("a reply came");
        self.replies.swap_remove(position)
    }

    fn put(&mut self, key: &str, value: &str) -> i64 {
        let put = PutRequest {
            key: key.to_owned().into(),
            value: value.to_owned().into(),
            ..PutRequest::default()
        };
        let reply = self.propose(InternalRaftRequest { put: Some(put), ..InternalRaftRequest::default() });
        reply.result.expect("a put succeeds").revision
    }

    fn compact(&mut self, revision: i64) {
        let compaction = Some(CompactionRequest { revision, physical: true });
        let reply = self.propose(InternalRaftRequest { compaction, ..InternalRaftRequest::default() });
        reply.result.expect("a compaction succeeds");
    }

    fn get(&self, key: &str) -> Option<String> {
        let view = self.view.as_ref().expect("a view was published");
        let request = RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() };
        let answer = mvcc::RangeRead::new(view.state.store.clone(), request).unwrap().run().unwrap();
        let mut body = Vec::new();
        answer.encode_body(&mut body);
        let response = proto::etcdserverpb::RangeResponse::decode(body.as_slice()).unwrap();
        response.kvs.first().map(|pair| String::from_utf8(pair.value.to_vec()).unwrap())
    }

    fn after_commit_interval(&mut self) {
        self.now += 200_000_000;
        self.run();
    }
}

#[test]
fn a_new_member_knows_itself_and_its_version_before_it_is_ready() {
    let machine = Machine::boot(MemDisk::new(), config()).unwrap();
    let view = machine.view.as_ref().unwrap();
    assert!(view.serves_linearizable);
    assert_eq!(view.state.cluster.version(), Some(Version::new(3, 7, 0)));
    let members: Vec<_> = view.state.cluster.members().collect();
    assert_eq!(members[0].id.to_string(), "8e9e05c52164694d");
    assert_eq!((members.len(), members[0].name.as_str()), (1, "default"));
    assert_eq!(view.state.applied, LogIndex(4), "conf change, empty entry, attributes, version");
}

#[test]
fn acknowledged_puts_survive_a_power_loss_before_and_after_the_commit() {
    let mut machine = Machine::boot(MemDisk::new(), config()).unwrap();
    for round in 0..5u64 {
        for number in 0..20 {
            machine.put(&format!("k{number}"), &format!("v{round}.{number}"));
        }
        if round % 2 == 1 {
            machine.after_commit_interval();
        }
        let damage = Damage::ALL[usize::try_from(round).unwrap() % Damage::ALL.len()];
        let disk = machine.disk.crash(damage, &mut Prng::new(round));
        machine = Machine::boot(disk, config()).unwrap();
        for number in 0..20 {
            assert_eq!(machine.get(&format!("k{number}")), Some(format!("v{round}.{number}")));
        }
    }
}

#[test]
fn a_snapshot_releases_the_log_and_the_next_start_goes_on_from_it() {
    let small = BootConfig { snapshot_count: 50, segment_size_bytes: 4096, ..config() };
    let mut machine = Machine::boot(MemDisk::new(), small.clone()).unwrap();
    let mut revision = 0;
    for number in 0..400 {
        revision = machine.put(&format!("k{}", number % 10), &format!("v{number}"));
    }
    machine.compact(revision - 5);
    let segments = machine.disk.list("/data/member/wal".as_ref()).unwrap();
    assert!(segments.iter().filter(|name| name.ends_with(".wal")).count() <= 6, "{segments:?}");
    let disk = machine.disk.crash(Damage::LoseAll, &mut Prng::new(1));
    let machine = Machine::boot(disk, small).unwrap();
    assert_eq!(machine.get("k9"), Some("v399".into()));
    assert_eq!(machine.view.unwrap().state.store.compact_revision(), revision - 5);
}

#[test]
fn a_directory_in_use_is_refused() {
    let machine = Machine::boot(MemDisk::new(), config()).unwrap();
    let again = Machine::boot(machine.disk.clone(), config());
    assert!(matches!(again, Err(BootError::InUse(_))));
}
