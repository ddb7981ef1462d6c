//! What clients asked for, and what they were told, placed among the operations of the disk.

use vfs::mem::MemDisk;

/// A place in a [`History`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestNumber(usize);

#[derive(Clone, Debug)]
struct Record<R> {
    request: R,
    begun_at: u64,
    acknowledged_at: Option<u64>,
}

/// Requests in the order they were begun, each with the disk operation after which it was begun and acknowledged.
#[derive(Clone, Debug)]
pub struct History<R> {
    records: Vec<Record<R>>,
}

impl<R> Default for History<R> {
    fn default() -> Self {
        Self { records: Vec::new() }
    }
}

impl<R> History<R> {
    /// Notes that a client sends `request`. Call it before the request can touch the disk.
    pub fn begin(&mut self, disk: &MemDisk, request: R) -> RequestNumber {
        self.begin_at(disk.op_count(), request)
    }

    /// Notes a request that can have touched the disk in any operation behind number `op`.
    ///
    /// # Panics
    /// If an earlier one was noted with a later operation.
    pub fn begin_at(&mut self, op: u64, request: R) -> RequestNumber {
        assert!(
            self.records.last().is_none_or(|last| last.begun_at <= op),
            "requests are noted in their order"
        );
        self.records.push(Record { request, begun_at: op, acknowledged_at: None });
        RequestNumber(self.records.len() - 1)
    }

    /// Notes that the client has its answer: from here on no crash may lose the request.
    ///
    /// # Panics
    /// If it was answered before.
    pub fn acknowledge(&mut self, disk: &MemDisk, number: RequestNumber) {
        let before = self.records[number.0].acknowledged_at.replace(disk.op_count());
        assert_eq!(before, None, "a request is answered once");
    }

    /// The requests as they stood when the disk had done operation `op`.
    pub fn at(&self, op: u64) -> Vec<Request<'_, R>> {
        let begun = self.records.iter().take_while(|record| record.begun_at <= op);
        begun
            .map(|record| Request {
                request: &record.request,
                acknowledged: record.acknowledged_at.is_some_and(|at| at <= op),
            })
            .collect()
    }

    /// The requests as they stood when the disk had done operation `op`, as the past of another disk: all begun, and
    /// answered if they were, before its first operation.
    #[must_use]
    pub fn carried_over(self, op: u64) -> Self {
        let begun = self.records.into_iter().take_while(|record| record.begun_at <= op);
        let carry = |record: Record<R>| Record {
            begun_at: 0,
            acknowledged_at: record.acknowledged_at.filter(|at| *at <= op).map(|_| 0),
            ..record
        };
        Self { records: begun.map(carry).collect() }
    }

    /// How many requests were begun.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none was begun.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

/// A request that was begun before a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a, R> {
    /// What was asked for.
    pub request: &'a R,
    /// Whether the client was told that it is done: then it must have survived, otherwise it may have.
    pub acknowledged: bool,
}
