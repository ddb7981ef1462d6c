//! One net thread's access to the member.

use crate::member::{Member, ToNode};
use api::{ApiError, Command, Header, Identity, error};
use apply::Answer;
use bytes::BytesMut;
use grpc::{Code, Frame, Status, Ticket, Waiters};
use node::{Failure, View};
use prost::Message;
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
        let id = self.member.next_id();
        let limits = &self.member.limits;
        let data = api::proposal(id, Identity::default(), command, request, limits.request_bytes_max)
            .map_err(status)?;
        let (ticket, waiting) = self.waiters.register();
        self.member.proposer.push(ToNode::Propose { thread: self.thread, ticket, id, data });
        match tokio::time::timeout(limits.request_timeout, waiting).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failure)) => Err(status(from_failure(failure))),
            Err(_) => Err(status(error::TIMEOUT)),
        }
    }

    /// Refuses a write of `cost` bytes that the quota has no room for, and sees to the alarm.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED.
    pub fn check_quota(&self, cost: u64) -> Result<(), Status> {
        let view = self.view()?;
        let used = view.state.store.data().file().size_bytes() + view.state.buffered_bytes;
        if self.member.limits.quota.allows(used, cost) {
            return Ok(());
        }
        self.member.proposer.push(ToNode::RaiseNoSpace);
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
        // The rest is damage of this member's file.
        error => Status::new(Code::Internal, format!("etcdserver: {error}")),
    }
}
