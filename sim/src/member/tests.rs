use super::*;
use crate::crash::{FaultPlan, Plan, Report, enumerate, enumerate_faults};
use vfs::mem::{Op, OpKind};

fn crash(workload: &MemberWorkload, plan: &Plan) -> Result<Report, Finding> {
    enumerate(workload, plan, &mut |_, _| {})
}

/// The finding, with the command that finds it again.
fn unwrap(workload: &MemberWorkload, result: Result<Report, Finding>) -> Report {
    result.unwrap_or_else(|finding| panic!("{finding}\nagain: {}", workload.replay(&finding)))
}

#[test]
fn every_crash_of_a_member_is_survived() {
    let workload = MemberWorkload::new(SEED, 300);
    let plan = Plan { recovery_crash_one_in: 8, ..Plan::new(SEED) };
    let report = unwrap(&workload, crash(&workload, &plan));
    assert!(report.requests >= 300, "{report:?}");
    assert!(report.crashes > 7 * report.ops / 2, "{report:?}");
    assert_eq!(report.recoveries, report.crashes * 3);
}

#[test]
fn every_failure_of_its_disk_is_survived_by_a_member() {
    let workload = MemberWorkload::new(SEED, 100);
    let plan = FaultPlan { every: 2, only: None };
    let report = unwrap(&workload, enumerate_faults(&workload, &plan, &mut |_, _| {}));
    assert!(report.crashes > report.ops, "{report:?}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let digest = |seed| {
        let workload = MemberWorkload::new(seed, 25);
        unwrap(&workload, crash(&workload, &Plan { recovery_crash_one_in: 8, ..Plan::new(seed) })).digest
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn planted_bugs_are_found_and_replay() {
    for planted in Planted::ALL {
        let workload = MemberWorkload::new(SEED, 60).with(Some(planted));
        let plan = Plan { recovery_crash_one_in: 0, ..Plan::new(SEED) };
        let finding = crash(&workload, &plan).expect_err("a planted bug is found");
        let only = if let Finding::Crash { point, .. } = &finding { Some(*point) } else { None };
        assert_eq!(crash(&workload, &Plan { only, ..plan }), Err(finding.clone()));
        let command = workload.replay(&finding);
        assert!(command.starts_with("cargo xtask sim --crash-points"), "{command}");
        assert!(command.ends_with(planted.name()), "{command}");
    }
}

#[test]
fn the_workload_meets_everything_that_a_member_does_on_its_disk() {
    let disk = MemDisk::new();
    disk.record_trace();
    let mut history = History::default();
    MemberWorkload::new(SEED, 300).run(&disk, &mut history).unwrap();
    let count = |kind: OpKind, suffix: &str| {
        let is_it = |op: &&Op| op.kind == kind && op.path.to_string_lossy().ends_with(suffix);
        disk.trace().iter().filter(is_it).count()
    };
    let counts = [
        ("segments cut", count(OpKind::Rename, ".tmp"), 6),
        ("segments released", count(OpKind::Remove, ".wal"), 3),
        ("snapshots", count(OpKind::SyncData, ".snap"), 4),
        ("snapshots removed", count(OpKind::Remove, ".snap"), 2),
        ("syncs of the log", count(OpKind::SyncData, ".wal"), 80),
        ("syncs of the backend", count(OpKind::SyncData, "db"), 40),
    ];
    for (what, found, least) in counts {
        assert!(found >= least, "{what}: {found}");
    }
    let requests = history.at(u64::MAX);
    let unanswered = requests.iter().filter(|step| !step.acknowledged).count();
    assert!(unanswered > 0 && unanswered < 15, "{unanswered} requests have no answer");
}

const SEED: u64 = 1;
