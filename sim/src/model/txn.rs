//! Transactions: compares and checks look at the state before, operations at what they have changed themselves.

use super::{Model, Record, is_inside};
use apply::Refusal;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request as Operation;
use proto::etcdserverpb::response_op::Response as Done;
use proto::etcdserverpb::{
    Compare, RangeRequest, RangeResponse, RequestOp, ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};
use std::cmp::Ordering;

impl Model {
    pub(super) fn txn(&mut self, request: &TxnRequest) -> Result<TxnResponse, Refusal> {
        let steps = self.choose(request);
        self.check_steps(&steps)?;
        let mut sub = 0;
        let response = self.run(&steps, &mut sub);
        self.revision += i64::from(sub > 0);
        Ok(TxnResponse { header: None, ..response })
    }

    /// The branch that is taken, and those of the transactions in it: all decided before anything changes.
    fn choose<'a>(&self, request: &'a TxnRequest) -> Steps<'a> {
        let succeeded = request.compare.iter().all(|compare| self.holds(compare));
        let branch = if succeeded { &request.success } else { &request.failure };
        let step = |operation: &'a RequestOp| match operation.request.as_ref()? {
            Operation::RequestTxn(inner) => Some(Step::Txn(self.choose(inner))),
            other => Some(Step::Plain(other)),
        };
        Steps { succeeded, steps: branch.iter().filter_map(step).collect() }
    }

    fn holds(&self, compare: &Compare) -> bool {
        let found: Vec<&Record> = self
            .alive_at(self.revision)
            .filter(|record| is_inside(&compare.key, &compare.range_end, &record.pair.key))
            .collect();
        if found.is_empty() {
            return compare.target() != CompareTarget::Value && compares(compare, None);
        }
        found.into_iter().all(|record| compares(compare, Some(record)))
    }

    fn check_steps(&self, steps: &Steps<'_>) -> Result<(), Refusal> {
        for step in &steps.steps {
            match step {
                Step::Txn(inner) => self.check_steps(inner)?,
                Step::Plain(Operation::RequestPut(put)) => self.check_put(put)?,
                Step::Plain(Operation::RequestRange(range)) if range.revision > self.revision => {
                    return Err(Refusal::FutureRevision);
                }
                Step::Plain(Operation::RequestRange(range))
                    if range.revision != 0 && range.revision < self.compact_revision =>
                {
                    return Err(Refusal::Compacted);
                }
                Step::Plain(_) => {}
            }
        }
        Ok(())
    }

    fn run(&mut self, steps: &Steps<'_>, sub: &mut i64) -> TxnResponse {
        let mut responses = Vec::new();
        for step in &steps.steps {
            let done = match step {
                Step::Txn(inner) => Done::ResponseTxn(self.run(inner, sub)),
                Step::Plain(operation) => self.run_one(operation, sub),
            };
            responses.push(ResponseOp { response: Some(done) });
        }
        // The header of an inner transaction is there and empty.
        TxnResponse { header: Some(ResponseHeader::default()), succeeded: steps.succeeded, responses }
    }

    fn run_one(&mut self, operation: &Operation, sub: &mut i64) -> Done {
        let mut done = match operation {
            Operation::RequestRange(range) => Done::ResponseRange(self.range_inside(range, *sub)),
            Operation::RequestPut(put) => Done::ResponsePut(self.put(put, sub)),
            Operation::RequestDeleteRange(delete) => Done::ResponseDeleteRange(self.delete(delete, sub)),
            Operation::RequestTxn(_) => unreachable!("a transaction is a step of its own"),
        };
        let revision = self.revision + i64::from(*sub > 0);
        let header = Some(ResponseHeader { revision, ..ResponseHeader::default() });
        match &mut done {
            Done::ResponseRange(response) => response.header = header,
            Done::ResponsePut(response) => response.header = header,
            Done::ResponseDeleteRange(response) => response.header = header,
            Done::ResponseTxn(_) => {}
        }
        done
    }

    fn range_inside(&self, range: &RangeRequest, sub: i64) -> RangeResponse {
        let newest = self.revision + i64::from(sub > 0);
        self.range_at(range, if range.revision > 0 { range.revision } else { newest })
    }
}

/// What of a transaction is carried out.
struct Steps<'a> {
    succeeded: bool,
    steps: Vec<Step<'a>>,
}

enum Step<'a> {
    Plain(&'a Operation),
    Txn(Steps<'a>),
}

fn compares(compare: &Compare, record: Option<&Record>) -> bool {
    let pair = record.map(|record| record.pair.clone()).unwrap_or_default();
    let ordering = match compare.target_union.as_ref() {
        Some(TargetUnion::Version(wanted)) => pair.version.cmp(wanted),
        Some(TargetUnion::CreateRevision(wanted)) => pair.create_revision.cmp(wanted),
        Some(TargetUnion::ModRevision(wanted)) => pair.mod_revision.cmp(wanted),
        Some(TargetUnion::Value(wanted)) => pair.value.cmp(wanted),
        Some(TargetUnion::Lease(wanted)) => pair.lease.cmp(wanted),
        None => Ordering::Equal,
    };
    match compare.result() {
        CompareResult::Equal => ordering.is_eq(),
        CompareResult::NotEqual => ordering.is_ne(),
        CompareResult::Greater => ordering.is_gt(),
        CompareResult::Less => ordering.is_lt(),
    }
}
