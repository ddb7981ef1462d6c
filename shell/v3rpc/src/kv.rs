//! KV: Range, Put, DeleteRange, Txn, Compact.

use crate::local::{Local, read_status, status};
use api::{Command, TxnMessage, check};
use apply::{put_cost, txn_cost};
use grpc::{Frame, Status};
use mvcc::{Error, RangeRead};
use proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest, request_op,
};
use std::rc::Rc;

/// Keys that a range handles before it gives way to other requests of its thread.
const STEP_KEYS: usize = 1000;
/// Steps that a range takes at once: enough for the phases of a small one.
const STEPS_AT_ONCE: usize = 4;

pub(crate) async fn range(request: RangeRequest, local: Rc<Local>) -> Result<Frame, Status> {
    check::range(&request).map_err(status)?;
    loop {
        let view = if request.serializable { local.view()? } else { local.linearizable_view().await? };
        let revision = view.state.store.revision();
        match run_range(&view, &request).await {
            Ok(answer) => {
                return local.respond_with(revision, answer.encoded_len(), |out| answer.encode_body(out));
            }
            // The next view is newer, so this ends.
            Err(Error::Overtaken) => {}
            Err(error) => return Err(read_status(error)),
        }
    }
}

async fn run_range(view: &node::View, request: &RangeRequest) -> mvcc::Result<mvcc::RangeAnswer> {
    let mut read = RangeRead::new(view.state.store.clone(), request.clone())?;
    let mut steps = 0;
    loop {
        if let Some(answer) = read.step(STEP_KEYS)? {
            return Ok(answer);
        }
        steps += 1;
        if steps >= STEPS_AT_ONCE {
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) async fn put(request: PutRequest, local: Rc<Local>) -> Result<Frame, Status> {
    local.check_quota(put_cost(&request))?;
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
    let request = message.into_request().map_err(status)?;
    local.check_quota(txn_cost(&request))?;
    check::txn(&request, local.member().limits.txn_ops_max).map_err(status)?;
    if check::is_read_only(&request) {
        return read_txn(request, &local).await;
    }
    let answer = local.propose(Command::Txn, &request).await?;
    local.respond(&answer)
}

async fn read_txn(request: TxnRequest, local: &Local) -> Result<Frame, Status> {
    let mut operations = request.success.iter().chain(&request.failure);
    let is_serializable = operations.all(|operation| {
        matches!(&operation.request, Some(request_op::Request::RequestRange(range)) if range.serializable)
    });
    loop {
        let view = if is_serializable { local.view()? } else { local.linearizable_view().await? };
        match apply::read_txn(&view.state.store, request.clone()) {
            Ok(Ok(answer)) => return local.respond(&answer),
            Ok(Err(refusal)) => return Err(status(refusal.into())),
            Err(apply::Error::Mvcc(Error::Overtaken)) => {}
            Err(apply::Error::Mvcc(error)) => return Err(read_status(error)),
            Err(error) => return Err(Status::new(grpc::Code::Internal, format!("etcdserver: {error}"))),
        }
    }
}

pub(crate) async fn compact(request: CompactionRequest, local: Rc<Local>) -> Result<Frame, Status> {
    let answer = local.propose(Command::Compaction, &request).await?;
    // Built when the answer is: writes may have come in between.
    let revision = local.view()?.state.store.revision();
    local.respond(&apply::Answer { revision, ..answer })
}
