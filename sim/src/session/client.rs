//! A client's turn: it asks, or it reads a little further.

use super::{Asked, Place, Placed, Result, Session, wrong};
use crate::crash::Stop;
use crate::model::Model;
use crate::request::{Request, Response};
use crate::state;
use crate::steps::Step;
use crate::traffic::Ask;
use mvcc::{Error, HashRead, RangeRead};
use prost::Message;
use proto::etcdserverpb::{RangeRequest, RangeResponse, TxnRequest, TxnResponse};
use types::{LogIndex, RequestId};

/// A client, one request at a time.
pub(super) struct Client {
    /// When it has its next turn; the end of time while it waits.
    pub at: u64,
    doing: Doing,
}

enum Doing {
    Nothing,
    Waits,
    /// Waits for its turn to read.
    ReadsSoon {
        id: RequestId,
        request: RangeRequest,
        /// The last entry whose answer a client had when the read began.
        acknowledged: LogIndex,
    },
    Scans {
        read: Box<RangeRead>,
        request: RangeRequest,
        revision: i64,
    },
    Hashes {
        read: Box<HashRead>,
        revision: i64,
        compact_revision: i64,
    },
}

impl Client {
    pub fn idle(at: u64) -> Self {
        Self { at, doing: Doing::Nothing }
    }

    fn waits() -> Self {
        Self { at: u64::MAX, doing: Doing::Waits }
    }

    pub fn is_idle(&self) -> bool {
        matches!(self.doing, Doing::Nothing)
    }
}

impl Session<'_> {
    /// Lets a client do its next thing.
    pub(super) fn turn(&mut self, client: usize) -> Result<()> {
        let next = match std::mem::replace(&mut self.clients[client].doing, Doing::Waits) {
            Doing::Nothing => {
                let ask = self.traffic.next(&self.model, self.info.member);
                self.begin(client, ask)?
            }
            Doing::Scans { read, request, revision } => self.scan_on(*read, request, revision)?,
            Doing::Hashes { read, revision, compact_revision } => {
                self.hash_on(*read, revision, compact_revision)?
            }
            Doing::Waits | Doing::ReadsSoon { .. } => return wrong("a waiting client has no turn"),
        };
        self.clients[client] = next;
        Ok(())
    }

    fn rest(&mut self) -> Client {
        Client::idle(self.machine.now() + self.shape.load.think.draw(&mut self.rng))
    }

    /// The next turn of a long read comes soon, while the member goes on.
    fn go_on(&mut self, doing: Doing) -> Client {
        Client { at: self.machine.now() + self.rng.below(READ_PAUSE_NS_MAX), doing }
    }

    fn begin(&mut self, client: usize, ask: Ask) -> Result<Client> {
        match ask {
            Ask::Propose(request) => {
                self.propose(client, request);
                Ok(Client::waits())
            }
            Ask::Read(request) => {
                let id = self.machine.read_index();
                let acknowledged = self.acknowledged;
                Ok(Client { at: u64::MAX, doing: Doing::ReadsSoon { id, request, acknowledged } })
            }
            Ask::Scan(request) => self.begin_scan(request),
            Ask::ReadTxn(request) => {
                self.read_txn(request)?;
                Ok(self.rest())
            }
            Ask::Hash(revision) => self.begin_hash(revision),
        }
    }

    fn propose(&mut self, client: usize, request: Request) {
        let (id, index) = self.machine.propose(&request);
        let place = index.map(|index| {
            let number = self.history.begin(self.machine.disk(), Step::Request(request.clone()));
            self.placed.push_back(Placed { index, what: Place::Request(id) });
            (index, number)
        });
        self.asked.insert(id, Asked { client, request, place, outcome: None });
    }

    /// The member lets a linearizable read look at the newest view.
    pub(super) fn finish_read(&mut self, id: RequestId) -> Result<()> {
        let is_it = |doing: &Doing| matches!(doing, Doing::ReadsSoon { id: waiting, .. } if *waiting == id);
        let Some(client) = self.clients.iter().position(|client| is_it(&client.doing)) else {
            return wrong(format!("nobody asked for read {id:?}"));
        };
        let rest = self.rest();
        let Doing::ReadsSoon { request, acknowledged, .. } =
            std::mem::replace(&mut self.clients[client], rest).doing
        else {
            return Ok(());
        };
        let applied = self.view.state.applied;
        if applied < acknowledged {
            return wrong(format!(
                "a read sees entry {applied} when entry {acknowledged} was acknowledged before"
            ));
        }
        let read = RangeRead::new(self.view.state.store.clone(), request.clone()).and_then(RangeRead::run);
        let found = read.map(|answer| {
            let mut body = Vec::with_capacity(answer.encoded_len());
            answer.encode_body(&mut body);
            RangeResponse::decode(body.as_slice())
        });
        let expected = expected_range(&self.model, &request);
        let is_same = match (&found, &expected) {
            (Ok(Ok(found)), Ok(expected)) => found == expected,
            (Err(found), Err(expected)) => std::mem::discriminant(found) == std::mem::discriminant(expected),
            _ => false,
        };
        if !is_same {
            return wrong(format!("{request:?} at entry {applied} finds {found:?}, expected {expected:?}"));
        }
        self.digest.add(&format!("read {applied} {}", found.is_ok()));
        Ok(())
    }

    fn begin_scan(&mut self, request: RangeRequest) -> Result<Client> {
        let expected = expected_range(&self.model, &request);
        match (RangeRead::new(self.view.state.store.clone(), request.clone()), expected) {
            (Ok(read), Ok(_)) => {
                let revision = if request.revision > 0 { request.revision } else { self.model.revision() };
                Ok(self.go_on(Doing::Scans { read: Box::new(read), request, revision }))
            }
            (Err(Error::Compacted), Err(Error::Compacted))
            | (Err(Error::FutureRevision), Err(Error::FutureRevision)) => Ok(self.rest()),
            (found, expected) => {
                let found = found.map(|_| "a read");
                wrong(format!("{request:?} begins with {found:?}, expected {expected:?}"))
            }
        }
    }

    fn scan_on(&mut self, mut read: RangeRead, request: RangeRequest, revision: i64) -> Result<Client> {
        let keys = 1 + self.rng.below(6) as usize;
        let answer = match read.step(keys) {
            Ok(None) => return Ok(self.go_on(Doing::Scans { read: Box::new(read), request, revision })),
            Ok(Some(answer)) => answer,
            Err(error) => {
                // Contract C4: only a read that named its revision may be told that it is compacted.
                let is_named = request.revision > 0;
                let is_fair = match &error {
                    Error::Compacted => is_named && revision < self.model.compact_revision(),
                    Error::Overtaken => !is_named && revision < self.model.compact_revision(),
                    _ => false,
                };
                let what = || wrong(format!("{request:?} of revision {revision} fails: {error}"));
                return if is_fair { Ok(self.rest()) } else { what() };
            }
        };
        let mut body = Vec::with_capacity(answer.encoded_len());
        answer.encode_body(&mut body);
        let found = RangeResponse::decode(body.as_slice());
        let expected = self.model.range_at(&request, revision);
        if found.as_ref() != Ok(&expected) {
            return wrong(format!(
                "{request:?} of revision {revision} finds {found:?}, expected {expected:?}"
            ));
        }
        self.digest.add(&format!("scan {revision} {}", expected.count));
        Ok(self.rest())
    }

    fn read_txn(&mut self, request: TxnRequest) -> Result<()> {
        let found = apply::read_txn(&self.view.state.store, request.clone());
        let expected = self.model.clone().apply(&Request::Txn(request.clone()));
        let is_same = match (&found, &expected) {
            (Ok(Ok(answer)), Ok((revision, Response::Txn(expected)))) => {
                let found = TxnResponse::decode(answer.body.clone());
                found.as_ref() == Ok(expected) && answer.revision == *revision
            }
            (Ok(Err(found)), Err(expected)) => found == expected,
            _ => false,
        };
        if is_same { Ok(()) } else { wrong(format!("{request:?} finds {found:?}, expected {expected:?}")) }
    }

    fn begin_hash(&mut self, requested: i64) -> Result<Client> {
        let (newest, compact_revision) = (self.model.revision(), self.model.compact_revision());
        let revision = if requested == 0 { newest } else { requested };
        match HashRead::new(self.view.state.store.clone(), requested) {
            Ok(read) if revision <= newest && (requested == 0 || revision >= compact_revision) => {
                Ok(self.go_on(Doing::Hashes { read: Box::new(read), revision, compact_revision }))
            }
            Err(Error::FutureRevision) if revision > newest => Ok(self.rest()),
            Err(Error::Compacted) if revision < compact_revision => Ok(self.rest()),
            other => {
                let other = other.map(|_| "a hash");
                wrong(format!(
                    "HashKV at {requested} of {newest}, compacted at {compact_revision}: {other:?}"
                ))
            }
        }
    }

    fn hash_on(&mut self, mut read: HashRead, revision: i64, compact_revision: i64) -> Result<Client> {
        let records = 1 + self.rng.below(30) as usize;
        let answer = match read.step(records) {
            Ok(None) => {
                return Ok(self.go_on(Doing::Hashes { read: Box::new(read), revision, compact_revision }));
            }
            Ok(Some(answer)) => answer,
            Err(Error::Overtaken) if compact_revision < self.model.compact_revision() => {
                return Ok(self.rest());
            }
            Err(error) => return wrong(format!("HashKV at {revision}: {error}")),
        };
        state::expect_hash(&answer, &self.model, revision, compact_revision).map_err(Stop::Wrong)?;
        self.digest.add(&format!("hash {revision} {}", answer.hash));
        Ok(self.rest())
    }
}

/// What a range must find when the model stands where the view stands.
fn expected_range(model: &Model, request: &RangeRequest) -> std::result::Result<RangeResponse, Error> {
    if request.revision > model.revision() {
        return Err(Error::FutureRevision);
    }
    if request.revision > 0 && request.revision < model.compact_revision() {
        return Err(Error::Compacted);
    }
    let revision = if request.revision > 0 { request.revision } else { model.revision() };
    Ok(model.range_at(request, revision))
}

/// Longest pause between two steps of a long read.
const READ_PAUSE_NS_MAX: u64 = 400_000;
