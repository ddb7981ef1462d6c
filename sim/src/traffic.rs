//! What clients ask for next, drawn from a seed.

use crate::model::Model;
use crate::request::Request;
use crate::shape::Load;
use bytes::Bytes;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request as Operation;
use proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use stdx::prng::Prng;
use types::MemberId;

/// What a client does.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Something that goes through the log.
    Propose(Request),
    /// A linearizable range: it waits for its turn and is then read at once.
    Read(RangeRequest),
    /// A range that is read in small steps from one view, while the member goes on.
    Scan(RangeRequest),
    /// A transaction that only reads, on the newest view.
    ReadTxn(TxnRequest),
    /// HashKV at this revision, in small steps.
    Hash(i64),
}

/// The source of requests.
pub struct Traffic {
    load: Load,
    rng: Prng,
    values: u64,
    filled: u64,
}

impl Traffic {
    /// The requests of `load` that follow from `rng`. `life` makes the values of one life differ from all others.
    pub fn new(load: Load, rng: Prng, life: u64) -> Self {
        Self { load, rng, values: life << 32, filled: 0 }
    }

    /// The next thing to ask for, by a client that knows `model`.
    pub fn next(&mut self, model: &Model, member: MemberId) -> Ask {
        if model.has_no_space_alarm() && self.rng.chance(1, 4) {
            return Ask::Propose(Request::Disarm(member));
        }
        if self.filled < self.load.filled_keys && model.has_fewer_keys_than(self.load.filled_keys) {
            return Ask::Propose(Request::Txn(self.fill()));
        }
        let mix = self.load.mix;
        let weights = [mix.puts, mix.deletes, mix.txns, mix.compactions, mix.reads, mix.hashes];
        match self.weighted(&weights) {
            0 => Ask::Propose(Request::Put(self.put(model))),
            1 => Ask::Propose(Request::Delete(self.delete())),
            2 => self.txn(model),
            3 => Ask::Propose(Request::Compact(self.compaction(model))),
            4 if self.rng.chance(1, 3) => Ask::Scan(self.range(model)),
            4 => Ask::Read(self.range(model)),
            _ => Ask::Hash(if self.rng.chance(1, 2) { 0 } else { self.revision(model) }),
        }
    }

    fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.rng.below(weights.iter().sum());
        weights
            .iter()
            .position(|weight| {
                let is_it = left < *weight;
                left = left.saturating_sub(*weight);
                is_it
            })
            .unwrap_or(0)
    }

    fn key(&mut self) -> Bytes {
        key(self.rng.below(self.load.keys))
    }

    fn fill(&mut self) -> TxnRequest {
        let keys = self.filled..self.filled + MAX_TXN_OPS as u64;
        self.filled = keys.end;
        let put = |number| PutRequest { key: key(number), ..PutRequest::default() };
        let success = keys.map(|number| RequestOp { request: Some(Operation::RequestPut(put(number))) });
        TxnRequest { success: success.collect(), ..TxnRequest::default() }
    }

    /// A key and the end of a range that begins there.
    fn key_range(&mut self) -> (Bytes, Bytes) {
        let key = self.key();
        match self.rng.below(10) {
            0 => (Bytes::from_static(b"\0"), Bytes::from_static(b"\0")),
            1 => (key, Bytes::from_static(b"\0")),
            2 => {
                let group = key[0];
                (Bytes::copy_from_slice(&[group, b'/']), Bytes::copy_from_slice(&[group, b'/' + 1]))
            }
            // May be the wrong way round: then it is an empty range.
            3..5 => (key, self.key()),
            _ => (key, Bytes::new()),
        }
    }

    fn value(&mut self) -> Bytes {
        self.values += 1;
        let length = if self.rng.chance(1, self.load.large_value_one_in) {
            2000 + self.rng.below(10_000)
        } else {
            self.rng.below(self.load.value_bytes_max + 1)
        };
        if length == 0 {
            return Bytes::new();
        }
        let mut value = format!("{:x}.", self.values).into_bytes();
        let mut filler = Prng::new(self.values);
        while value.len() < length as usize {
            value.extend(filler.next_u64().to_le_bytes());
        }
        value.into()
    }

    fn put(&mut self, model: &Model) -> PutRequest {
        let ignore_value = self.rng.chance(1, 12);
        let key = if self.rng.chance(3, 4) { self.key() } else { self.known_key(model) };
        PutRequest {
            key,
            value: if ignore_value { Bytes::new() } else { self.value() },
            ignore_value,
            ignore_lease: self.rng.chance(1, 20),
            prev_kv: self.rng.chance(1, 3),
            ..PutRequest::default()
        }
    }

    /// A key that lives, if there is one.
    fn known_key(&mut self, model: &Model) -> Bytes {
        let key = self.key();
        model.first_key_from(&key).unwrap_or(key)
    }

    fn delete(&mut self) -> DeleteRangeRequest {
        let (key, range_end) = self.key_range();
        DeleteRangeRequest { key, range_end, prev_kv: self.rng.chance(1, 2) }
    }

    /// A revision: mostly one that can be read, sometimes one that is compacted or to come.
    fn revision(&mut self, model: &Model) -> i64 {
        let newest = model.revision();
        match self.rng.below(12) {
            0 => newest + 1 + self.rng.below(3).cast_signed(),
            1 => 1 + self.rng.below(newest.cast_unsigned()).cast_signed(),
            _ => {
                let oldest = model.compact_revision().max(1);
                oldest + self.rng.below((newest - oldest + 1).cast_unsigned()).cast_signed()
            }
        }
    }

    fn compaction(&mut self, model: &Model) -> CompactionRequest {
        let near = (model.revision() - self.rng.below(8).cast_signed()).max(0);
        let revision = if self.rng.chance(2, 3) { near } else { self.revision(model) };
        CompactionRequest { revision, physical: self.rng.chance(1, 2) }
    }

    fn range(&mut self, model: &Model) -> RangeRequest {
        let (key, range_end) = self.key_range();
        RangeRequest {
            key,
            range_end,
            revision: if self.rng.chance(1, 2) { 0 } else { self.revision(model) },
            limit: if self.rng.chance(1, 3) { 1 + self.rng.below(8).cast_signed() } else { 0 },
            keys_only: self.rng.chance(1, 5),
            count_only: self.rng.chance(1, 8),
            ..RangeRequest::default()
        }
    }

    fn txn(&mut self, model: &Model) -> Ask {
        for _ in 0..5 {
            let txn = self.any_txn(model, 2);
            // What the API would refuse never gets into the log.
            if api::check::txn(&txn, MAX_TXN_OPS).is_ok() {
                let reads_only = api::check::is_read_only(&txn);
                return if reads_only { Ask::ReadTxn(txn) } else { Ask::Propose(Request::Txn(txn)) };
            }
        }
        Ask::Propose(Request::Put(self.put(model)))
    }

    fn any_txn(&mut self, model: &Model, depth: u64) -> TxnRequest {
        let compare = (0..self.rng.below(3)).map(|_| self.compare(model)).collect();
        let reads_only = self.rng.chance(1, 8);
        let mut branch =
            || (0..self.rng.below(4)).map(|_| self.operation(model, depth, reads_only)).collect();
        let (success, failure) = (branch(), branch());
        TxnRequest { compare, success, failure }
    }

    fn operation(&mut self, model: &Model, depth: u64, reads_only: bool) -> RequestOp {
        let request = match self.rng.below(10) {
            _ if reads_only => Operation::RequestRange(self.range(model)),
            0..5 => Operation::RequestPut(self.put(model)),
            5..7 => Operation::RequestDeleteRange(self.delete()),
            7 if depth > 0 => Operation::RequestTxn(self.any_txn(model, depth - 1)),
            _ => Operation::RequestRange(self.range(model)),
        };
        RequestOp { request: Some(request) }
    }

    fn compare(&mut self, model: &Model) -> Compare {
        let (key, range_end) = if self.rng.chance(1, 5) {
            self.key_range()
        } else {
            (if self.rng.chance(1, 2) { self.known_key(model) } else { self.key() }, Bytes::new())
        };
        let found = model.newest_pair(&key).unwrap_or_default();
        // Mostly what the client has seen, which mostly still holds.
        let near = |rng: &mut Prng, number: i64| number + [0, 0, 0, 1, -1][rng.below(5) as usize];
        let (target, union) = match self.rng.below(5) {
            0 => (CompareTarget::Version, TargetUnion::Version(near(&mut self.rng, found.version))),
            1 => (
                CompareTarget::Create,
                TargetUnion::CreateRevision(near(&mut self.rng, found.create_revision)),
            ),
            2 => (CompareTarget::Mod, TargetUnion::ModRevision(near(&mut self.rng, found.mod_revision))),
            3 => (CompareTarget::Value, TargetUnion::Value(found.value)),
            _ => (CompareTarget::Lease, TargetUnion::Lease(near(&mut self.rng, 0))),
        };
        let results =
            [CompareResult::Equal, CompareResult::NotEqual, CompareResult::Greater, CompareResult::Less];
        let result = if self.rng.chance(1, 2) { 0 } else { self.rng.below(4) as usize };
        Compare {
            result: results[result] as i32,
            target: target as i32,
            key,
            range_end,
            target_union: Some(union),
        }
    }
}

/// Key number `number`, in one of three groups, so that ranges of a prefix have something to find.
fn key(number: u64) -> Bytes {
    Bytes::from(format!("{}/{number:03}", ["a", "b", "c"][(number % 3) as usize]))
}

/// `--max-txn-ops`, its default.
const MAX_TXN_OPS: usize = 128;
