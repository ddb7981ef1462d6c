//! One net thread's access to the member.

use crate::member::{Member, ToNode};
use api::{ApiError, Command, Header, Identity, error};
use apply::{Alarm, Answer};
use bytes::BytesMut;
use grpc::{Code, Frame, Status, Ticket, Waiters};
use node::{Failure, View};
use prost::Message;
use proto::etcdserverpb::alarm_request::AlarmAction;
use proto::etcdserverpb::{AlarmRequest, AlarmType};
use std::sync::Arc;

/// What completes a ticket: the outcome of a proposal, or an empty answer for a read that may go on.
pub type Completion = (Ticket, Result<Answer, Failure>);

/// One net thread's access to the member.
pub struct Local {
    member: Arc<Member>,
    thread: usize,
    waiters: Waiters<Result<Answer, Failure>>,
}

impl Local {
    /// The access of net thread `thread`; `waiters` are completed by whoever drains the thread's mailbox.
    pub fn new(member: Arc<Member>, thread: usize, waiters: Waiters<Result<Answer, Failure>>) -> Self {
        Self { member, thread, waiters }
    }

    /// The member.
    pub fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// The newest view.
    ///
    /// # Errors
    /// UNAVAILABLE before the member has started.
    pub fn view(&self) -> Result<Arc<View>, Status> {
        self.member.view().ok_or_else(|| status(error::NO_LEADER))
    }

    /// The newest view that a linearizable read may use.
    ///
    /// # Errors
    /// UNAVAILABLE when no leader confirms in time.
    pub async fn linearizable_view(&self) -> Result<Arc<View>, Status> {
        let view = self.view()?;
        if view.serves_linearizable {
            return Ok(view);
        }
        let (ticket, waiting) = self.waiters.register();
        let id = self.member.next_id();
        self.member.proposer.push(ToNode::ReadIndex { thread: self.thread, ticket, id });
        match tokio::time::timeout(self.member.limits.request_timeout, waiting).await {
            Ok(Ok(_)) => self.view(),
            Ok(Err(failure)) => Err(status(from_failure(failure))),
            Err(_) => Err(status(error::TIMEOUT)),
        }
    }

    /// Puts a checked request into the log and waits for its outcome.
    ///
    /// # Errors
    /// Too large, refused, or not answered in time.
    pub async fn propose(&self, command: Command, request: &impl Message) -> Result<Answer, Status> {
        self.propose_until(command, request, |_| false).await
    }

    /// As [`Local::propose`], but when time is up and `is_under_way` says so of the newest view, it waits without limit:
    /// then the call ends with the outcome, or when the client leaves.
    ///
    /// # Errors
    /// As [`Local::propose`].
    pub async fn propose_until(
        &self,
        command: Command,
        request: &impl Message,
        is_under_way: impl FnOnce(&View) -> bool,
    ) -> Result<Answer, Status> {
        let id = self.member.next_id();
        let limits = &self.member.limits;
        let data = api::proposal(id, Identity::default(), command, request, limits.request_bytes_max)
            .map_err(status)?;
        let (ticket, mut waiting) = self.waiters.register();
        self.member.proposer.push(ToNode::Propose { thread: self.thread, ticket, id, data });
        let outcome = match tokio::time::timeout(limits.request_timeout, &mut waiting).await {
            Ok(outcome) => outcome,
            Err(_) if is_under_way(&*self.view()?) => waiting.await,
            Err(_) => return Err(status(error::TIMEOUT)),
        };
        outcome.map_err(|failure| status(from_failure(failure)))
    }

    /// Refuses a write of `cost` bytes that the quota has no room for, once the alarm is raised.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED.
    pub async fn check_quota(&self, cost: u64) -> Result<(), Status> {
        let view = self.view()?;
        let used = view.state.store.data().file().size_bytes() + view.state.buffered_bytes;
        if self.member.limits.quota.allows(used, cost) {
            return Ok(());
        }
        let alarm = Alarm { member: self.member.id.0, kind: AlarmType::Nospace as i32 };
        let is_active = view.state.alarms.contains(&alarm);
        // No pages are held while it waits.
        drop(view);
        if !is_active {
            let request = AlarmRequest {
                action: AlarmAction::Activate as i32,
                member_id: alarm.member,
                alarm: alarm.kind,
            };
            // As in etcd the write is refused whatever becomes of the alarm; the next one tries again.
            let _unimportant = self.propose(Command::Alarm, &request).await;
        }
        Err(status(error::NO_SPACE))
    }

    /// The header of an answer given now.
    pub fn header(&self) -> Header {
        let term = self.member.view().map(|view| view.term).unwrap_or_default();
        Header { cluster: self.member.cluster, member: self.member.id, term }
    }

    /// The response to an outcome: header, then the fields as apply encoded them.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if it is too large for a message.
    pub fn respond(&self, answer: &Answer) -> Result<Frame, Status> {
        self.respond_with(answer.revision, answer.body.len(), |out| out.extend_from_slice(&answer.body))
    }

    /// The response of a header at `revision` and `body_len` bytes that `body` appends; errors as [`Local::respond`].
    pub fn respond_with(
        &self,
        revision: i64,
        body_len: usize,
        body: impl FnOnce(&mut BytesMut),
    ) -> Result<Frame, Status> {
        let header = self.header();
        Frame::build(header.encoded_len(revision) + body_len, |out| {
            header.encode(revision, out);
            body(out);
        })
    }
}

/// An error of the API's table as a gRPC status.
pub(crate) fn status(error: ApiError) -> Status {
    Status::new(Code::from_number(error.code as u32), error.text)
}

fn from_failure(failure: Failure) -> ApiError {
    match failure {
        Failure::Refused(refusal) => refusal.into(),
        Failure::NoLeader => error::NO_LEADER,
        Failure::LeaderChanged => error::LEADER_CHANGED,
        Failure::TooManyRequests => error::TOO_MANY_REQUESTS,
        Failure::Stopped => error::STOPPED,
    }
}

/// An error of a read as a gRPC status.
pub(crate) fn read_status(error: mvcc::Error) -> Status {
    match error {
        mvcc::Error::Compacted => status(error::COMPACTED),
        mvcc::Error::FutureRevision => status(error::FUTURE_REVISION),
        mvcc::Error::KeyNotFound => status(error::KEY_NOT_FOUND),
        // Begun anew it took as long again.
        mvcc::Error::Outlived => status(error::TIMEOUT),
        // The rest is damage of this member's file.
        error => Status::new(Code::Internal, format!("etcdserver: {error}")),
    }
}
