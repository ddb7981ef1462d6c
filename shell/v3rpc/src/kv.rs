//! KV: Range, Put, DeleteRange, Txn, Compact.

use crate::local::{Local, status};
use crate::reading::{Restarts, in_steps};
use api::{Command, TxnMessage, check};
use apply::{Access, Answer, Identity, ReadTxn, Refusal, put_cost, txn_cost};
use grpc::{Frame, Status};
use mvcc::RangeRead;
use proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest, request_op,
};
use std::rc::Rc;

/// Keys that a read handles before it gives way to other requests of its thread.
const STEP_KEYS: usize = 1000;

pub(crate) async fn range(request: RangeRequest, local: Rc<Local>) -> Result<Frame, Status> {
    check::range(&request).map_err(status)?;
    let mut restarts = Restarts::default();
    loop {
        let view = if request.serializable { local.view()? } else { local.linearizable_view().await? };
        view.state.auth.authorise(&Identity::default(), Access::Range(&request)).map_err(refusal)?;
        let revision = view.state.store.revision();
        match run_range(&local, &view, &request).await {
            Ok(answer) => {
                return local.respond_with(revision, answer.encoded_len(), |out| answer.encode_body(out));
            }
            Err(error) => restarts.after(error).await?,
        }
    }
}

async fn run_range(
    local: &Local,
    view: &node::View,
    request: &RangeRequest,
) -> mvcc::Result<mvcc::RangeAnswer> {
    let mut read = RangeRead::new(view.state.store.clone(), request.clone())?;
    in_steps(local, view, || read.step(STEP_KEYS)).await
}

pub(crate) async fn put(request: PutRequest, local: Rc<Local>) -> Result<Frame, Status> {
    local.check_quota(put_cost(&request)).await?;
    check::put(&request).map_err(status)?;
    let answer = local.propose(Command::Put, &request).await?;
    local.respond(&answer)
}

pub(crate) async fn delete_range(request: DeleteRangeRequest, local: Rc<Local>) -> Result<Frame, Status> {
    check::delete_range(&request).map_err(status)?;
    let answer = local.propose(Command::DeleteRange, &request).await?;
    local.respond(&answer)
}

pub(crate) async fn txn(message: TxnMessage, local: Rc<Local>) -> Result<Frame, Status> {
    let request = message.request().map_err(status)?;
    local.check_quota(txn_cost(request)).await?;
    check::txn(request, local.member().limits.txn_ops_max).map_err(status)?;
    if check::is_read_only(request) {
        return read_txn(request, &local).await;
    }
    let answer = local.propose(Command::Txn, &message).await?;
    local.respond(&answer)
}

async fn read_txn(request: &TxnRequest, local: &Local) -> Result<Frame, Status> {
    let mut operations = request.success.iter().chain(&request.failure);
    let is_serializable = operations.all(|operation| {
        matches!(&operation.request, Some(request_op::Request::RequestRange(range)) if range.serializable)
    });
    let mut restarts = Restarts::default();
    loop {
        let view = if is_serializable { local.view()? } else { local.linearizable_view().await? };
        view.state.auth.authorise(&Identity::default(), Access::Txn(request)).map_err(refusal)?;
        match run_txn(local, &view, request).await {
            Ok(Ok(answer)) => return local.respond(&answer),
            Ok(Err(refused)) => return Err(refusal(refused)),
            Err(apply::Error::Mvcc(error)) => restarts.after(error).await?,
            Err(error) => return Err(Status::new(grpc::Code::Internal, format!("etcdserver: {error}"))),
        }
    }
}

fn refusal(refusal: Refusal) -> Status {
    status(refusal.into())
}

/// All of the transaction on one view.
async fn run_txn(
    local: &Local,
    view: &node::View,
    request: &TxnRequest,
) -> apply::Result<Result<Answer, Refusal>> {
    let mut read = ReadTxn::new(view.state.store.clone(), request.clone());
    in_steps(local, view, || read.step(STEP_KEYS)).await
}

pub(crate) async fn compact(request: CompactionRequest, local: Rc<Local>) -> Result<Frame, Status> {
    // A physical one is answered when everything is deleted. As in etcd only the time until it is applied is limited.
    let is_under_way =
        |view: &node::View| request.physical && view.state.store.compact_revision() >= request.revision;
    let answer = local.propose_until(Command::Compaction, &request, is_under_way).await?;
    // Built when the answer is: writes may have come in between.
    let revision = local.view()?.state.store.revision();
    local.respond(&Answer { revision, ..answer })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Harness, REQUEST_TIMEOUT};
    use bytes::Bytes;
    use grpc::Code;
    use prost::Message;
    use proto::etcdserverpb::RequestOp;
    use std::future::Future;
    use tokio::time::timeout;

    fn put_of(key: &str) -> PutRequest {
        PutRequest { key: key.to_owned().into(), value: "value".into(), ..PutRequest::default() }
    }

    async fn put_keys(harness: &mut Harness, count: usize) {
        for number in 0..count {
            let local = harness.local.clone();
            harness.run(put(put_of(&format!("k{number:05}")), local)).await.unwrap();
        }
    }

    fn compaction(harness: &Harness, physical: bool) -> impl Future<Output = Result<Frame, Status>> + use<> {
        let revision = harness.local.view().unwrap().state.store.revision();
        compact(CompactionRequest { revision, physical }, harness.local.clone())
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_without_space_is_refused_once_the_alarm_stands() {
        let mut harness = Harness::new(1);
        let local = harness.local.clone();
        let error = harness.run(put(put_of("k"), local.clone())).await.unwrap_err();
        assert_eq!((error.code, error.message), (Code::ResourceExhausted, api::error::NO_SPACE.text.into()));
        let view = local.view().unwrap();
        assert_eq!(view.state.alarms.len(), 1);
        // It is not raised again while it stands.
        harness.run(put(put_of("k"), local.clone())).await.unwrap_err();
        assert_eq!(local.view().unwrap().state.applied, view.state.applied);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_without_space_is_refused_although_the_alarm_takes_too_long() {
        let harness = Harness::new(1);
        let error = put(put_of("k"), harness.local.clone()).await.unwrap_err();
        assert_eq!(error.message, api::error::NO_SPACE.text);
    }

    #[tokio::test(start_paused = true)]
    async fn a_physical_compaction_has_no_limit_once_it_is_applied() {
        let mut harness = Harness::new(0);
        put_keys(&mut harness, 3).await;
        harness.holds_compactions = true;
        let mut call = std::pin::pin!(compaction(&harness, true));
        for _ in 0..3 {
            assert!(timeout(10 * REQUEST_TIMEOUT, harness.go_on(&mut call)).await.is_err());
        }
        harness.release_compactions();
        harness.go_on(&mut call).await.unwrap();
        // Whoever does not ask for the deletes has the answer before them.
        put_keys(&mut harness, 3).await;
        harness.holds_compactions = true;
        let call = compaction(&harness, false);
        harness.run(call).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_applied_in_time_is_answered_with_a_timeout() {
        let harness = Harness::new(0);
        let error = compaction(&harness, true).await.unwrap_err();
        assert_eq!((error.code, error.message), (Code::Unavailable, api::error::TIMEOUT.text.into()));
        let error = put(put_of("k"), harness.local.clone()).await.unwrap_err();
        assert_eq!(error.message, api::error::TIMEOUT.text);
    }

    /// How often a handler gives way before it ends.
    async fn yields(handler: impl Future<Output = Result<Frame, Status>>) -> usize {
        let mut handler = std::pin::pin!(handler);
        let mut yields = 0;
        let result = std::future::poll_fn(|cx| {
            let poll = handler.as_mut().poll(cx);
            yields += usize::from(poll.is_pending());
            poll
        });
        result.await.unwrap();
        yields
    }

    #[tokio::test(start_paused = true)]
    async fn long_reads_give_way_and_short_ones_do_not() {
        let mut harness = Harness::new(0);
        put_keys(&mut harness, 5000).await;
        let local = harness.local.clone();
        let all = Bytes::from_static(b"\0");
        let everything = RangeRequest { key: all.clone(), range_end: all, ..RangeRequest::default() };
        let one = RangeRequest { key: "k00001".into(), ..RangeRequest::default() };
        // Index and values, a thousand keys at a time.
        assert!(yields(range(everything.clone(), local.clone())).await >= 9);
        assert_eq!(yields(range(one.clone(), local.clone())).await, 0);
        let read_txn = |ranges: Vec<RangeRequest>| {
            let op = |range| RequestOp { request: Some(request_op::Request::RequestRange(range)) };
            let request =
                TxnRequest { success: ranges.into_iter().map(op).collect(), ..TxnRequest::default() };
            txn(TxnMessage::decode(request.encode_to_vec().as_slice()).unwrap(), local.clone())
        };
        assert!(yields(read_txn(vec![everything.clone(), everything])).await >= 18);
        assert_eq!(yields(read_txn(vec![one; 100])).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn deeply_nested_transactions_are_carried_out() {
        let mut harness = Harness::new(0);
        let mut request = TxnRequest {
            success: vec![RequestOp { request: Some(request_op::Request::RequestPut(put_of("deep"))) }],
            ..TxnRequest::default()
        };
        for _ in 0..127 {
            let inner = RequestOp { request: Some(request_op::Request::RequestTxn(request)) };
            request = TxnRequest { success: vec![inner], ..TxnRequest::default() };
        }
        let message = TxnMessage::decode(request.encode_to_vec().as_slice()).unwrap();
        let local = harness.local.clone();
        harness.run(txn(message, local.clone())).await.unwrap();
        let inner = RequestOp { request: Some(request_op::Request::RequestTxn(request)) };
        let too_many = TxnRequest { success: vec![inner], ..TxnRequest::default() };
        let message = TxnMessage::decode(too_many.encode_to_vec().as_slice()).unwrap();
        let error = harness.run(txn(message, local.clone())).await.unwrap_err();
        assert_eq!(error.message, api::error::TOO_MANY_OPS.text);
        let deep = RangeRequest { key: "deep".into(), ..RangeRequest::default() };
        let found = harness.run(range(deep, local)).await.unwrap();
        assert!(found.message().windows(5).any(|bytes| bytes == b"value"));
    }
}
