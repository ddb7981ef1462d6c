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

    /// Does a bounded part of the work: about `keys` keys (at least one), and no more than [`STEP_BYTES_MAX`] bytes
    /// beside the last value. Returns the answer at the end.
    ///
    /// # Errors
    /// [`Error::Compacted`] or [`Error::Overtaken`] when a compaction passes by; [`Error::Backend`] for the file.
    ///
    /// # Panics
    /// If it has ended, with an answer or an error.
    pub fn step(&mut self, keys: usize) -> Result<Option<RangeAnswer>> {
        assert!(!matches!(self.phase, Phase::Done), "a read that has ended is not stepped");
        let keys = keys.max(1);
        self.phase = match std::mem::replace(&mut self.phase, Phase::Done) {
            Phase::Index => self.read_index(keys)?,
            Phase::Rank { sort, left } => self.rank(sort, left, keys)?,
            Phase::Merge(sort) => self.merge(sort, keys),
            Phase::Values { next } => self.read_values(next, keys)?,
            Phase::Done => unreachable!("asserted above"),
        };
        if !matches!(self.phase, Phase::Done) {
            return Ok(None);
        }
        let more = self.limit > 0 && self.matched > self.limit;
        let count = i64::try_from(self.count).unwrap_or(i64::MAX);
        Ok(Some(RangeAnswer { kvs: std::mem::take(&mut self.out).freeze(), more, count }))
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
    fn read_index(&mut self, keys: usize) -> Result<Phase> {
        let wanted = match (self.request.count_only, self.plan) {
            (true, _) => 0,
            (_, Plan::Whole) => usize::MAX,
            // One more than the limit tells whether there are more.
            _ if self.limit > 0 => self.limit.saturating_add(1),
            _ => usize::MAX,
        };
        let Self { found, count, request, .. } = self;
        self.scan.step(&self.view.index, keys, |key, state| {
            *count += 1;
            if found.len() < wanted && passes(request, &state) {
                found.push((Bytes::copy_from_slice(key), state));
            }
            ControlFlow::Continue(())
        });
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
        keys: usize,
    ) -> Result<Phase> {
        let mut ranked = Vec::new();
        let mut bytes = 0;
        while ranked.len() < keys && bytes < STEP_BYTES_MAX {
            let Some((key, found)) = left.next() else { break };
            let rank = match self.request.sort_target() {
                SortTarget::Version => Rank::Number(found.version),
                SortTarget::Create => Rank::Number(found.created.main),
                SortTarget::Mod => Rank::Number(found.modified.main),
                SortTarget::Key => unreachable!("pairs come in the order of their keys"),
                SortTarget::Value => {
                    let value = self.view.data.value(found.modified)?;
                    bytes += value.len();
                    Rank::Value(decode(value)?.value)
                }
            };
            ranked.push((rank, (key, found)));
        }
        sort.take(ranked);
        Ok(if left.len() == 0 { Phase::Merge(sort) } else { Phase::Rank { sort, left } })
    }

    fn merge(&mut self, mut sort: Sort, keys: usize) -> Phase {
        for _ in 0..keys {
            let pair = if self.found.len() < self.wanted() { sort.next() } else { None };
            let Some(pair) = pair else { return Phase::Values { next: 0 } };
            self.found.push(pair);
        }
        Phase::Merge(sort)
    }

    /// Pairs in the answer.
    fn wanted(&self) -> usize {
        if self.limit == 0 { self.matched } else { self.limit.min(self.matched) }
    }

    fn read_values(&mut self, next: usize, keys: usize) -> Result<Phase> {
        let wanted = self.wanted();
        let end = wanted.min(next.saturating_add(keys));
        let bytes_before = self.out.len();
        // A descending order of keys needs no sort.
        let is_backward =
            self.request.sort_target() == SortTarget::Key && self.direction() == Direction::Descending;
        for position in next..end {
            if self.out.len() - bytes_before >= STEP_BYTES_MAX {
                return Ok(Phase::Values { next: position });
            }
            self.write_pair(if is_backward { self.found.len() - 1 - position } else { position })?;
        }
        Ok(if end == wanted { Phase::Done } else { Phase::Values { next: end } })
    }

    fn write_pair(&mut self, position: usize) -> Result<()> {
        let (key, found) = &self.found[position];
        if !self.request.keys_only {
            let out = &mut self.out;
            return Ok(self.view.data.with_value(found.modified, |value| put_kv(out, value))?);
        }
        let mut pair = KeyValue {
            key: key.clone(),
            create_revision: found.created.main,
            mod_revision: found.modified.main,
            version: found.version,
            ..KeyValue::default()
        };
        // etcd 3.7 answers keys_only from the index, which has no lease, unless it sorts by value.
        if self.request.sort_target() == SortTarget::Value {
            pair.lease = decode(self.view.data.value(found.modified)?)?.lease;
        }
        put_kv(&mut self.out, &pair.encode_to_vec());
        Ok(())
    }
}

/// Whether the request's filters let a key through.
fn passes(request: &RangeRequest, found: &Found) -> bool {
    let within = |value: i64, min: i64, max: i64| (min == 0 || value >= min) && (max == 0 || value <= max);
    within(found.modified.main, request.min_mod_revision, request.max_mod_revision)
        && within(found.created.main, request.min_create_revision, request.max_create_revision)
}

fn put_kv(out: &mut BytesMut, value: &[u8]) {
    out.reserve(value.len() + 6);
    encode_key(2, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.put_slice(value);
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
