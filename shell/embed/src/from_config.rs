//! From the flags to what [`crate::start`] needs.

use crate::options::{Address, Options};
use config::{ClusterState, Config, Scheme, Url};
use node::{BootConfig, Retention, Timing};
use os::RealDisk;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// The options that `config` stands for. Host names are resolved, and only for a member without data.
///
/// # Errors
/// In words: an address that cannot be listened on, or an initial cluster that does not fit.
pub fn options(config: &Config) -> Result<Options, String> {
    let boot = boot_config(config)?;
    let count = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Ok(Options {
        boot,
        client_addresses: addresses(&config.listen_client_urls)?,
        peer_addresses: addresses(&config.listen_peer_urls)?,
        reuse_port: config.settings.bool("socket-reuse-port"),
        limits: v3rpc::Limits {
            request_bytes_max: count(config.max_request_bytes),
            txn_ops_max: count(config.max_txn_ops),
            request_timeout: Duration::from_secs(5) + 2 * config.election_timeout,
            view: mvcc::ViewBudget::default(),
            quota: apply::Quota::from_flag(quota_flag(config)),
        },
        cors: etcdhttp::Cors::new(config.settings.list("cors")),
        ping_interval_min: config.settings.duration("grpc-keepalive-min-time").as_duration(),
        concurrent_streams_max: u32::try_from(config.settings.uint("max-concurrent-streams"))
            .unwrap_or(u32::MAX),
        compaction_pause: config.compaction_sleep_interval,
        net_threads: net_threads(),
        never_sync: config.unsafe_no_fsync,
    })
}

fn quota_flag(config: &Config) -> i64 {
    match config.quota {
        config::Quota::Default => 0,
        config::Quota::Bytes(bytes) => i64::try_from(bytes).unwrap_or(i64::MAX),
        config::Quota::Off => -1,
    }
}

/// One for each processor, at most four: a thread serves more than the log can take.
fn net_threads() -> NonZeroUsize {
    let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    processors.min(const { NonZeroUsize::new(4).expect("four is not zero") })
}

fn boot_config(config: &Config) -> Result<BootConfig, String> {
    let data_dir = PathBuf::from(&config.data_dir);
    let wal_dir = config.wal_dir.as_ref().map(PathBuf::from);
    let log_dir = wal_dir.clone().unwrap_or_else(|| data_dir.join("member").join("wal"));
    let has_data = wal::exists(&RealDisk::new(), &log_dir).map_err(|error| error.to_string())?;
    let texts = |urls: &[Url]| urls.iter().map(|url| url.as_str().to_owned()).collect::<Vec<_>>();
    let initial_cluster = if has_data {
        Vec::new()
    } else {
        let addresses = resolve(&config.hosts_to_resolve());
        let members = config.initial_members(&addresses).map_err(|error| error.to_string())?;
        members.iter().map(|(name, urls)| (name.clone(), texts(urls))).collect()
    };
    let heartbeat = u64::try_from(config.heartbeat_interval.as_millis()).unwrap_or(u64::MAX);
    let min_ttl_ms = (config.election_ticks().saturating_mul(3) / 2).saturating_mul(heartbeat);
    let count = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Ok(BootConfig {
        data_dir,
        wal_dir,
        name: config.name.clone(),
        initial_cluster,
        token: config.initial_cluster_token.clone(),
        joins_existing: config.initial_cluster_state == ClusterState::Existing,
        client_urls: texts(&config.advertise_client_urls),
        hold: config.hold_cluster_version,
        quota_bytes: quota_flag(config),
        catch_up_entries: 5000,
        serves_clusters: false,
        joining: None,
        timing: Timing {
            tick_ns: u64::try_from(config.heartbeat_interval.as_nanos()).unwrap_or(u64::MAX),
            election_ticks: config.election_ticks(),
            has_pre_vote: config.settings.bool("pre-vote"),
        },
        snapshot_count: config.snapshot_count,
        retention: Retention { wals: count(config.max_wals), snapshots: count(config.max_snapshots) },
        limits: backend::Limits {
            interval_ns: u64::try_from(config.backend_batch_interval.as_nanos()).unwrap_or(u64::MAX),
            operations: count(config.backend_batch_limit),
            ..backend::Limits::default()
        },
        compaction_batch_limit: count(config.compaction_batch_limit),
        // One and a half election timeouts in whole ticks, rounded up to whole seconds.
        min_lease_ttl: i64::try_from(min_ttl_ms.div_ceil(1000)).unwrap_or(i64::MAX),
        max_learners: count(u64::try_from(config.settings.int("max-learners")).unwrap_or(0)),
        segment_size_bytes: wal::DEFAULT_SEGMENT_SIZE_BYTES,
        now_ms: os::clock::wall_ms(),
    })
}

fn resolve(hosts: &[String]) -> BTreeMap<String, String> {
    let address = |host: &String| {
        let found = (host.as_str(), 0).to_socket_addrs().ok()?.next()?;
        Some((host.clone(), found.ip().to_string()))
    };
    hosts.iter().filter_map(address).collect()
}

fn addresses(urls: &[Url]) -> Result<Vec<Address>, String> {
    urls.iter().map(address).collect()
}

fn address(url: &Url) -> Result<Address, String> {
    let Some((host, port)) = url.host_port() else {
        return match url.scheme() {
            Scheme::Unix => Ok(Address::Unix(PathBuf::from(url.address()))),
            _ => Err(format!("TLS over a socket file is not implemented yet: {url}")),
        };
    };
    let port = port.parse().map_err(|_| format!("{url} has no valid port"))?;
    let ip = match host {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        host => host.parse().map_err(|_| format!("expected IP in URL for binding ({url})"))?,
    };
    let address = SocketAddr::new(ip, port);
    Ok(if url.scheme() == Scheme::Https { Address::RefuseTls(address) } else { Address::Tcp(address) })
}
