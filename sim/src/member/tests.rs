use super::*;
use crate::crash::{Plan, enumerate};
use vfs::mem::{Op, OpKind};

#[test]
fn every_crash_of_a_member_is_survived() {
    let workload = MemberWorkload::new(1, 300);
    let report = enumerate(&workload, &Plan { recovery_crashes: 0, ..Plan::new(1) }).unwrap();
    println!("{report:?}");
    assert!(report.requests >= 300);
    assert_eq!(report.recoveries, report.crashes * 3);
}

#[test]
fn the_workload_meets_everything_that_a_member_does_on_its_disk() {
    let disk = MemDisk::new();
    disk.record_trace();
    let mut history = History::default();
    MemberWorkload::new(1, 300).run(&disk, &mut history).unwrap();
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
        ("syncs of the backend", count(OpKind::SyncData, "db"), 60),
    ];
    for (what, found, least) in counts {
        assert!(found >= least, "{what}: {found}");
    }
    let requests = history.at(u64::MAX);
    let unanswered = requests.iter().filter(|step| !step.acknowledged).count();
    assert!(unanswered > 0 && unanswered < 15, "{unanswered} requests have no answer");
}
