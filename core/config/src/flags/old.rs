//! Flags of etcd 3.3 to 3.6 that 3.7.1 no longer has, and names that it accepts and forgets.
//!
//! Old scripts use them, so none is an error: see `docs/compat.md`, flags.

use crate::flag::{Flag, Kind, Successor, Warn};

const fn moved(name: &'static str, kind: Kind, default: &'static str, to: &'static str) -> Flag {
    Flag::old(name, kind, default, Successor::Flag(to), "")
}

const fn gate(name: &'static str, default: &'static str, to: &'static str) -> Flag {
    Flag::old(name, Kind::Bool, default, Successor::Gate(to), "")
}

pub(super) const DEPRECATED: &[Flag] = &[
    Flag::old("debug", Kind::Bool, "false", Successor::DebugLevel, ""),
    moved("log-output", Kind::Text, "default", "log-outputs").not_in_file(),
    moved("ca-file", Kind::Text, "", "trusted-ca-file").not_in_file(),
    moved("peer-ca-file", Kind::Text, "", "peer-trusted-ca-file").not_in_file(),
    moved("experimental-backend-bbolt-freelist-type", Kind::Text, "", "backend-bbolt-freelist-type"),
    moved("experimental-corrupt-check-time", Kind::Duration, "0s", "corrupt-check-time"),
    moved("experimental-compaction-batch-limit", Kind::Int, "1000", "compaction-batch-limit"),
    moved(
        "experimental-peer-skip-client-san-verification",
        Kind::Bool,
        "false",
        "peer-skip-client-san-verification",
    ),
    moved("experimental-compact-hash-check-time", Kind::Duration, "1m0s", "compact-hash-check-time"),
    moved("experimental-memory-mlock", Kind::Bool, "false", "memory-mlock"),
    moved("experimental-warning-apply-duration", Kind::Duration, "100ms", "warning-apply-duration"),
    moved(
        "experimental-warning-unary-request-duration",
        Kind::Duration,
        "300ms",
        "warning-unary-request-duration",
    ),
    moved(
        "experimental-watch-progress-notify-interval",
        Kind::Duration,
        "0s",
        "watch-progress-notify-interval",
    ),
    moved(
        "experimental-bootstrap-defrag-threshold-megabytes",
        Kind::Uint,
        "0",
        "bootstrap-defrag-threshold-megabytes",
    ),
    moved("experimental-compaction-sleep-interval", Kind::Duration, "0s", "compaction-sleep-interval"),
    moved("experimental-downgrade-check-time", Kind::Duration, "5s", "downgrade-check-time"),
    moved("experimental-snapshot-catchup-entries", Kind::Uint, "5000", "snapshot-catchup-entries")
        .key("experimental-snapshot-catch-up-entries"),
    moved("experimental-enable-distributed-tracing", Kind::Bool, "false", "enable-distributed-tracing"),
    moved(
        "experimental-distributed-tracing-address",
        Kind::Text,
        "localhost:4317",
        "distributed-tracing-address",
    ),
    moved(
        "experimental-distributed-tracing-service-name",
        Kind::Text,
        "etcd",
        "distributed-tracing-service-name",
    ),
    moved("experimental-distributed-tracing-instance-id", Kind::Text, "", "distributed-tracing-instance-id"),
    moved(
        "experimental-distributed-tracing-sampling-rate",
        Kind::Int,
        "0",
        "distributed-tracing-sampling-rate",
    ),
    gate("experimental-initial-corrupt-check", "false", "InitialCorruptCheck"),
    gate("experimental-enable-lease-checkpoint", "false", "LeaseCheckpoint"),
    gate("experimental-enable-lease-checkpoint-persist", "false", "LeaseCheckpointPersist"),
    gate("experimental-compact-hash-check-enabled", "false", "CompactHashCheck"),
    gate("experimental-txn-mode-write-with-shared-buffer", "true", "TxnModeWriteWithSharedBuffer"),
    gate("experimental-stop-grpc-service-on-defrag", "false", "StopGRPCServiceOnDefrag"),
];

pub(super) const RETIRED: &[Flag] = &[
    Flag::retired(
        "discovery",
        Kind::Text,
        "",
        Warn::UnlessDefault,
        "URL of the old discovery service; only empty is accepted.",
    ),
    Flag::retired("discovery-proxy", Kind::Text, "", Warn::Always, "Of the old discovery service."),
    Flag::retired(
        "proxy",
        Kind::OneOf(&["off", "readonly", "on"]),
        "off",
        Warn::UnlessDefault,
        "Of the old proxy; only 'off' is accepted: see 'etcd grpc-proxy'.",
    ),
    Flag::retired("proxy-failure-wait", Kind::Uint, "5000", Warn::UnlessDefault, "Of the old proxy."),
    Flag::retired("proxy-refresh-interval", Kind::Uint, "30000", Warn::UnlessDefault, "Of the old proxy."),
    Flag::retired("proxy-dial-timeout", Kind::Uint, "1000", Warn::UnlessDefault, "Of the old proxy."),
    Flag::retired("proxy-write-timeout", Kind::Uint, "5000", Warn::UnlessDefault, "Of the old proxy."),
    Flag::retired("proxy-read-timeout", Kind::Uint, "0", Warn::UnlessDefault, "Of the old proxy."),
    Flag::retired("enable-v2", Kind::Bool, "false", Warn::UnlessDefault, "The second API is not served."),
    Flag::retired(
        "experimental-enable-v2v3",
        Kind::Text,
        "",
        Warn::UnlessDefault,
        "The second API is not served.",
    ),
    Flag::retired(
        "log-package-levels",
        Kind::Text,
        "",
        Warn::Always,
        "There is one level for all: --log-level.",
    ),
    Flag::retired("next-cluster-version-compatible", Kind::Bool, "false", Warn::Always, "Of etcd 3.4."),
];

pub(super) const IGNORED: &[Flag] = &[
    Flag::ignored("cluster-active-size"),
    Flag::ignored("cluster-remove-delay"),
    Flag::ignored("cluster-sync-interval"),
    Flag::ignored("config"),
    Flag::ignored("force"),
    Flag::ignored("max-result-buffer"),
    Flag::ignored("max-retry-attempts"),
    Flag::ignored("peer-heartbeat-interval"),
    Flag::ignored("peer-election-timeout"),
    Flag::ignored("retry-interval"),
    Flag::ignored("snapshot"),
    Flag::ignored("v"),
    Flag::ignored("vv"),
    Flag::ignored("test.coverprofile"),
    Flag::ignored("test.outputdir"),
];
