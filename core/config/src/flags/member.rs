//! Flags of the member itself.

use crate::flag::{Flag, Kind, Section};

const fn flag(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag::new(Section::Member, name, kind, default, help)
}

pub(super) const FLAGS: &[Flag] = &[
    flag("name", Kind::Text, "default", "Name of this member, for people and for --initial-cluster."),
    flag("data-dir", Kind::Text, "", "Directory that holds everything of this member.").shown("${name}.etcd"),
    flag("wal-dir", Kind::Text, "", "Separate directory for the write-ahead log."),
    flag("snapshot-count", Kind::Uint, "10000", "Applied entries between two raft snapshots."),
    flag("heartbeat-interval", Kind::Uint, "100", "Milliseconds between two heartbeats of a leader."),
    flag("election-timeout", Kind::Uint, "1000", "Milliseconds without a leader before an election."),
    flag(
        "initial-election-tick-advance",
        Kind::Bool,
        "true",
        "Skip most of the first wait for an election at start.",
    )
    .not_yet(),
    flag("listen-peer-urls", Kind::Urls, "http://localhost:2380", "URLs to listen on for other members."),
    flag(
        "listen-client-urls",
        Kind::Urls,
        "http://localhost:2379",
        "URLs to listen on for clients: gRPC, and HTTP unless --listen-client-http-urls is given.",
    ),
    flag(
        "listen-client-http-urls",
        Kind::Urls,
        "",
        "URLs to listen on for HTTP only; --listen-client-urls then serve gRPC only.",
    )
    .not_yet(),
    flag(
        "max-snapshots",
        Kind::Uint,
        "5",
        "Snapshot files to keep (0: all). Deprecated in 3.6, to go in 3.8.",
    ),
    flag("max-wals", Kind::Uint, "5", "Log files to keep (0: all)."),
    flag("memory-mlock", Kind::Bool, "false", "Keep the pages of the database in memory.").not_yet(),
    flag(
        "quota-backend-bytes",
        Kind::Int,
        "0",
        "Size of the database at which writes are refused (0: 2 GiB; negative: no limit).",
    ),
    flag(
        "backend-bbolt-freelist-type",
        Kind::Text,
        "",
        "Free list in memory: array or map; one serves for both here.",
    )
    .shown("map")
    .not_yet(),
    flag(
        "backend-batch-interval",
        Kind::DurationOrEmpty,
        "",
        "Longest wait before the database commits (0: 100ms).",
    ),
    flag("backend-batch-limit", Kind::Int, "0", "Operations after which the database commits (0: 10000)."),
    flag("max-txn-ops", Kind::Uint, "128", "Operations allowed in one transaction."),
    flag("max-request-bytes", Kind::Uint, "1572864", "Largest request accepted, in bytes."),
    flag(
        "max-concurrent-streams",
        Kind::Uint32,
        "4294967295",
        "Streams that one client connection may have open.",
    ),
    flag("grpc-keepalive-min-time", Kind::Duration, "5s", "Shortest time between two pings of a client."),
    flag("grpc-keepalive-interval", Kind::Duration, "2h", "Time between two pings of the server (0: none).")
        .not_yet(),
    flag(
        "grpc-keepalive-timeout",
        Kind::Duration,
        "20s",
        "Wait for the answer to a ping before closing (0: none).",
    )
    .not_yet(),
    flag("socket-reuse-port", Kind::Bool, "false", "Set SO_REUSEPORT on listeners.")
        .key("socket-options.reuse-port"),
    flag("socket-reuse-address", Kind::Bool, "false", "Set SO_REUSEADDR on listeners.")
        .key("socket-options.reuse-address"),
    flag("enable-grpc-gateway", Kind::Bool, "true", "Serve the API as JSON over HTTP below /v3/.").not_yet(),
    flag("raft-read-timeout", Kind::Duration, "5s", "Time limit for reads of peer connections, at least 5s.")
        .not_in_file()
        .not_yet(),
    flag(
        "raft-write-timeout",
        Kind::Duration,
        "5s",
        "Time limit for writes of peer connections, at least 5s.",
    )
    .not_in_file()
    .not_yet(),
    flag(
        "feature-gates",
        Kind::Gates,
        "",
        "Switches of features that are not settled yet, as A=true,B=false. Known ones:",
    )
    .not_yet(),
    flag(
        "config-file",
        Kind::Text,
        "",
        "Configuration file; all other flags and the environment then count for nothing.",
    )
    .not_in_file(),
    flag("version", Kind::Bool, "false", "Print the version and exit.").not_in_file(),
];
