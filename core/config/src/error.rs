//! What is wrong with a set of flags.

use crate::go::{GoDuration, quote};

/// A setting that the member cannot start with. The texts are those of etcd 3.7.1; operators and tests match them.
///
/// They end the program with code 1 after a line `failed to verify flags`. A command line that cannot be read at all
/// never gets so far: see [`crate::parse`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("{} is not a valid flag", quote(.0))]
    NotAFlag(String),
    #[error("invalid value {} for {variable}: {why}", quote(.value))]
    Environment { variable: String, value: String, why: String },
    /// Known, and refused because ignoring it would start something else than was asked for.
    #[error("{0} is not implemented yet")]
    NotImplemented(String),
    #[error("--discovery is gone since etcd 3.7: use --discovery-token and --discovery-endpoints (set to {})", quote(.0))]
    OldDiscovery(String),
    #[error("--proxy={0} is gone since etcd 3.6: use 'etcd grpc-proxy start'")]
    OldProxy(String),
    #[error("invalid value {} for flag -{flag}, given by its old name -{old}: {why}", quote(.value))]
    OldValue { old: String, flag: String, value: String, why: String },

    #[error("unknown logger option {}", quote(.0))]
    Logger(String),
    #[error("multi logoutput for \"default\" is not supported yet")]
    LogOutputs,
    #[error("--log-outputs requires a single file path when --log-rotate-config-json is defined")]
    LogRotation,
    #[error("unrecognized level: {}", quote(.0))]
    LogLevel(String),
    #[error("unknown log format: {0}, supported values json, console")]
    LogFormat(String),

    #[error("expected IP in URL for binding ({0})")]
    Bind(String),
    #[error("--initial-advertise-peer-urls {} must be \"host:port\" (unexpected empty host ({url}))", quote(.list))]
    AdvertisePeer { list: String, url: String },
    #[error(
        "--advertise-client-urls {} must be in the format \"host:port\", \"unix:/path/to/socket\" or \
         \"unixs:/path/to/socket\" (unexpected empty host ({url}))",
        quote(.list)
    )]
    AdvertiseClient { list: String, url: String },
    #[error("--advertise-client-urls is required when --listen-client-urls is set explicitly")]
    AdvertiseClientMissing,
    #[error("cannot bind both --listen-client-urls and --listen-client-http-urls on the same url {0}")]
    SameUrlTwice(String),
    #[error("TLS key/cert (--cert-file, --key-file) must be provided for client url {0} with HTTPS scheme")]
    ClientTls(String),
    #[error("client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url")]
    MetricsTls,
    #[error("cannot listen on TLS for {0}: KeyFile and CertFile are not presented")]
    PeerTls(String),

    #[error(
        "multiple discovery or bootstrap flags are set. Choose one of \"initial-cluster\", \"discovery-endpoints\" or \
         \"discovery-srv\""
    )]
    BootstrapFlags,
    #[error("both --discovery-token and --discovery-endpoints must be set")]
    DiscoveryToken,
    #[error("--discovery-endpoints must not contain empty endpoints")]
    DiscoveryEndpoints,
    #[error("--{flag} must be >0 (set to 0ms)")]
    ZeroInterval { flag: &'static str },
    #[error(
        "--election-timeout[{election_ms}ms] should be at least as 5 times as --heartbeat-interval[{heartbeat_ms}ms]"
    )]
    ElectionTooShort { election_ms: u64, heartbeat_ms: u64 },
    #[error("--election-timeout[{0}ms] is too long, and should be set less than 50000ms")]
    ElectionTooLong(u64),

    #[error("undefined auto-compaction-mode")]
    CompactionModeMissing,
    #[error("unknown auto-compaction-mode {}", quote(.0))]
    CompactionMode(String),
    #[error("error parsing CompactionRetention: {0}")]
    CompactionRetention(String),
    #[error("distributed tracing configurition is not valid: ({0})")]
    Tracing(&'static str),
    #[error("enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint")]
    CheckpointPersist,
    #[error("--compact-hash-check-time must be >0 (set to {0})")]
    CompactHashCheckTime(GoDuration),
    #[error("membership: too many learner members in cluster")]
    MaxLearners,
    #[error("unexpected TLS version {} (must be one of: TLS1.2, TLS1.3)", quote(.0))]
    TlsVersion(String),
    #[error("min version ({min}) is greater than max version ({max})")]
    TlsVersions { min: String, max: String },
    #[error("cipher suites cannot be configured when only TLS1.3 is enabled")]
    CipherSuites,
    #[error("--hold-cluster-version {0} is not a level this release can keep (3.4 to 3.7)")]
    HeldLevel(String),

    #[error("error setting up initial cluster: {0}")]
    InitialCluster(String),
    #[error("couldn't find local name {} in the initial cluster configuration", quote(.0))]
    LocalName(String),
    #[error("initial cluster {0} has duplicate url")]
    DuplicateUrl(String),
    #[error(
        "--initial-cluster has {missing} but missing from --initial-advertise-peer-urls={advertised} ({why})"
    )]
    NotAdvertised { missing: String, advertised: String, why: String },
    #[error("--initial-advertise-peer-urls has {missing} but missing from --initial-cluster={advertised}")]
    NotInCluster { missing: String, advertised: String },
    #[error("failed to resolve {advertised} to match --initial-cluster={cluster} ({why})")]
    Unresolved { advertised: String, cluster: String, why: String },
}
