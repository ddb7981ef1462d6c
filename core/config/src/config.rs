//! The settings of a member, as types.

use std::time::Duration;

use types::Version;

use crate::logging::Logging;
use crate::settings::Settings;
use crate::url::Url;

/// What a member runs with. Fields carry the name of their flag; their docs say where they differ from what was typed.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the member.
    pub name: String,
    /// Data directory; `<name>.etcd` when none was given.
    pub data_dir: String,
    /// Separate directory for the log; `None`: `<data-dir>/member/wal`.
    pub wal_dir: Option<String>,
    /// Where to listen for members.
    pub listen_peer_urls: Vec<Url>,
    /// Where to listen for clients.
    pub listen_client_urls: Vec<Url>,
    /// Where to listen for HTTP only; then the client URLs serve gRPC only.
    pub listen_client_http_urls: Vec<Url>,
    /// Where else to serve metrics and health.
    pub listen_metrics_urls: Vec<Url>,
    /// Peer URLs as told to others.
    pub initial_advertise_peer_urls: Vec<Url>,
    /// Client URLs as told to others.
    pub advertise_client_urls: Vec<Url>,
    /// Found a cluster or join one.
    pub initial_cluster_state: ClusterState,
    /// Mixed into the identities of a new cluster.
    pub initial_cluster_token: String,
    /// Skip most of the first wait for an election.
    pub initial_election_tick_advance: bool,
    /// Applied entries between two snapshots, never 0.
    pub snapshot_count: u64,
    /// Entries kept behind a snapshot, never 0.
    pub snapshot_catchup_entries: u64,
    /// Time between two heartbeats.
    pub heartbeat_interval: Duration,
    /// Time without a leader before an election, at least five heartbeats.
    pub election_timeout: Duration,
    /// Snapshot files to keep, 0: all.
    pub max_snapshots: u64,
    /// Log files to keep, 0: all.
    pub max_wals: u64,
    /// Limit of the database.
    pub quota: Quota,
    /// Longest wait before the database commits, never zero.
    pub backend_batch_interval: Duration,
    /// Operations after which it commits, never 0.
    pub backend_batch_limit: u64,
    /// Operations allowed in one branch of a transaction.
    pub max_txn_ops: u64,
    /// Largest request, in bytes.
    pub max_request_bytes: u64,
    /// Revisions deleted in one step of a compaction, never 0.
    pub compaction_batch_limit: u64,
    /// Pause between two such steps, never zero.
    pub compaction_sleep_interval: Duration,
    /// Refuse member changes that would lose the quorum.
    pub strict_reconfig_check: bool,
    /// Serve members with a certificate made at start.
    pub peer_auto_tls: bool,
    /// Never sync to disk.
    pub unsafe_no_fsync: bool,
    /// Keep the cluster version at this level (patch 0).
    pub hold_cluster_version: Option<Version>,
    /// The log.
    pub logging: Logging,
    /// Every flag with its value, for those without a field and for the line that lists them all.
    pub settings: Settings,
}

/// Whether a member without data founds its cluster or joins one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterState {
    /// Founds it.
    New,
    /// Joins it.
    Existing,
}

impl ClusterState {
    /// The word as typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Existing => "existing",
        }
    }
}

/// The size of the database at which writes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// [`DEFAULT_QUOTA_BYTES`], because nothing was said.
    Default,
    /// So many bytes.
    Bytes(u64),
    /// No limit.
    Off,
}

impl Quota {
    /// The limit in bytes, if there is one.
    pub fn bytes(self) -> Option<u64> {
        match self {
            Self::Default => Some(DEFAULT_QUOTA_BYTES),
            Self::Bytes(bytes) => Some(bytes),
            Self::Off => None,
        }
    }

    fn from_flag(bytes: i64) -> Self {
        match u64::try_from(bytes) {
            Ok(0) => Self::Default,
            Ok(bytes) => Self::Bytes(bytes),
            Err(_) => Self::Off,
        }
    }
}

/// The quota when none is given: 2 GiB.
pub const DEFAULT_QUOTA_BYTES: u64 = 2 << 30;
/// The largest quota that etcd recommends: 8 GiB.
pub const MAX_QUOTA_BYTES: u64 = 8 << 30;
/// The largest request limit that etcd recommends: 10 MiB.
pub const MAX_REQUEST_BYTES_RECOMMENDED: u64 = 10 << 20;
/// The name of a member that was not given one.
pub const DEFAULT_NAME: &str = "default";

const DEFAULT_SNAPSHOT_COUNT: u64 = 10_000;
const DEFAULT_CATCHUP_ENTRIES: u64 = 5_000;
const DEFAULT_BATCH_LIMIT: u64 = 10_000;
const DEFAULT_BATCH_INTERVAL: Duration = Duration::from_millis(100);
const DEFAULT_COMPACTION_BATCH: u64 = 1_000;
const DEFAULT_COMPACTION_SLEEP: Duration = Duration::from_millis(10);

impl Config {
    /// Reads the fields out of `settings`, with `logging` read before.
    pub(crate) fn from_settings(settings: Settings, logging: Logging) -> Self {
        let urls = |name: &str| settings.urls(name).to_vec();
        let milliseconds = |name: &str| Duration::from_millis(settings.uint(name));
        let name = settings.text("name").to_owned();
        let data_dir = match settings.text("data-dir") {
            "" => format!("{name}.etcd"),
            given => given.to_owned(),
        };
        Self {
            name,
            data_dir,
            wal_dir: Some(settings.text("wal-dir").to_owned()).filter(|dir| !dir.is_empty()),
            listen_peer_urls: urls("listen-peer-urls"),
            listen_client_urls: urls("listen-client-urls"),
            listen_client_http_urls: urls("listen-client-http-urls"),
            listen_metrics_urls: urls("listen-metrics-urls"),
            initial_advertise_peer_urls: urls("initial-advertise-peer-urls"),
            advertise_client_urls: urls("advertise-client-urls"),
            initial_cluster_state: match settings.text("initial-cluster-state") {
                "existing" => ClusterState::Existing,
                _ => ClusterState::New,
            },
            initial_cluster_token: settings.text("initial-cluster-token").to_owned(),
            initial_election_tick_advance: settings.bool("initial-election-tick-advance"),
            snapshot_count: or_default(settings.uint("snapshot-count"), DEFAULT_SNAPSHOT_COUNT),
            snapshot_catchup_entries: or_default(
                settings.uint("snapshot-catchup-entries"),
                DEFAULT_CATCHUP_ENTRIES,
            ),
            heartbeat_interval: milliseconds("heartbeat-interval"),
            election_timeout: milliseconds("election-timeout"),
            max_snapshots: settings.uint("max-snapshots"),
            max_wals: settings.uint("max-wals"),
            quota: Quota::from_flag(settings.int("quota-backend-bytes")),
            backend_batch_interval: span_or_default(
                &settings,
                "backend-batch-interval",
                DEFAULT_BATCH_INTERVAL,
            ),
            backend_batch_limit: count_or_default(&settings, "backend-batch-limit", DEFAULT_BATCH_LIMIT),
            max_txn_ops: settings.uint("max-txn-ops"),
            max_request_bytes: settings.uint("max-request-bytes"),
            compaction_batch_limit: count_or_default(
                &settings,
                "compaction-batch-limit",
                DEFAULT_COMPACTION_BATCH,
            ),
            compaction_sleep_interval: span_or_default(
                &settings,
                "compaction-sleep-interval",
                DEFAULT_COMPACTION_SLEEP,
            ),
            strict_reconfig_check: settings.bool("strict-reconfig-check"),
            peer_auto_tls: settings.bool("peer-auto-tls"),
            unsafe_no_fsync: settings.bool("unsafe-no-fsync"),
            hold_cluster_version: settings.level("hold-cluster-version"),
            logging,
            settings,
        }
    }

    /// Election ticks in an election timeout.
    pub fn election_ticks(&self) -> u64 {
        let heartbeat = self.heartbeat_interval.as_millis().max(1);
        u64::try_from(self.election_timeout.as_millis() / heartbeat).unwrap_or(u64::MAX)
    }

    /// Puts `host`, the machine's address on its default route, where a default URL would advertise `localhost` while
    /// the member listens on every address. Returns whether it was used.
    ///
    /// Source: etcd 3.7.1, `detected default host for advertise`.
    pub fn set_default_host(&mut self, host: &str) -> bool {
        let peer = replace_host(
            &mut self.initial_advertise_peer_urls,
            &self.listen_peer_urls,
            DEFAULT_PEER_URL,
            host,
        );
        let client =
            replace_host(&mut self.advertise_client_urls, &self.listen_client_urls, DEFAULT_CLIENT_URL, host);
        peer || client
    }
}

fn replace_host(advertised: &mut [Url], listening: &[Url], default: &str, host: &str) -> bool {
    let ([url], Some(("0.0.0.0", port))) = (advertised, listening.first().and_then(Url::host_port)) else {
        return false;
    };
    if url.as_str() != default {
        return false;
    }
    *url = url.with_host_port(host, port);
    true
}

fn or_default(value: u64, default: u64) -> u64 {
    if value == 0 { default } else { value }
}

/// Zero means the default; so does a negative value, for which etcd has no use either.
fn count_or_default(settings: &Settings, name: &str, default: u64) -> u64 {
    or_default(u64::try_from(settings.int(name)).unwrap_or(0), default)
}

fn span_or_default(settings: &Settings, name: &str, default: Duration) -> Duration {
    let given = settings.duration(name).as_duration();
    if given.is_zero() { default } else { given }
}

const DEFAULT_PEER_URL: &str = "http://localhost:2380";
const DEFAULT_CLIENT_URL: &str = "http://localhost:2379";
