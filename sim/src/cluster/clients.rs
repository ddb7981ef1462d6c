//! Clients of a cluster, and whether their histories are linearizable.
//!
//! Every write has a revision, and so has the state that a read looked at. If these numbers agree with real time, that
//! is, whatever begins after another one was answered has a higher one (a read: not a lower one), and if each answer
//! is what the one history says at its revision, then the order of revisions is a linearization: there is nothing to
//! search for.

use crate::request::Request;
use crate::state::{range, records};
use bytes::Bytes;
use node::View;
use prost::Message;
use proto::etcdserverpb::{PutRequest, RangeRequest};
use proto::mvccpb::KeyValue;
use std::collections::{BTreeMap, BTreeSet};
use stdx::prng::Prng;
use types::RequestId;

/// What a client waits for.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "shown where a request is not answered")]
pub struct Pending {
    seat: usize,
    /// A put of this pair, or a read of this key.
    pub key: Bytes,
    pub value: Option<Bytes>,
    /// The highest revision that anybody knew of when it began.
    floor: i64,
    deadline: u64,
    pub client: usize,
}

/// A read, to be looked up in the history.
#[derive(Clone, Debug)]
struct Read {
    revision: i64,
    key: Bytes,
    found: Option<(i64, Bytes)>,
}

/// All clients.
#[derive(Default)]
pub struct Clients {
    pending: BTreeMap<(usize, RequestId), Pending>,
    /// When each client asks again.
    pub next_at: Vec<u64>,
    floor: i64,
    puts: BTreeMap<i64, (Bytes, Bytes)>,
    reads: Vec<Read>,
    values: u64,
    pub answered: u64,
    pub given_up: u64,
    /// Requests whose member ended.
    pub cut_short: u64,
    /// The last request that was not answered in time.
    pub last_given_up: Option<Pending>,
}

/// How long a client waits for an answer, in nanoseconds.
const PATIENCE_NS: u64 = 3_000_000_000;

/// How long a client thinks between an answer and its next request.
const THINK_NS: u64 = 25_000_000;

impl Clients {
    pub fn new(count: usize) -> Self {
        Self { next_at: vec![0; count], ..Self::default() }
    }

    /// When the next client acts or gives up.
    pub fn next_due(&self) -> Option<(u64, usize)> {
        self.next_at.iter().enumerate().map(|(client, at)| (*at, client)).min()
    }

    /// What a client asks for next: a put, or a read of a key.
    pub fn draw(&mut self, rng: &mut Prng) -> (Bytes, Option<Bytes>) {
        let key = Bytes::from(format!("k{}", rng.below(8)));
        let value = rng.chance(3, 4).then(|| {
            self.values += 1;
            Bytes::from(format!("v{}", self.values))
        });
        (key, value)
    }

    /// The log entry of a put.
    pub fn put(key: &Bytes, value: &Bytes) -> Request {
        Request::Put(PutRequest { key: key.clone(), value: value.clone(), ..PutRequest::default() })
    }

    pub fn begin(&mut self, seat: usize, id: RequestId, what: (Bytes, Option<Bytes>), at: (u64, usize)) {
        let ((key, value), (now, client)) = (what, at);
        let deadline = now + PATIENCE_NS;
        self.next_at[client] = deadline;
        let pending = Pending { seat, key, value, floor: self.floor, deadline, client };
        self.pending.insert((seat, id), pending);
    }

    /// The highest revision that anybody knows of.
    pub fn floor(&self) -> i64 {
        self.floor
    }

    /// What `client` waits for.
    pub fn unanswered(&self, client: usize) -> Option<(Bytes, Option<Bytes>)> {
        let pending = self.pending.values().find(|pending| pending.client == client)?;
        Some((pending.key.clone(), pending.value.clone()))
    }

    /// Forgets what `client` still waits for: whether it happens is not known.
    pub fn give_up(&mut self, client: usize) {
        for (_, pending) in self.pending.extract_if(.., |_, pending| pending.client == client) {
            self.given_up += 1;
            self.last_given_up = Some(pending);
        }
    }

    /// The member in `seat` has ended: nobody there answers any more.
    pub fn seat_ended(&mut self, seat: usize, now: u64) {
        for ((_, _), pending) in self.pending.extract_if(.., |(at, _), _| *at == seat) {
            self.next_at[pending.client] = now + THINK_NS;
            self.cut_short += 1;
        }
    }

    /// Takes the answer to a put; `revision` is none if it was refused.
    ///
    /// # Errors
    /// In words: what does not agree with real time.
    pub fn answer(
        &mut self,
        seat: usize,
        id: RequestId,
        revision: Option<i64>,
        now: u64,
    ) -> Result<(), String> {
        let Some(pending) = self.pending.remove(&(seat, id)) else { return Ok(()) };
        self.next_at[pending.client] = now + THINK_NS;
        let (Some(revision), Some(value)) = (revision, pending.value) else { return Ok(()) };
        if revision <= pending.floor {
            return Err(format!(
                "a put that began when revision {} was known has revision {revision}",
                pending.floor
            ));
        }
        self.answered += 1;
        self.floor = self.floor.max(revision);
        match self.puts.insert(revision, (pending.key, value)) {
            None => Ok(()),
            Some(_) => Err(format!("two puts have revision {revision}")),
        }
    }

    /// Lets a read look at `view`.
    ///
    /// # Errors
    /// In words: what does not agree with real time.
    pub fn read(&mut self, seat: usize, id: RequestId, view: Option<&View>, now: u64) -> Result<(), String> {
        let Some(pending) = self.pending.remove(&(seat, id)) else { return Ok(()) };
        self.next_at[pending.client] = now + THINK_NS;
        let view = view.ok_or("a read is ready before there is anything to read")?;
        let revision = view.state.store.revision();
        if revision < pending.floor {
            return Err(format!(
                "a read that began when revision {} was known looks at revision {revision}",
                pending.floor
            ));
        }
        self.answered += 1;
        self.floor = self.floor.max(revision);
        let found = look_up(view, &pending.key, 0)?;
        self.reads.push(Read { revision, key: pending.key, found });
        Ok(())
    }

    /// Compares everything that was answered with the history in `view`, which all members agree about, as far as it is
    /// not compacted.
    ///
    /// # Errors
    /// In words: what is lost or was never there.
    pub fn verify(&self, view: &View) -> Result<(), String> {
        let compacted = view.state.store.compact_revision();
        for (revision, (key, value)) in self.puts.range(compacted.max(0)..) {
            let found = look_up(view, key, *revision)?;
            if found != Some((*revision, value.clone())) {
                return Err(format!("the put of {key:?} at revision {revision} is lost: {found:?} is there"));
            }
        }
        let mut values = BTreeSet::new();
        for (_, record) in records(view)? {
            let KeyValue { value, mod_revision, .. } =
                KeyValue::decode(record).map_err(|error| format!("a record does not decode: {error}"))?;
            if !value.is_empty() && !values.insert(value.clone()) {
                return Err(format!("the put of {value:?} was carried out again at revision {mod_revision}"));
            }
        }
        for read in self.reads.iter().filter(|read| read.revision >= compacted) {
            let Read { revision, key, found } = read;
            let there = look_up(view, key, *revision)?;
            if there != *found {
                return Err(format!(
                    "{key:?} was read as {found:?} at revision {revision}, and is {there:?}"
                ));
            }
        }
        Ok(())
    }
}

/// Modification revision and value of a key.
fn look_up(view: &View, key: &Bytes, revision: i64) -> Result<Option<(i64, Bytes)>, String> {
    let request = RangeRequest { key: key.clone(), revision, ..RangeRequest::default() };
    let answer = range(view, &request)?;
    Ok(answer.kvs.into_iter().next().map(|pair| (pair.mod_revision, pair.value)))
}
