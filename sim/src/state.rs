//! What clients can see of a member, read through its view, and compared with the model.

use crate::model::Model;
use bytes::Bytes;
use mvcc::{HashAnswer, HashRead, RangeRead};
use node::View;
use prost::Message;
use proto::etcdserverpb::{AlarmType, RangeRequest, RangeResponse};
use stdx::prng::Prng;
use types::Revision;

/// Keys and values of the `key` bucket.
type Records = Vec<(Bytes, Bytes)>;

/// Everything that clients can see of a member. Equal states are equal to every client.
///
/// The alarm for want of space is not part of the comparison: a member that reads its log again may count its space
/// otherwise than before, and raise it later. It is never lost: `steps` sees to that.
pub struct State {
    /// Where it was read; not part of the comparison.
    pub view: Box<View>,
    /// Whether all work behind it was done when it was read; not part of the comparison.
    pub is_settled: bool,
    revision: i64,
    compact_revision: i64,
    has_no_space_alarm: bool,
    /// Identity, name and URLs of the members, and the cluster version.
    cluster: String,
    /// The records above the compacted revision.
    history: Records,
    /// The pairs at the compacted revision, encoded as in an answer.
    compacted: Vec<u8>,
}

impl State {
    /// Reads everything in `view`.
    ///
    /// # Errors
    /// In words, if something in it cannot be read.
    pub fn read(view: &View, is_settled: bool) -> Result<Self, String> {
        let store = &view.state.store;
        let compact_revision = store.compact_revision();
        let mut history = records(view)?;
        history.retain(|(key, _)| is_above(key, compact_revision));
        let compacted = if compact_revision > 0 {
            range(view, &RangeRequest { revision: compact_revision, ..everything() })?.encode_to_vec()
        } else {
            Vec::new()
        };
        let members: Vec<_> = view.state.cluster.members().collect();
        let cluster = format!("{members:?} {:?}", view.state.cluster.version());
        let no_space = AlarmType::Nospace as i32;
        Ok(Self {
            view: Box::new(view.clone()),
            is_settled,
            revision: store.revision(),
            compact_revision,
            has_no_space_alarm: view.state.alarms.iter().any(|alarm| alarm.kind == no_space),
            cluster,
            history,
            compacted,
        })
    }

    /// The revision of the last change.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Whether the alarm for want of space is active.
    pub fn has_no_space_alarm(&self) -> bool {
        self.has_no_space_alarm
    }

    /// Compares with `model` all but the alarm.
    ///
    /// # Errors
    /// The first difference.
    pub fn compare(&self, model: &Model) -> Result<(), String> {
        let (revision, compact_revision) = (model.revision(), model.compact_revision());
        if (self.revision, self.compact_revision) != (revision, compact_revision) {
            return Err(format!(
                "found revision {} compacted at {}, expected {revision} compacted at {compact_revision}",
                self.revision, self.compact_revision
            ));
        }
        compare_records(&self.history, &model.history())?;
        if compact_revision > 0
            && self.compacted != model.range_at(&everything(), compact_revision).encode_to_vec()
        {
            return Err(format!("the pairs at the compacted revision {compact_revision} differ"));
        }
        Ok(())
    }

    /// Compares everything that can be read at any revision with `model`, which has compared equal: ranges at a few
    /// revisions, HashKV at all of them, but `hashes_max` at most, and the file when it has settled.
    ///
    /// # Errors
    /// The first difference.
    pub fn verify(&self, model: &Model, hashes_max: u64) -> Result<(), String> {
        let mut rng = Prng::new(self.revision.cast_unsigned());
        let oldest = self.compact_revision.max(1);
        let count = (self.revision - oldest + 1).cast_unsigned();
        for _ in 0..4 {
            let revision = oldest + rng.below(count).cast_signed();
            let request = RangeRequest { revision, ..everything() };
            if range(&self.view, &request)? != model.range_at(&request, revision) {
                return Err(format!("the pairs at revision {revision} differ"));
            }
        }
        for place in 0..count.min(hashes_max) {
            // The oldest and the newest are always among them.
            let place =
                if count <= hashes_max { place } else { place * (count - 1) / (hashes_max - 1).max(1) };
            verify_hash(&self.view, model, oldest + place.cast_signed())?;
        }
        if self.is_settled {
            compare_records(&records(&self.view)?, &model.left_in_file())
                .map_err(|difference| format!("after the compaction is done: {difference}"))?;
        }
        Ok(())
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.revision == other.revision
            && self.compact_revision == other.compact_revision
            && self.cluster == other.cluster
            && self.history == other.history
            && self.compacted == other.compacted
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("revision", &self.revision)
            .field("compact_revision", &self.compact_revision)
            .field("has_no_space_alarm", &self.has_no_space_alarm)
            .field("cluster", &self.cluster)
            .field("records", &self.history.len())
            .finish_non_exhaustive()
    }
}

/// The request for all keys, at the newest revision.
pub fn everything() -> RangeRequest {
    RangeRequest {
        key: Bytes::from_static(b"\0"),
        range_end: Bytes::from_static(b"\0"),
        ..RangeRequest::default()
    }
}

/// Reads a range in one go.
///
/// # Errors
/// In words, whatever the reason: use it only where the read must succeed.
pub fn range(view: &View, request: &RangeRequest) -> Result<RangeResponse, String> {
    let answer = RangeRead::new(view.state.store.clone(), request.clone()).and_then(RangeRead::run);
    let answer = answer.map_err(|error| format!("range at revision {}: {error}", request.revision))?;
    let mut body = Vec::with_capacity(answer.encoded_len());
    answer.encode_body(&mut body);
    RangeResponse::decode(body.as_slice()).map_err(|error| format!("a range does not decode: {error}"))
}

/// Compares HashKV at `revision` with the model's.
///
/// # Errors
/// If it differs or cannot be read.
pub fn verify_hash(view: &View, model: &Model, revision: i64) -> Result<(), String> {
    let failed = |error: mvcc::Error| format!("HashKV at revision {revision}: {error}");
    let mut read = HashRead::new(view.state.store.clone(), revision).map_err(failed)?;
    let answer = loop {
        if let Some(answer) = read.step(usize::MAX).map_err(failed)? {
            break answer;
        }
    };
    expect_hash(&answer, model, revision, answer.compact_revision)
}

/// Compares an answer of HashKV with the model's, for a store compacted at `compact_revision`.
///
/// # Errors
/// If it differs.
pub fn expect_hash(
    answer: &HashAnswer,
    model: &Model,
    revision: i64,
    compact_revision: i64,
) -> Result<(), String> {
    let expected = HashAnswer {
        hash: model.hash_kv(revision, compact_revision),
        compact_revision,
        hash_revision: revision,
    };
    if *answer == expected { Ok(()) } else { Err(format!("HashKV is {answer:?}, expected {expected:?}")) }
}

/// Every record that the view reaches.
///
/// # Errors
/// In words, if the file cannot be read.
pub(crate) fn records(view: &View) -> Result<Records, String> {
    let mut records = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        records.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
    };
    let scanned = view.state.store.data().scan(Revision::default(), usize::MAX, &mut visit);
    scanned.map_err(|error| format!("cannot read the records: {error}"))?;
    Ok(records)
}

fn is_above(key: &[u8], revision: i64) -> bool {
    Revision::from_key(key).is_none_or(|(found, _)| found.main > revision)
}

fn compare_records(found: &Records, expected: &Records) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let name = |record: Option<&(Bytes, Bytes)>| match record {
        Some((key, value)) => {
            let revision = Revision::from_key(key).map(|(revision, _)| revision.to_string());
            format!("record {} of {} bytes", revision.unwrap_or_default(), value.len())
        }
        None => "no record".to_owned(),
    };
    let position = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
    let (there, wanted) = (name(found.get(position)), name(expected.get(position)));
    Err(format!("record number {position} differs: found {there}, expected {wanted}"))
}

/// Whether all records that the last compaction drops are gone, as they must be when it is answered as done.
///
/// # Errors
/// If one is still there, or too many are gone.
pub fn verify_compaction_is_done(view: &View, model: &Model) -> Result<(), String> {
    let compact_revision = model.compact_revision();
    let mut found = records(view)?;
    let mut expected = model.left_in_file();
    for records in [&mut found, &mut expected] {
        records.retain(|(key, _)| !is_above(key, compact_revision));
    }
    compare_records(&found, &expected)
        .map_err(|difference| format!("the compaction is not done: {difference}"))
}
