//! Reading a range in bounded steps, straight into the bytes of the answer.

use crate::index::{Found, KeyRange, Scan};
use crate::sort::{Direction, Rank, Sort};
use crate::view::View;
use crate::{Error, Result};
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use proto::etcdserverpb::RangeRequest;
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::mvccpb::KeyValue;
use std::ops::ControlFlow;

/// The answer to a range read: all fields of `RangeResponse` behind its header.
#[derive(Clone, Debug, Default)]
pub struct RangeAnswer {
    /// The encoded pairs, each with tag and length of field 2.
    pub kvs: Bytes,
    /// More than `limit` pairs matched.
    pub more: bool,
    /// Keys in the range, whatever limit and filters say.
    pub count: i64,
}

impl RangeAnswer {
    /// Length of what [`RangeAnswer::encode_body`] appends.
    pub fn encoded_len(&self) -> usize {
        let count = if self.count == 0 { 0 } else { 1 + encoded_len_varint(self.count.cast_unsigned()) };
        self.kvs.len() + if self.more { 2 } else { 0 } + count
    }

    /// Appends fields 2 to 4 of a `RangeResponse`.
    pub fn encode_body(&self, out: &mut impl BufMut) {
        out.put_slice(&self.kvs);
        if self.more {
            encode_key(3, WireType::Varint, out);
            encode_varint(1, out);
        }
        if self.count != 0 {
            encode_key(4, WireType::Varint, out);
            encode_varint(self.count.cast_unsigned(), out);
        }
    }
}

/// How the answer is ordered and cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// Key order, cut while reading.
    Natural,
    /// Cut first in key order, then sorted (an order of NONE with another target than KEY).
    CutThenSort,
    /// Everything is read, filtered and sorted, then cut.
    Whole,
}

/// What one step of a read may still do (contract C9).
#[derive(Debug)]
pub struct Budget {
    keys: usize,
    bytes: usize,
}

impl Budget {
    /// Room for `keys` keys (at least one) and for [`STEP_BYTES_MAX`] bytes of values, beside the one that crosses the
    /// line.
    pub fn new(keys: usize) -> Self {
        Self { keys: keys.max(1), bytes: STEP_BYTES_MAX }
    }

    /// Whether the step is at its end.
    pub fn is_spent(&self) -> bool {
        self.keys == 0 || self.bytes == 0
    }

    /// Keys that the step may still look at.
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// Notes that `keys` keys and `bytes` bytes of values were handled.
    pub fn spend(&mut self, keys: usize, bytes: usize) {
        self.keys = self.keys.saturating_sub(keys);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// A range read under way. Each [`RangeRead::step`] handles a bounded number of keys and bytes (contract C9).
pub struct RangeRead {
    view: View,
    request: RangeRequest,
    scan: Scan,
    revision: i64,
    is_explicit: bool,
    plan: Plan,
    limit: usize,
    found: Vec<(Bytes, Found)>,
    out: BytesMut,
    count: usize,
    /// Pairs that the answer is cut from.
    matched: usize,
    phase: Phase,
}

enum Phase {
    Index,
    /// Gives each of the `left` pairs its rank.
    Rank {
        sort: Sort,
        left: std::vec::IntoIter<(Bytes, Found)>,
    },
    Merge(Sort),
    Values {
        next: usize,
    },
    Done,
}

impl RangeRead {
    /// Starts the read that `request` asks for on `view`; `request` is checked already (key, sort values).
    ///
    /// # Errors
    /// [`Error::FutureRevision`], [`Error::Compacted`].
    pub fn new(view: View, request: RangeRequest) -> Result<Self> {
        let revision = view.read_revision(request.revision)?;
        let is_explicit = request.revision > 0;
        let range = KeyRange::new(&request.key, &request.range_end);
        let limit = usize::try_from(request.limit).unwrap_or(0);
        let plan = plan(&request);
        Ok(Self {
            view,
            request,
            scan: Scan::new(range, revision),
            revision,
            is_explicit,
            plan,
            limit,
            found: Vec::new(),
            out: BytesMut::new(),
            count: 0,
            matched: 0,
            phase: Phase::Index,
        })
    }

    /// Does a bounded part of the work, of about `keys` keys; as [`RangeRead::advance`] with a budget of its own.
    ///
    /// # Errors
    /// As [`RangeRead::advance`].
    pub fn step(&mut self, keys: usize) -> Result<Option<RangeAnswer>> {
        self.advance(&mut Budget::new(keys))
    }

    /// Goes on until `budget` is spent. Returns the answer at the end.
    ///
    /// # Errors
    /// [`Error::Compacted`] or [`Error::Overtaken`] when a compaction passes by; [`Error::Backend`] for the file.
    ///
    /// # Panics
    /// If it has ended, with an answer or an error.
    pub fn advance(&mut self, budget: &mut Budget) -> Result<Option<RangeAnswer>> {
        assert!(!matches!(self.phase, Phase::Done), "a read that has ended is not stepped");
        while !budget.is_spent() {
            self.phase = match std::mem::replace(&mut self.phase, Phase::Done) {
                Phase::Index => self.read_index(budget)?,
                Phase::Rank { sort, left } => self.rank(sort, left, budget)?,
                Phase::Merge(sort) => self.merge(sort, budget),
                Phase::Values { next } => self.read_values(next, budget)?,
                Phase::Done => unreachable!("asserted above"),
            };
            if matches!(self.phase, Phase::Done) {
                let more = self.limit > 0 && self.matched > self.limit;
                let count = i64::try_from(self.count).unwrap_or(i64::MAX);
                let kvs = std::mem::take(&mut self.out).freeze();
                return Ok(Some(RangeAnswer { kvs, more, count }));
            }
        }
        Ok(None)
    }

    /// Runs all steps one after the other, for apply and for tests; errors as [`RangeRead::step`]. The index is locked
    /// during one step only.
    pub fn run(mut self) -> Result<RangeAnswer> {
        loop {
            if let Some(answer) = self.step(RUN_STEP_KEYS)? {
                return Ok(answer);
            }
        }
    }

    /// Gathers keys until there are enough, then only counts.
    fn read_index(&mut self, budget: &mut Budget) -> Result<Phase> {
        let wanted = match (self.request.count_only, self.plan) {
            (true, _) => 0,
            (_, Plan::Whole) => usize::MAX,
            // One more than the limit tells whether there are more.
            _ if self.limit > 0 => self.limit.saturating_add(1),
            _ => usize::MAX,
        };
        let Self { found, count, request, .. } = self;
        let seen = self.scan.step(&self.view.index, budget.keys(), |key, state| {
            *count += 1;
            if found.len() < wanted && passes(request, &state) {
                found.push((Bytes::copy_from_slice(key), state));
            }
            ControlFlow::Continue(())
        });
        budget.spend(seen, 0);
        self.view.check_not_compacted(self.revision, self.is_explicit)?;
        if !self.scan.is_done() {
            return Ok(Phase::Index);
        }
        self.matched = self.found.len();
        Ok(match self.plan {
            _ if self.request.count_only => Phase::Done,
            Plan::Natural => Phase::Values { next: 0 },
            Plan::CutThenSort | Plan::Whole if self.request.sort_target() == SortTarget::Key => {
                Phase::Values { next: 0 }
            }
            Plan::CutThenSort | Plan::Whole => {
                let left = std::mem::take(&mut self.found).into_iter();
                Phase::Rank { sort: Sort::new(self.direction()), left }
            }
        })
    }

    fn direction(&self) -> Direction {
        match self.request.sort_order() {
            SortOrder::Descend => Direction::Descending,
            SortOrder::None | SortOrder::Ascend => Direction::Ascending,
        }
    }

    fn rank(
        &self,
        mut sort: Sort,
        mut left: std::vec::IntoIter<(Bytes, Found)>,
        budget: &mut Budget,
    ) -> Result<Phase> {
        let mut ranked = Vec::new();
        while !budget.is_spent() {
            let Some((key, found)) = left.next() else { break };
            let mut bytes = 0;
            let rank = match self.request.sort_target() {
                SortTarget::Version => Rank::Number(found.version),
                SortTarget::Create => Rank::Number(found.created.main),
                SortTarget::Mod => Rank::Number(found.modified.main),
                SortTarget::Key => unreachable!("pairs come in the order of their keys"),
                SortTarget::Value => {
                    let value = self.view.data.value(found.modified)?;
                    bytes = value.len();
                    Rank::Value(decode(value)?.value)
                }
            };
            budget.spend(1, bytes);
            ranked.push((rank, (key, found)));
        }
        sort.take(ranked);
        Ok(if left.len() == 0 { Phase::Merge(sort) } else { Phase::Rank { sort, left } })
    }

    fn merge(&mut self, mut sort: Sort, budget: &mut Budget) -> Phase {
        while !budget.is_spent() {
            let pair = if self.found.len() < self.wanted() { sort.next() } else { None };
            let Some(pair) = pair else { return Phase::Values { next: 0 } };
            self.found.push(pair);
            budget.spend(1, 0);
        }
        Phase::Merge(sort)
    }

    /// Pairs in the answer.
    fn wanted(&self) -> usize {
        if self.limit == 0 { self.matched } else { self.limit.min(self.matched) }
    }

    fn read_values(&mut self, next: usize, budget: &mut Budget) -> Result<Phase> {
        let wanted = self.wanted();
        // A descending order of keys needs no sort.
        let is_backward =
            self.request.sort_target() == SortTarget::Key && self.direction() == Direction::Descending;
        for position in next..wanted {
            if budget.is_spent() {
                return Ok(Phase::Values { next: position });
            }
            let bytes =
                self.write_pair(if is_backward { self.found.len() - 1 - position } else { position })?;
            budget.spend(1, bytes);
        }
        Ok(Phase::Done)
    }

    /// Appends a pair to the answer; returns the bytes handled.
    fn write_pair(&mut self, position: usize) -> Result<usize> {
        let (key, found) = &self.found[position];
        let out = &mut self.out;
        if !self.request.keys_only {
            return Ok(self.view.data.with_value(found.modified, |value| put_kv(out, value))?);
        }
        let mut pair = KeyValue {
            key: key.clone(),
            create_revision: found.created.main,
            mod_revision: found.modified.main,
            version: found.version,
            ..KeyValue::default()
        };
        let mut bytes = 0;
        // etcd 3.7 answers keys_only from the index, which has no lease, unless it sorts by value.
        if self.request.sort_target() == SortTarget::Value {
            let value = self.view.data.value(found.modified)?;
            bytes = value.len();
            pair.lease = decode(value)?.lease;
        }
        Ok(bytes + put_kv(out, &pair.encode_to_vec()))
    }
}

/// Whether the request's filters let a key through.
fn passes(request: &RangeRequest, found: &Found) -> bool {
    let within = |value: i64, min: i64, max: i64| (min == 0 || value >= min) && (max == 0 || value <= max);
    within(found.modified.main, request.min_mod_revision, request.max_mod_revision)
        && within(found.created.main, request.min_create_revision, request.max_create_revision)
}

fn put_kv(out: &mut BytesMut, value: &[u8]) -> usize {
    out.reserve(value.len() + 6);
    encode_key(2, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.put_slice(value);
    value.len()
}

/// Decodes a stored pair.
pub(crate) fn decode(value: Bytes) -> Result<KeyValue> {
    KeyValue::decode(value).map_err(|error| Error::BadRecord(error.to_string()))
}

fn plan(request: &RangeRequest) -> Plan {
    let filters = request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0;
    let (order, target) = (request.sort_order(), request.sort_target());
    match (filters, order, target) {
        (true, ..) => Plan::Whole,
        (_, SortOrder::None | SortOrder::Ascend, SortTarget::Key) => Plan::Natural,
        (_, SortOrder::None, _) => Plan::CutThenSort,
        _ => Plan::Whole,
    }
}

/// Bytes of values that one step of a read handles, beside the value that crosses the line.
pub const STEP_BYTES_MAX: usize = 256 << 10;
/// Keys in a step of [`RangeRead::run`].
const RUN_STEP_KEYS: usize = 1000;
