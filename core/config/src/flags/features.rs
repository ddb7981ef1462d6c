//! Flags of single features, unsafe ones, and our own.

use crate::flag::{Flag, Kind, Section};

const fn flag(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag::new(Section::Features, name, kind, default, help)
}

pub(super) const FLAGS: &[Flag] = &[
    flag(
        "corrupt-check-time",
        Kind::Duration,
        "0s",
        "Time between two comparisons of the members' data (0: off).",
    )
    .not_yet(),
    flag(
        "compact-hash-check-time",
        Kind::Duration,
        "1m0s",
        "Time between two comparisons of the members' compaction hashes.",
    )
    .not_yet(),
    flag(
        "compaction-batch-limit",
        Kind::Int,
        "0",
        "Revisions deleted in one step of a compaction (0: 1000).",
    )
    .shown("1000"),
    flag(
        "peer-skip-client-san-verification",
        Kind::Bool,
        "false",
        "Do not compare a peer's address with its certificate.",
    )
    .key("peer-transport-security.skip-client-san-verification")
    .not_yet(),
    flag(
        "watch-progress-notify-interval",
        Kind::Duration,
        "0s",
        "Time between two progress messages of a watch (0: 10m).",
    )
    .shown("10m")
    .not_yet(),
    flag(
        "warning-apply-duration",
        Kind::Duration,
        "100ms",
        "Duration from which slow applying earns a warning.",
    )
    .not_yet(),
    flag(
        "bootstrap-defrag-threshold-megabytes",
        Kind::Uint,
        "0",
        "Defragment at start if that frees at least so many MB (0: never).",
    )
    .not_yet(),
    flag("max-learners", Kind::Int, "1", "Learners allowed in the cluster.").not_yet(),
    flag(
        "compaction-sleep-interval",
        Kind::Duration,
        "0s",
        "Pause between two steps of a compaction (0: 10ms).",
    )
    .shown("10ms"),
    flag("downgrade-check-time", Kind::Duration, "5s", "Time between two looks at a downgrade under way.")
        .not_yet(),
    flag(
        "snapshot-catchup-entries",
        Kind::Uint,
        "5000",
        "Log entries kept behind a snapshot for slow followers.",
    )
    .not_yet(),
    Flag::new(
        Section::Unsafe,
        "force-new-cluster",
        Kind::Bool,
        "false",
        "Start a cluster of one member from existing data.",
    ),
    Flag::new(
        Section::Unsafe,
        "unsafe-no-fsync",
        Kind::Bool,
        "false",
        "Never sync to disk; a crash loses data.",
    ),
    Flag::new(
        Section::Own,
        "hold-cluster-version",
        Kind::Level,
        "",
        "Keep the cluster version at X.Y, so that etcd of that release opens the directory again.",
    ),
];
