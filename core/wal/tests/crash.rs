//! A power loss after any operation, with any damage: nothing acknowledged is lost, and the log opens again.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use common::*;
use proto::raftpb::{Entry, HardState};
use proto::walpb;
use stdx::prng::Prng;
use vfs::mem::{Damage, MemDisk};
use wal::{Options, Replay};

/// Small segments, so that most calls cut, and sectors and pages lie across several calls.
const OPTIONS: Options = Options { segment_size_bytes: 6000 };

/// One call.
#[derive(Clone, Debug)]
enum Call {
    Create,
    Save(Option<HardState>, Vec<Entry>),
    SaveSnapshot(HardState, walpb::Snapshot),
    /// Purges down to this many segments after a release up to the last snapshot.
    Purge(usize),
    Reopen,
}

/// What the log holds after a number of calls.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    is_made: bool,
    /// From index 1 on.
    entries: Vec<Entry>,
    state: HardState,
    snapshot: walpb::Snapshot,
}

impl Model {
    fn apply(&mut self, call: &Call) {
        match call {
            Call::Create => self.is_made = true,
            Call::Save(state, entries) => {
                if let Some(first) = entries.first() {
                    self.entries.truncate(first.index as usize - 1);
                    self.entries.extend_from_slice(entries);
                }
                self.state = state.unwrap_or(self.state);
            }
            Call::SaveSnapshot(state, snapshot) => {
                self.state = *state;
                self.snapshot = snapshot.clone();
            }
            Call::Purge(_) | Call::Reopen => {}
        }
    }
}

fn calls(rng: &mut Prng, count: usize) -> Vec<Call> {
    let mut model = Model::default();
    let mut calls = vec![Call::Create];
    let mut term = 1;
    while calls.len() < count {
        let last = model.entries.len() as u64;
        let commit = model.state.commit;
        let call = match rng.below(10) {
            0 if commit > model.snapshot.index => {
                let index = model.snapshot.index + 1 + rng.below(commit - model.snapshot.index);
                let at = snapshot(index, model.entries[index as usize - 1].term);
                Call::SaveSnapshot(HardState { commit, ..model.state }, at)
            }
            1 if last > commit => {
                Call::Save(Some(state(term, 1, commit + 1 + rng.below(last - commit))), vec![])
            }
            2 => Call::Reopen,
            3 => Call::Purge(1 + rng.below(3) as usize),
            4 => {
                // A new leader overwrites what was not committed.
                term += 1;
                let from = commit + 1 + rng.below(last - commit + 1);
                Call::Save(Some(state(term, 2, commit)), random_entries(rng, from, term))
            }
            _ => Call::Save(
                (rng.chance(1, 2)).then_some(HardState { term, vote: 1, commit }),
                random_entries(rng, last + 1, term),
            ),
        };
        model.apply(&call);
        calls.push(call);
    }
    calls
}

fn random_entries(rng: &mut Prng, first: u64, term: u64) -> Vec<Entry> {
    let count = rng.below(4);
    (first..=first + count)
        .map(|index| {
            let len = if rng.chance(1, 5) { rng.below(3000) } else { rng.below(100) };
            // Payloads full of zeros look like sectors that were never written.
            let byte = if rng.chance(1, 3) { 0 } else { index as u8 };
            entry(index, term, &vec![byte; len as usize])
        })
        .collect()
}

/// Runs the calls, and returns for each the number of its last operation and the model behind it.
fn play(disk: &MemDisk, calls: &[Call]) -> Vec<(u64, Model)> {
    let mut model = Model::default();
    let mut log = None;
    let mut history = vec![(disk.op_count(), model.clone())];
    for call in calls {
        match call {
            Call::Create => log = Some(Log::create(disk, OPTIONS).unwrap()),
            Call::Reopen => {
                drop(log.take());
                log = Some(Log::open_at(disk, model.snapshot.clone(), OPTIONS).unwrap().0);
            }
            Call::Save(state, entries) => log.as_mut().unwrap().save(*state, entries).unwrap(),
            Call::SaveSnapshot(state, snapshot) => {
                log.as_mut().unwrap().save_snapshot(Some(*state), snapshot.clone()).unwrap();
            }
            Call::Purge(keep) => {
                let log = log.as_mut().unwrap();
                log.wal().release_to(types::LogIndex(model.snapshot.index));
                log.purge(*keep).unwrap();
            }
        }
        model.apply(call);
        history.push((disk.op_count(), model.clone()));
    }
    history
}

/// Opens the log as a member does at boot: at the newest valid snapshot.
fn recover(disk: &MemDisk) -> wal::Result<(walpb::Snapshot, Replay)> {
    let newest = wal::valid_snapshots(disk, dir())?.pop().unwrap_or_default();
    let (_, replay) = Log::open_at(disk, newest.clone(), OPTIONS)?;
    Ok((newest, replay))
}

/// Checks what was recovered against the model before and behind the call that was under way.
fn check(found: &walpb::Snapshot, replay: &Replay, before: &Model, behind: &Model, states: &[HardState]) {
    assert!(replay.snapshot_found);
    assert!(*found == before.snapshot || *found == behind.snapshot, "snapshot {found:?}");
    let skipped = found.index as usize;
    let read = &replay.entries;
    let is = |entries: &[Entry]| entries.get(skipped..) == Some(read);
    let common = before.entries.iter().zip(&behind.entries).take_while(|(a, b)| a == b).count();
    let is_prefix_of_behind = (common + 1..=behind.entries.len()).any(|len| is(&behind.entries[..len]));
    assert!(is(&before.entries) || is_prefix_of_behind, "entries {}..", skipped + 1);
    assert!(states.contains(&replay.hard_state), "{:?} is none of {states:?}", replay.hard_state);
}

/// The states that may be found: the last one that is durable, and all written behind it.
fn possible_states(history: &[(u64, Model)], calls: &[Call], call: usize) -> Vec<HardState> {
    let is_synced = |index: usize| match &calls[index] {
        Call::Save(_, entries) => {
            let (before, behind) = (history[index].1.state, history[index + 1].1.state);
            !entries.is_empty() || (before.term, before.vote) != (behind.term, behind.vote)
        }
        Call::Purge(_) => false,
        Call::Create | Call::SaveSnapshot(..) | Call::Reopen => true,
    };
    let durable = (0..call).rev().find(|index| is_synced(*index)).map_or(0, |index| index + 1);
    history[durable..=(call + 1).min(history.len() - 1)].iter().map(|(_, model)| model.state).collect()
}

fn crash_everywhere(seed: u64) {
    let mut rng = Prng::new(seed);
    let calls = calls(&mut rng, 40);
    let disk = new_disk();
    disk.record_images();
    let history = play(&disk, &calls);
    for image in disk.take_images() {
        let call = history.iter().rposition(|(op, _)| *op <= image.op).unwrap();
        let (before, behind) = (&history[call].1, &history[(call + 1).min(calls.len())].1);
        let states = possible_states(&history, &calls, call);
        for damage in Damage::ALL {
            let crashed = image.disk.crash(damage, &mut rng);
            check_recovery(
                &crashed,
                before,
                behind,
                &states,
                &mut rng,
                &format!("seed {seed}, {damage:?} after operation {}", image.op),
            );
        }
        check_recovery(
            &image.disk.kill(),
            before,
            behind,
            &states,
            &mut rng,
            &format!("seed {seed}, kill after operation {}", image.op),
        );
    }
}

fn check_recovery(
    disk: &MemDisk,
    before: &Model,
    behind: &Model,
    states: &[HardState],
    rng: &mut Prng,
    what: &str,
) {
    if !wal::exists(disk, dir()).unwrap() {
        assert!(!before.is_made, "{what}: the log is gone");
        Log::create(disk, OPTIONS).unwrap_or_else(|error| panic!("{what}: {error}"));
        return;
    }
    assert!(behind.is_made);
    if rng.chance(1, 4) {
        disk.record_images();
    }
    let (found, replay) = recover(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    check(&found, &replay, before, behind, states);
    let whole = Replay { torn: None, ..replay };
    // A power loss during the recovery harms nothing.
    for image in disk.take_images() {
        let crashed = image.disk.crash(Damage::ALL[rng.below(6) as usize], rng);
        if !before.is_made && !wal::exists(&crashed, dir()).unwrap() {
            continue;
        }
        let (found, replay) = recover(&crashed).unwrap_or_else(|error| panic!("{what}, twice: {error}"));
        check(&found, &replay, before, behind, states);
    }
    // What a recovery has returned is durable, whoever wrote it; so is what is written next.
    let lost = disk.crash(Damage::LoseAll, rng);
    let (_, again) =
        Log::open_at(&lost, found.clone(), OPTIONS).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(again, whole, "{what}: recovered twice");
    let (mut log, _) = Log::open_at(disk, found.clone(), OPTIONS).unwrap();
    let next = entry(again.last_index.next().get(), u64::from(u32::MAX), b"next");
    log.save(None, std::slice::from_ref(&next)).unwrap();
    let lost = disk.crash(Damage::LoseAll, rng);
    let (_, replay) = Log::open_at(&lost, found, OPTIONS).unwrap();
    assert_eq!(replay.entries.last(), Some(&next), "{what}: written after the recovery");
}

#[test]
fn a_power_loss_after_any_operation_loses_nothing_acknowledged() {
    for seed in 0..6 {
        crash_everywhere(seed);
    }
}

#[test]
fn the_creation_survives_a_power_loss_after_any_operation() {
    let mut rng = Prng::new(0);
    let disk = new_disk();
    disk.record_images();
    drop(Log::create(&disk, OPTIONS).unwrap());
    let end = disk.op_count();
    for image in disk.take_images() {
        for damage in Damage::ALL {
            for _ in 0..20 {
                let crashed = image.disk.crash(damage, &mut rng);
                if wal::exists(&crashed, dir()).unwrap() {
                    assert_eq!(Log::open(&crashed, OPTIONS).unwrap().1.node, NODE);
                } else {
                    assert!(image.op < end, "the log is gone");
                    Log::create(&crashed, OPTIONS).unwrap();
                }
            }
        }
    }
}

/// The disks after a power loss behind each operation that `work` makes.
fn crashes(disk: &MemDisk, rng: &mut Prng, work: impl FnOnce()) -> Vec<MemDisk> {
    disk.record_images();
    work();
    let images = disk.take_images();
    let strike =
        |damage: Damage, rng: &mut Prng| images.iter().map(|image| image.disk.crash(damage, rng)).collect();
    Damage::ALL.iter().flat_map(|damage| -> Vec<_> { strike(*damage, rng) }).collect()
}

#[test]
fn a_segment_filled_by_commit_indexes_alone_is_closed_durably() {
    let mut rng = Prng::new(0);
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    log.save(Some(state(1, 1, 0)), &entries(1..=9, 1)).unwrap();
    let crashed = crashes(&disk, &mut rng, || {
        for commit in 1..=90 {
            log.save(Some(state(1, 1, commit)), &[]).unwrap();
        }
    });
    assert_eq!(wal::segments(&disk, dir()).unwrap().len(), 2);
    for disk in crashed {
        assert_eq!(Log::open(&disk, SMALL).unwrap().1.entries, entries(1..=9, 1));
    }
}

#[test]
fn a_power_loss_while_purging_leaves_segments_without_a_gap() {
    let mut rng = Prng::new(0);
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    log.save(Some(state(1, 1, 0)), &entries(1..=1, 1)).unwrap();
    for start in (2..600).step_by(60) {
        log.save(None, &entries(start..=start + 59, 1)).unwrap();
    }
    log.wal().release_to(types::LogIndex(550));
    let crashed = crashes(&disk, &mut rng, || {
        assert!(log.purge(2).unwrap().len() > 5);
    });
    for disk in crashed {
        let names = wal::segments(&disk, dir()).unwrap();
        let gap = names.windows(2).find(|pair| pair[0].sequence + 1 != pair[1].sequence);
        assert_eq!(gap, None);
    }
}
