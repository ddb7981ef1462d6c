//! What a member is started with.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP, without TLS.
    Tcp(SocketAddr),
    /// A unix socket; an existing file of that name is replaced.
    Unix(PathBuf),
    /// TCP whose handshakes are refused: for TLS that is not served yet.
    RefuseTls(SocketAddr),
}

/// Everything that [`crate::start`] needs, checked by the caller.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory and what is known about the member.
    pub boot: node::BootConfig,
    /// Client listeners.
    pub client_addresses: Vec<Address>,
    /// Peer listeners.
    pub peer_addresses: Vec<Address>,
    /// `--socket-reuse-port` and `--socket-reuse-address`.
    pub reuse_port: bool,
    /// What requests are checked against.
    pub limits: v3rpc::Limits,
    /// Browser pages that may call (`--cors`).
    pub cors: etcdhttp::Cors,
    /// Least time between pings of a client (`--grpc-keepalive-min-time`).
    pub ping_interval_min: Duration,
    /// Streams that one connection may have open (`--max-concurrent-streams`).
    pub concurrent_streams_max: u32,
    /// Pause between two batches of a compaction (`--compaction-sleep-interval`).
    pub compaction_pause: Duration,
    /// Threads that serve the network.
    pub net_threads: NonZeroUsize,
    /// `--unsafe-no-fsync`.
    pub never_sync: bool,
}
