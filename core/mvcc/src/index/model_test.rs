//! The index against the plainest model of it: a list of records.

use super::*;
use crate::hash::HashKv;
use std::collections::BTreeMap;
use stdx::prng::Prng;

const KEYS: [&[u8]; 6] = [b"", b"a", b"a\0", b"ab", b"b", b"\xff"];

#[derive(Clone, Copy)]
struct Change {
    revision: Revision,
    key: &'static [u8],
    is_tombstone: bool,
}

/// Every change ever made, in order, and what of them is still on disk.
#[derive(Default)]
struct Model {
    changes: Vec<Change>,
    on_disk: Vec<bool>,
    compacted: i64,
}

impl Model {
    fn get(&self, key: &[u8], at: i64) -> Option<Found> {
        let past: Vec<&Change> =
            self.changes.iter().filter(|change| change.key == key && change.revision.main <= at).collect();
        let life: Vec<&&Change> = past.iter().rev().take_while(|change| !change.is_tombstone).collect();
        Some(Found {
            modified: life.first()?.revision,
            created: life.last()?.revision,
            version: i64::try_from(life.len()).unwrap(),
        })
    }

    fn range(&self, range: &KeyRange, at: i64) -> Vec<(Bytes, Found)> {
        let live = KEYS.iter().filter(|key| range.contains(key));
        let mut found: Vec<_> =
            live.filter_map(|key| Some((Bytes::from_static(key), self.get(key, at)?))).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    fn live_at(&self, at: i64) -> KeepSet {
        KEYS.iter().filter_map(|key| Some(self.get(key, at)?.modified)).collect()
    }

    fn kept_by_compaction(&self, at: i64) -> KeepSet {
        let tombstones =
            self.changes.iter().filter(|change| change.is_tombstone && change.revision.main == at);
        let live = self.live_at(at);
        live.as_slice().iter().copied().chain(tombstones.map(|change| change.revision)).collect()
    }

    fn compact(&mut self, at: i64) -> KeepSet {
        let keep = self.kept_by_compaction(at);
        for (change, on_disk) in self.changes.iter().zip(&mut self.on_disk) {
            *on_disk &= change.revision.main > at || keep.contains(change.revision);
        }
        self.compacted = at;
        keep
    }

    /// What etcd hashes, rule by rule, of the records in `is_there`.
    fn etcd_hash(&self, at: i64, is_there: &[bool]) -> u32 {
        let keep = self.live_at(at);
        let mut bytes = b"key".to_vec();
        for (change, _) in self.changes.iter().zip(is_there).filter(|(_, is_there)| **is_there) {
            let main = change.revision.main;
            let is_dropped = main <= self.compacted && !keep.is_empty() && !keep.contains(change.revision);
            if main > at || is_dropped || (main == self.compacted && change.is_tombstone) {
                continue;
            }
            bytes.extend(key_of(change));
            bytes.extend(change.key);
        }
        crc32c::crc32c(&bytes)
    }

    fn restored(&self) -> Index {
        let mut restorer = Restorer::new();
        for (change, _) in self.changes.iter().zip(&self.on_disk).filter(|(_, on_disk)| **on_disk) {
            let state = self.get_in(change);
            restorer
                .record(&Record {
                    revision: change.revision,
                    is_tombstone: change.is_tombstone,
                    key: change.key,
                    create_revision: state.map_or(0, |state| state.created.main),
                    version: state.map_or(0, |state| state.version),
                })
                .unwrap();
        }
        restorer.finish()
    }

    /// The state just after `change`, which need not be the last one of its main revision.
    fn get_in(&self, change: &Change) -> Option<Found> {
        let past = self.changes.iter().filter(|other| other.revision <= change.revision).copied().collect();
        Model { changes: past, ..Model::default() }.get(change.key, change.revision.main)
    }
}

/// Restored keys know the main number of their creation only, which is all that anyone reads.
fn plain(found: Found) -> (Revision, i64, i64) {
    (found.modified, found.created.main, found.version)
}

fn key_of(change: &Change) -> Vec<u8> {
    match change.is_tombstone {
        true => change.revision.to_tombstone_key().to_vec(),
        false => change.revision.to_key().to_vec(),
    }
}

fn random_range(prng: &mut Prng) -> KeyRange {
    let mut key = || Bytes::from_static(KEYS[prng.below(6) as usize]);
    let (start, end) = (key(), key());
    match prng.below(3) {
        0 => KeyRange::Single(start),
        1 => KeyRange::From(start),
        _ => KeyRange::Span { start, end },
    }
}

/// One transaction of up to four changes, deletions and puts of one key among them.
fn transaction(prng: &mut Prng, index: &Index, model: &mut Model, main: i64) {
    for sub in 0..=i64::try_from(prng.below(4)).unwrap() {
        let revision = Revision::new(main, sub);
        let key = KEYS[prng.below(6) as usize];
        let is_tombstone = prng.chance(2, 5);
        if is_tombstone {
            let is_alive = model.get(key, main).is_some();
            assert_eq!(index.tombstone(key, revision).is_ok(), is_alive);
            if !is_alive {
                continue;
            }
        }
        model.changes.push(Change { revision, key, is_tombstone });
        model.on_disk.push(true);
        if !is_tombstone {
            assert_eq!(plain(index.put(key, revision)), plain(model.get(key, main).unwrap()));
        }
    }
}

/// Compacts in small steps, with further transactions between them.
fn compact(prng: &mut Prng, index: &Index, model: &mut Model, main: &mut i64) {
    if model.compacted + 1 >= *main {
        return;
    }
    let span = u64::try_from(*main - model.compacted).unwrap();
    let at = model.compacted + 1 + i64::try_from(prng.below(span)).unwrap();
    let expected = model.compact(at);
    let mut compaction = Compaction::new(at);
    let keys_max = 1 + prng.below(7) as usize;
    let keep = loop {
        if let Some(keep) = compaction.step(index, keys_max) {
            break keep;
        }
        *main += 1;
        transaction(prng, index, model, *main);
    };
    assert_eq!(keep, expected);
}

fn compare(prng: &mut Prng, index: &Index, model: &Model, main: i64) {
    let at = model.compacted.max(1) + i64::try_from(prng.below(12)).unwrap();
    for key in KEYS {
        assert_eq!(index.get(key, at).map(plain), model.get(key, at).map(plain));
    }
    let range = random_range(prng);
    let expected = model.range(&range, at);
    let limit = prng.below(4) as usize;
    let mut out = Vec::new();
    index.range(&range, at, limit, &mut out);
    let revisions = |pairs: &[(Bytes, Found)]| {
        pairs.iter().map(|(key, found)| (key.clone(), found.modified)).collect::<Vec<_>>()
    };
    let cut = if limit == 0 { expected.len() } else { limit.min(expected.len()) };
    assert_eq!(revisions(&out), revisions(&expected[..cut]));
    assert_eq!(index.count(&range, at), expected.len());
    if at <= main {
        compare_hash(prng, index, model, at);
    }
}

/// Our hash, with any part of the compacted records deleted, is etcd's with all of them deleted.
fn compare_hash(prng: &mut Prng, index: &Index, model: &Model, at: i64) {
    let mut search = HashKeep::new(at, model.compacted);
    let keys_max = 1 + prng.below(7) as usize;
    let keep = loop {
        if let Some(keep) = search.step(index, keys_max) {
            break keep;
        }
    };
    let mut hash = HashKv::new(at, model.compacted, keep);
    for (change, on_disk) in model.changes.iter().zip(&model.on_disk) {
        if *on_disk || prng.chance(1, 2) {
            hash.feed(&key_of(change), change.key).unwrap();
        }
    }
    assert_eq!(hash.finish(), model.etcd_hash(at, &model.on_disk));
}

fn check(seed: u64) {
    let mut prng = Prng::new(seed);
    let mut index = Index::new();
    let mut model = Model { compacted: -1, ..Model::default() };
    let mut main = 1;
    for _ in 0..40 {
        match prng.below(12) {
            0 => compact(&mut prng, &index, &mut model, &mut main),
            1 => index = model.restored(),
            _ => {
                main += 1;
                transaction(&mut prng, &index, &mut model, main);
            }
        }
        compare(&mut prng, &index, &model, main);
    }
    let kept: BTreeMap<Revision, &Change> = model
        .changes
        .iter()
        .zip(&model.on_disk)
        .filter_map(|(change, on_disk)| on_disk.then_some((change.revision, change)))
        .collect();
    for key in KEYS {
        let is_known = kept.values().any(|change| change.key == key);
        assert_eq!(index.tree.read().contains_key(key), is_known, "seed {seed}: no key outlives its records");
    }
}

#[test]
fn random_scripts_agree_with_a_list_of_records() {
    for seed in 0..2000 {
        check(seed);
    }
}
