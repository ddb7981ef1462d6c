//! A member with its writer on a disk in memory, driven in one loop.

#![allow(dead_code, reason = "each test file uses its part")]

use backend::WriterStep;
use bytes::Bytes;
use node::{
    BackendEvent, BootConfig, BootError, Booted, Input, Member, Output, Reply, Retention, View, boot,
};
use prost::Message;
use proto::etcdserverpb::{CompactionRequest, InternalRaftRequest, PutRequest, RangeRequest, RequestHeader};
use std::path::PathBuf;
use std::sync::Arc;
use types::RequestId;
use vfs::mem::MemDisk;
use vfs::{Disk, Job, drive};

pub fn config() -> BootConfig {
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
        catch_up_entries: 5000,
        serves_clusters: false,
        joining: None,
        timing: node::Timing::default(),
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

/// The entry of a compaction that does not wait for its deletes.
pub fn compaction(id: RequestId, revision: i64) -> Bytes {
    let compaction = Some(CompactionRequest { revision, physical: false });
    let header = Some(RequestHeader { id: id.0, ..RequestHeader::default() });
    InternalRaftRequest { header, compaction, ..InternalRaftRequest::default() }.encode_to_vec().into()
}

/// A member with its writer, driven in one loop with a clock of its own.
pub struct Machine {
    pub disk: MemDisk,
    pub member: Member,
    writer: backend::Writer,
    now: u64,
    pub view: Option<Box<View>>,
    replies: Vec<Reply>,
    is_ready: bool,
}

impl Machine {
    pub fn boot(disk: MemDisk, config: BootConfig) -> Result<Self, BootError> {
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
    pub fn run(&mut self) {
        loop {
            let mut did_something = false;
            while let Some(output) = self.member.poll_output(self.now) {
                did_something = true;
                match output {
                    Output::PerformLog(target) => {
                        let result = target.perform(&self.disk);
                        self.member.handle(Input::LogPerformed(result));
                    }
                    Output::Backend(task) => self.writer.submit(task),
                    Output::Publish(view) => self.view = Some(view),
                    Output::Replies(replies) => self.replies.extend(replies),
                    Output::Ready => self.is_ready = true,
                    Output::Halt(reason) => panic!("the member stops: {reason}"),
                    Output::Send(_) | Output::SendSnapshot(_) | Output::Restart => {
                        panic!("there is nobody else")
                    }
                    Output::Continue => self.member.handle(Input::Wake),
                    Output::ReadsReady(_) | Output::WakeAt(_) | Output::Stopped => {}
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
                WriterStep::Perform(target) => resume = target.perform(&self.disk),
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

    pub fn propose(&mut self, request: InternalRaftRequest) -> Reply {
        let id = self.member.request_ids().next_id();
        let header = Some(RequestHeader { id: id.0, ..RequestHeader::default() });
        let data = InternalRaftRequest { header, ..request }.encode_to_vec();
        self.member.handle(Input::Propose { id, data: data.into() });
        self.run();
        let position = self.replies.iter().position(|reply| reply.id == id).expect("a reply came");
        self.replies.swap_remove(position)
    }

    pub fn put(&mut self, key: &str, value: &str) -> i64 {
        let put = PutRequest {
            key: key.to_owned().into(),
            value: value.to_owned().into(),
            ..PutRequest::default()
        };
        let reply = self.propose(InternalRaftRequest { put: Some(put), ..InternalRaftRequest::default() });
        reply.result.expect("a put succeeds").revision
    }

    pub fn compact(&mut self, revision: i64) {
        let compaction = Some(CompactionRequest { revision, physical: true });
        let reply = self.propose(InternalRaftRequest { compaction, ..InternalRaftRequest::default() });
        reply.result.expect("a compaction succeeds");
    }

    pub fn get(&self, key: &str) -> Option<String> {
        let view = self.view.as_ref().expect("a view was published");
        let request = RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() };
        let answer = mvcc::RangeRead::new(view.state.store.clone(), request).unwrap().run().unwrap();
        let mut body = Vec::new();
        answer.encode_body(&mut body);
        let response = proto::etcdserverpb::RangeResponse::decode(body.as_slice()).unwrap();
        response.kvs.first().map(|pair| String::from_utf8(pair.value.to_vec()).unwrap())
    }

    /// Stops in order; returns the disk as the next process finds it.
    pub fn stop(mut self) -> MemDisk {
        self.member.handle(Input::Stop);
        self.run();
        self.disk.kill()
    }

    pub fn after_commit_interval(&mut self) {
        self.now += 200_000_000;
        self.run();
    }
}
