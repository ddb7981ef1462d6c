//! Transactions of ranges only: they need no log entry and are read in bounded steps (contract C9).

use crate::answer::{Answer, Refusal, put_bytes, put_inner_header};
use crate::compare::CompareRead;
use crate::kv::Outcome;
use crate::txn::{check_range_revision, put_succeeded};
use mvcc::{Budget, RangeRead, View};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{Compare, RangeRequest, RequestOp, TxnRequest};

/// A transaction of ranges under way, all of it on one view.
pub struct ReadTxn {
    view: View,
    success: Vec<RequestOp>,
    failure: Vec<RequestOp>,
    phase: Phase,
    body: Vec<u8>,
}

enum Phase {
    Compare { left: std::vec::IntoIter<Compare>, read: Option<CompareRead> },
    Read { left: std::vec::IntoIter<RangeRequest>, read: Option<RangeRead> },
}

/// What of a phase comes next.
enum Turn<T> {
    /// The budget is spent.
    Later,
    Done(T),
}

impl ReadTxn {
    /// Starts a checked transaction whose operations are all ranges; others are passed over.
    pub fn new(view: View, request: TxnRequest) -> Self {
        let TxnRequest { compare, success, failure } = request;
        let phase = Phase::Compare { left: compare.into_iter(), read: None };
        Self { view, success, failure, phase, body: Vec::new() }
    }

    /// Does a bounded part of the work, of about `keys` keys; returns the outcome at the end, behind which it must not
    /// be stepped.
    ///
    /// # Errors
    /// [`crate::Error::Mvcc`] with [`mvcc::Error::Overtaken`] if a compaction passed by: start again on a fresh view.
    /// Otherwise the file's.
    pub fn step(&mut self, keys: usize) -> crate::Result<Option<Result<Answer, Refusal>>> {
        let mut budget = Budget::new(keys);
        if let Phase::Compare { left, read } = &mut self.phase {
            let Turn::Done(succeeded) = compare_on(&self.view, left, read, &mut budget)? else {
                return Ok(None);
            };
            if let Err(refusal) = self.take_branch(succeeded) {
                return Ok(Some(Err(refusal)));
            }
        }
        match self.read_on(&mut budget)? {
            Turn::Later => Ok(None),
            Turn::Done(Err(refusal)) => Ok(Some(Err(refusal))),
            Turn::Done(Ok(())) => {
                let body = std::mem::take(&mut self.body).into();
                Ok(Some(Ok(Answer { revision: self.view.revision(), body })))
            }
        }
    }

    /// Checks all ranges of the branch before the first one is read.
    fn take_branch(&mut self, succeeded: bool) -> Result<(), Refusal> {
        let operations = std::mem::take(if succeeded { &mut self.success } else { &mut self.failure });
        let mut ranges = Vec::with_capacity(operations.len());
        for operation in operations {
            let Some(Request::RequestRange(range)) = operation.request else { continue };
            check_range_revision(&self.view, range.revision)?;
            ranges.push(range);
        }
        put_succeeded(succeeded, &mut self.body);
        self.phase = Phase::Read { left: ranges.into_iter(), read: None };
        Ok(())
    }

    fn read_on(&mut self, budget: &mut Budget) -> crate::Result<Turn<Result<(), Refusal>>> {
        let Phase::Read { left, read } = &mut self.phase else { return Ok(Turn::Later) };
        loop {
            let advanced = match read {
                Some(begun) => begun.advance(budget),
                None => {
                    let Some(range) = left.next() else { return Ok(Turn::Done(Ok(()))) };
                    let begun = RangeRead::new(self.view.clone(), range);
                    begun.and_then(|begun| read.insert(begun).advance(budget))
                }
            };
            let answer = match advanced {
                Ok(Some(answer)) => answer,
                Ok(None) => return Ok(Turn::Later),
                Err(mvcc::Error::Compacted) => return Ok(Turn::Done(Err(Refusal::Compacted))),
                Err(error) => return Err(error.into()),
            };
            *read = None;
            // Ranges that find nothing are work as well.
            budget.spend(1, 0);
            let mut message = Vec::with_capacity(answer.encoded_len() + 12);
            put_inner_header(self.view.revision(), &mut message);
            answer.encode_body(&mut message);
            let mut response = Vec::with_capacity(message.len() + 8);
            put_bytes(1, &message, &mut response);
            put_bytes(3, &response, &mut self.body);
        }
    }
}

/// Evaluates compares up to the first that does not hold.
fn compare_on(
    view: &View,
    left: &mut std::vec::IntoIter<Compare>,
    read: &mut Option<CompareRead>,
    budget: &mut Budget,
) -> mvcc::Result<Turn<bool>> {
    loop {
        let begun = match read {
            Some(begun) => begun,
            None => {
                let Some(compare) = left.next() else { return Ok(Turn::Done(true)) };
                read.insert(CompareRead::new(view, compare))
            }
        };
        match begun.advance(view, budget)? {
            None => return Ok(Turn::Later),
            Some(false) => return Ok(Turn::Done(false)),
            Some(true) => *read = None,
        }
        budget.spend(1, 0);
    }
}

/// Runs all steps of [`ReadTxn`] one after the other.
///
/// # Errors
/// As [`ReadTxn::step`].
pub fn read_txn(view: &View, request: TxnRequest) -> Outcome {
    let mut read = ReadTxn::new(view.clone(), request);
    loop {
        if let Some(outcome) = read.step(STEP_KEYS)? {
            return Ok(outcome);
        }
    }
}

/// Keys in a step of [`read_txn`].
const STEP_KEYS: usize = 1000;
