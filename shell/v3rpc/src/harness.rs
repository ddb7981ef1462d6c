//! A member on a disk in memory, driven in one loop with the handlers under test.

use crate::local::Local;
use crate::member::{Limits, Member, ToNode};
use apply::Answer;
use backend::{Limits as BufferLimits, Task, WriterStep};
use grpc::{Status, Ticket, Waiters};
use node::{BackendEvent, BootConfig, Booted, Failure, Input, Output, Retention, boot};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use types::{RequestId, RequestIds};
use vfs::mem::MemDisk;
use vfs::{Disk, Job, drive};

/// How long a proposal may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(7);

/// The member and what stands between it and its handlers.
pub(crate) struct Harness {
    pub local: Rc<Local>,
    /// Deletes of compactions are put off.
    pub holds_compactions: bool,
    disk: MemDisk,
    node: node::Member,
    writer: backend::Writer,
    waiters: Waiters<Result<Answer, Failure>>,
    waiting: BTreeMap<RequestId, Ticket>,
    held: Vec<Task>,
    taken: Vec<ToNode>,
}

impl Harness {
    /// A new member with `--quota-backend-bytes`.
    pub fn new(quota_bytes: i64) -> Self {
        let disk = MemDisk::new();
        let config = BootConfig {
            data_dir: PathBuf::from("/data"),
            wal_dir: None,
            name: "default".into(),
            initial_cluster: vec![("default".into(), vec!["http://localhost:2380".into()])],
            token: "etcd-cluster".into(),
            joins_existing: false,
            client_urls: vec!["http://localhost:2379".into()],
            hold: None,
            quota_bytes,
            catch_up_entries: 5000,
            serves_clusters: false,
            joining: None,
            timing: node::Timing::default(),
            snapshot_count: 10_000,
            retention: Retention { wals: 5, snapshots: 5 },
            limits: BufferLimits::default(),
            compaction_batch_limit: 1000,
            min_lease_ttl: 2,
            max_learners: 1,
            segment_size_bytes: 1 << 20,
            now_ms: 1_700_000_000_000,
        };
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let job = Job::new(move |cx| async move { boot(&cx, shared, config).await });
        let Booted { member: node, writer, info } = drive(&disk, job).unwrap();
        let limits = Limits {
            request_bytes_max: 1 << 20,
            txn_ops_max: 128,
            request_timeout: REQUEST_TIMEOUT,
            view: mvcc::ViewBudget::default(),
            quota: apply::Quota::from_flag(quota_bytes),
        };
        let waiters = Waiters::new();
        let ids = RequestIds::for_clients(info.member, 1_700_000_000_000);
        let member = Arc::new(Member::new(info.member, info.cluster, limits, ids));
        let mut harness = Self {
            local: Rc::new(Local::new(member, 0, waiters.clone())),
            holds_compactions: false,
            disk,
            node,
            writer,
            waiters,
            waiting: BTreeMap::new(),
            held: Vec::new(),
            taken: Vec::new(),
        };
        while harness.pump() {}
        harness
    }

    /// Runs a handler to its end, with the member beside it.
    pub async fn run<T>(&mut self, handler: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        self.go_on(&mut std::pin::pin!(handler)).await
    }

    /// As [`Harness::run`], for one that was begun before.
    pub async fn go_on<T>(
        &mut self,
        handler: &mut Pin<&mut impl Future<Output = Result<T, Status>>>,
    ) -> Result<T, Status> {
        std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = handler.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                if !self.pump() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Lets the deletes begin that were put off.
    pub fn release_compactions(&mut self) {
        self.holds_compactions = false;
        std::mem::take(&mut self.held).into_iter().for_each(|task| self.writer.submit(task));
    }

    /// Does whatever the member can do now; whether there was anything.
    fn pump(&mut self) -> bool {
        let mut did_something = false;
        self.local.member().proposer.wait(Some(Duration::ZERO), &mut self.taken);
        for message in std::mem::take(&mut self.taken) {
            did_something = true;
            match message {
                ToNode::Propose { ticket, id, data, .. } => {
                    self.waiting.insert(id, ticket);
                    self.node.handle(Input::Propose { id, data });
                }
                ToNode::ReadIndex { ticket, id, .. } => {
                    self.waiting.insert(id, ticket);
                    self.node.handle(Input::ReadIndex(id));
                }
                other => panic!("handlers do not send {other:?}"),
            }
        }
        while let Some(output) = self.node.poll_output(0) {
            did_something = true;
            match output {
                Output::PerformLog(target) => {
                    let result = target.perform(&self.disk);
                    self.node.handle(Input::LogPerformed(result));
                }
                Output::Backend(task @ Task::Compact(_)) if self.holds_compactions => self.held.push(task),
                Output::Backend(task) => self.writer.submit(task),
                Output::Publish(view) => self.local.member().publish(view),
                Output::Replies(replies) => {
                    for reply in replies {
                        self.complete(reply.id, reply.result);
                    }
                }
                Output::ReadsReady(ids) => {
                    ids.into_iter().for_each(|id| self.complete(id, Ok(Answer::default())))
                }
                Output::Continue => self.node.handle(Input::Wake),
                Output::Halt(reason) => panic!("the member stops: {reason}"),
                Output::Send(_) | Output::SendSnapshot(_) | Output::Restart => panic!("there is nobody else"),
                Output::Ready | Output::WakeAt(_) | Output::Stopped => {}
            }
        }
        did_something | self.run_writer()
    }

    fn complete(&self, id: RequestId, result: Result<Answer, Failure>) {
        if let Some(ticket) = self.waiting.get(&id) {
            // The handler may have left.
            let _gone = self.waiters.complete(*ticket, result);
        }
    }

    fn run_writer(&mut self) -> bool {
        let mut resume = Ok(());
        loop {
            match self.writer.step(std::mem::replace(&mut resume, Ok(()))) {
                WriterStep::Perform(target) => resume = target.perform(&self.disk),
                WriterStep::Event(event) => {
                    self.node.handle(Input::Backend(BackendEvent(event)));
                    return true;
                }
                WriterStep::Pause => {}
                WriterStep::Idle => return false,
                WriterStep::Failed(error) => panic!("the backend fails: {error}"),
            }
        }
    }
}
