//! The enumeration, tried on a log small enough to be seen through: it must find every bug planted in it, and no other.

use super::*;
use std::path::Path;
use std::sync::Arc;
use vfs::mem::OpKind;
use vfs::{Disk, File, OpenMode};

/// What is wrong with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    RepliesBeforeSync,
    ForgetsDirectorySync,
    RenamesBeforeSync,
    TrustsTornTail,
    RefusesTornTail,
    RecoveryKeepsTailUnsynced,
    IgnoresFailedSync,
}

/// A log of numbered records in one file, which is replaced by a shorter one with only the newest record now and then.
struct SmallLog {
    bug: Bug,
    records: u64,
}

const DIR: &str = "/data";
const LOG: &str = "/data/log";
const TEMPORARY: &str = "/data/log.tmp";
const RECORD_BYTES: usize = 600;

fn text<T>(result: vfs::Result<T>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// A number, repeated to fill more than a sector, and a checksum.
fn encode(number: u64) -> Vec<u8> {
    let mut record = number.to_le_bytes().repeat(RECORD_BYTES / 8 - 1);
    record.extend(fnv::fnv1a_64(&record).to_le_bytes());
    record
}

fn decode(record: &[u8], checks: bool) -> Option<u64> {
    let (body, sum) = record.split_at_checked(RECORD_BYTES - 8)?;
    let valid = fnv::fnv1a_64(body).to_le_bytes() == sum;
    (valid || !checks).then(|| u64::from_le_bytes(body[..8].try_into().unwrap()))
}

impl SmallLog {
    fn append(&self, file: &Arc<dyn File>, number: u64) -> Result<(), String> {
        text(file.write_at(text(file.len())?, &encode(number)))
    }

    /// Replaces the log by one that begins at `number`.
    fn replace(&self, disk: &MemDisk, number: u64) -> Result<Arc<dyn File>, String> {
        let file = text(disk.open(Path::new(TEMPORARY), OpenMode::Truncate { mode: 0o600 }))?;
        self.append(&file, number)?;
        if self.bug != Bug::RenamesBeforeSync {
            text(file.sync_data())?;
        }
        text(disk.rename(Path::new(TEMPORARY), Path::new(LOG)))?;
        if self.bug != Bug::ForgetsDirectorySync {
            text(disk.sync_dir(Path::new(DIR)))?;
        }
        if self.bug == Bug::RenamesBeforeSync {
            text(file.sync_data())?;
        }
        Ok(file)
    }
}

impl Workload for SmallLog {
    type Request = u64;
    type State = Vec<u64>;

    fn prepare(&self) -> MemDisk {
        let disk = MemDisk::new();
        disk.create_dir_all(Path::new(DIR), 0o700).unwrap();
        disk.settle();
        disk
    }

    fn run(&self, disk: &MemDisk, history: &mut History<u64>) -> Result<(), Stop> {
        let number = history.begin(disk, 1);
        let mut file = self.replace(disk, 1)?;
        history.acknowledge(disk, number);
        for record in 2..=self.records {
            let number = history.begin(disk, record);
            if self.bug == Bug::RepliesBeforeSync {
                self.append(&file, record)?;
                history.acknowledge(disk, number);
                text(file.sync_data())?;
                continue;
            }
            if record % 4 == 0 {
                file = self.replace(disk, record)?;
            } else {
                self.append(&file, record)?;
                let synced = text(file.sync_data());
                if self.bug != Bug::IgnoresFailedSync {
                    synced?;
                }
            }
            history.acknowledge(disk, number);
        }
        Ok(())
    }

    fn recover(&self, disk: &MemDisk, _: &mut Prng) -> Result<Vec<u64>, String> {
        if !text(disk.exists(Path::new(LOG)))? {
            return Ok(Vec::new());
        }
        let file = text(disk.open(Path::new(LOG), OpenMode::ReadWrite))?;
        let mut bytes = vec![0; text(file.len())? as usize];
        text(file.read_at(0, &mut bytes))?;
        let checks = self.bug != Bug::TrustsTornTail;
        let numbers: Vec<u64> =
            bytes.chunks(RECORD_BYTES).map_while(|record| decode(record, checks)).collect();
        let valid = numbers.len() * RECORD_BYTES;
        if valid < bytes.len() && self.bug == Bug::RefusesTornTail {
            return Err("torn record".to_owned());
        }
        text(file.set_len(valid as u64))?;
        // A record that was there by luck must stay once it has been shown.
        if self.bug != Bug::RecoveryKeepsTailUnsynced {
            text(file.sync_data())?;
            text(disk.sync_dir(Path::new(DIR)))?;
        }
        Ok(numbers)
    }

    fn check(&self, requests: &[Request<'_, u64>], state: &Vec<u64>) -> Result<(), String> {
        let asked = |number: &u64| requests.iter().any(|entry| entry.request == number);
        if !state.iter().all(asked) || !state.windows(2).all(|pair| pair[1] == pair[0] + 1) {
            return Err(format!("never written: {state:?}"));
        }
        let newest = state.last().copied().unwrap_or(0);
        if let Some(lost) = requests.iter().find(|entry| entry.acknowledged && *entry.request > newest) {
            return Err(format!("record {} is lost: {state:?}", lost.request));
        }
        Ok(())
    }
}

fn plan() -> Plan {
    Plan { rounds: 3, ..Plan::new(1) }
}

fn crash(log: &SmallLog, plan: &Plan) -> Result<Report, Finding> {
    enumerate(log, plan, &mut |_, _| {})
}

fn fail(log: &SmallLog, plan: &FaultPlan) -> Result<Report, Finding> {
    enumerate_faults(log, plan, &mut |_, _| {})
}

fn log(bug: Bug) -> SmallLog {
    SmallLog { bug, records: 14 }
}

#[test]
fn a_sound_log_survives_every_crash_and_every_failure() {
    let report = crash(&log(Bug::None), &plan()).unwrap();
    assert_eq!(report.requests, 14);
    assert!(report.crashes > 30 * 7, "{report:?}");
    assert_eq!(report.recoveries, report.crashes * 3);
    let report = fail(&log(Bug::None), &FaultPlan::ALL).unwrap();
    assert!(report.recoveries > report.ops * 2 * 2 * 2, "{report:?}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let digest = |seed| crash(&log(Bug::None), &Plan { seed, ..plan() }).unwrap().digest;
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn every_planted_bug_is_found_and_the_finding_replays() {
    let check = |bug: Bug, words: &str| {
        let finding = crash(&log(bug), &plan()).expect_err("a planted bug is found");
        let Finding::Crash { point, .. } = &finding else { panic!("{bug:?}: {finding}") };
        assert!(finding.to_string().contains(words), "{bug:?}: {finding}");
        let replay = Plan { only: Some(*point), ..plan() };
        assert_eq!(crash(&log(bug), &replay), Err(finding.clone()), "{bug:?}");
        assert_eq!(Crash::parse(&point.crash.to_string()), Some(point.crash));
    };
    check(Bug::RepliesBeforeSync, "is lost");
    check(Bug::ForgetsDirectorySync, "is lost");
    check(Bug::RenamesBeforeSync, "is lost");
    check(Bug::TrustsTornTail, "never written");
    check(Bug::RefusesTornTail, "torn record");
    check(Bug::RecoveryKeepsTailUnsynced, "the recovery after");
}

#[test]
fn a_failed_sync_that_is_ignored_is_found() {
    let finding = fail(&log(Bug::IgnoresFailedSync), &FaultPlan::ALL).expect_err("it is found");
    let Finding::Fault { point, op, .. } = &finding else { panic!("{finding}") };
    assert_eq!(op.kind, OpKind::SyncData, "{finding}");
    let replay = FaultPlan { only: Some(*point), ..FaultPlan::ALL };
    assert_eq!(fail(&log(Bug::IgnoresFailedSync), &replay), Err(finding.clone()));
    assert!(crash(&log(Bug::IgnoresFailedSync), &plan()).is_ok(), "without faults it is sound");
}
