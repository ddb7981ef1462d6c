//! The checks that need nothing but the flags, in etcd's order.

use types::{ETCD_VERSION, Version};

use crate::config::{Config, DEFAULT_NAME, MAX_QUOTA_BYTES, MAX_REQUEST_BYTES_RECOMMENDED};
use crate::error::Error;
use crate::flag::Class;
use crate::go::GoDuration;
use crate::notice::Notice;
use crate::settings::Settings;
use crate::url::{Scheme, Url, join_urls};

/// Checks a configuration, and tells `notices` what is odd about it.
pub(crate) fn check(config: &mut Config, notices: &mut Vec<Notice>) -> Result<(), Error> {
    // The default would advertise an address that the member may not listen on.
    let settings = &config.settings;
    if settings.is_given("listen-client-urls") && !settings.is_given("advertise-client-urls") {
        config.advertise_client_urls.clear();
    }
    check_urls(config, notices)?;
    check_cluster(config)?;
    check_timing(config)?;
    if config.advertise_client_urls.is_empty() {
        return Err(Error::AdvertiseClientMissing);
    }
    check_features(&config.settings, notices)?;
    if config.name == DEFAULT_NAME {
        notices.push(Notice::warn(DEFAULT_NAME_WARNING).text("name", DEFAULT_NAME));
    }
    check_tls(&config.settings)?;
    check_held_level(config.hold_cluster_version)?;
    refuse_not_implemented(&config.settings)?;
    tell_oddities(config, notices);
    Ok(())
}

fn check_urls(config: &Config, notices: &mut Vec<Notice>) -> Result<(), Error> {
    check_bindable(&config.listen_peer_urls)?;
    check_bindable(&config.listen_client_urls)?;
    check_bindable(&config.listen_client_http_urls)?;
    if config.listen_client_http_urls.is_empty() {
        notices.push(Notice::warn(SINGLE_PORT_WARNING));
    }
    check_bindable(&config.listen_metrics_urls)?;
    if let Some(url) = config.initial_advertise_peer_urls.iter().find(|url| url.has_empty_host()) {
        let list = join_urls(&config.initial_advertise_peer_urls);
        return Err(Error::AdvertisePeer { list, url: url.to_string() });
    }
    if let Some(url) = config.advertise_client_urls.iter().find(|url| url.has_empty_host()) {
        let list = join_urls(&config.advertise_client_urls);
        return Err(Error::AdvertiseClient { list, url: url.to_string() });
    }
    Ok(())
}

fn check_bindable(urls: &[Url]) -> Result<(), Error> {
    urls.iter().find(|url| !url.is_bindable()).map_or(Ok(()), |url| Err(Error::Bind(url.to_string())))
}

fn check_cluster(config: &Config) -> Result<(), Error> {
    let settings = &config.settings;
    let endpoints = settings.list("discovery-endpoints");
    let has_srv = !settings.text("discovery-srv").is_empty();
    let ways = [!config.initial_cluster().is_empty(), has_srv, !endpoints.is_empty()];
    if ways.iter().filter(|is_used| **is_used).count() > 1 {
        return Err(Error::BootstrapFlags);
    }
    if settings.text("discovery-token").is_empty() != endpoints.is_empty() {
        return Err(Error::DiscoveryToken);
    }
    if endpoints.iter().any(|endpoint| endpoint.trim().is_empty()) {
        return Err(Error::DiscoveryEndpoints);
    }
    Ok(())
}

fn check_timing(config: &Config) -> Result<(), Error> {
    let heartbeat_ms = config.settings.uint("heartbeat-interval");
    let election_ms = config.settings.uint("election-timeout");
    if heartbeat_ms == 0 {
        return Err(Error::ZeroInterval { flag: "heartbeat-interval" });
    }
    if election_ms == 0 {
        return Err(Error::ZeroInterval { flag: "election-timeout" });
    }
    if heartbeat_ms.saturating_mul(5) > election_ms {
        return Err(Error::ElectionTooShort { election_ms, heartbeat_ms });
    }
    if election_ms > ELECTION_MS_MAX {
        return Err(Error::ElectionTooLong(election_ms));
    }
    Ok(())
}

fn check_features(settings: &Settings, notices: &mut Vec<Notice>) -> Result<(), Error> {
    match settings.text("auto-compaction-mode") {
        "periodic" | "revision" => {}
        "" => return Err(Error::CompactionModeMissing),
        other => return Err(Error::CompactionMode(other.to_owned())),
    }
    let retention = settings.text("auto-compaction-retention");
    if retention.parse::<u64>().is_err() {
        GoDuration::parse(retention).map_err(Error::CompactionRetention)?;
    }
    if settings.bool("enable-distributed-tracing") {
        match settings.int("distributed-tracing-sampling-rate") {
            ..0 => return Err(Error::Tracing("tracing sampling rate must be positive")),
            0..=1_000_000 => {}
            _ => return Err(Error::Tracing("tracing sampling rate must be less than 1000000")),
        }
    }
    let gates = settings.gates();
    match (gates.is_on("LeaseCheckpoint"), gates.is_on("LeaseCheckpointPersist")) {
        (true, false) => notices.push(Notice::warn(CHECKPOINT_WARNING)),
        (false, true) => return Err(Error::CheckpointPersist),
        _ => {}
    }
    let check_time = settings.duration("compact-hash-check-time");
    if check_time <= GoDuration(0) {
        return Err(Error::CompactHashCheckTime(check_time));
    }
    if settings.int("max-learners") < 0 {
        return Err(Error::MaxLearners);
    }
    Ok(())
}

fn check_tls(settings: &Settings) -> Result<(), Error> {
    let (min, max) = (settings.text("tls-min-version"), settings.text("tls-max-version"));
    let known = ["", "TLS1.2", "TLS1.3"];
    if let Some(bad) = [min, max].into_iter().find(|version| !known.contains(version)) {
        return Err(Error::TlsVersion(bad.to_owned()));
    }
    if !max.is_empty() && min > max {
        return Err(Error::TlsVersions { min: min.to_owned(), max: max.to_owned() });
    }
    if min == "TLS1.3" && !settings.list("cipher-suites").is_empty() {
        return Err(Error::CipherSuites);
    }
    Ok(())
}

fn check_held_level(level: Option<Version>) -> Result<(), Error> {
    let lowest = Version::new(3, 4, 0);
    match level {
        Some(level) if level < lowest || level > ETCD_VERSION.level() => {
            Err(Error::HeldLevel(format!("{}.{}", level.major, level.minor)))
        }
        _ => Ok(()),
    }
}

/// Refuses what would start another cluster than was asked for, if it were ignored.
fn refuse_not_implemented(settings: &Settings) -> Result<(), Error> {
    let refuse = |flag: &str| Err(Error::NotImplemented(format!("--{flag}")));
    if settings.bool("force-new-cluster") {
        return refuse("force-new-cluster");
    }
    if !settings.list("discovery-endpoints").is_empty() {
        return refuse("discovery-endpoints");
    }
    for flag in ["discovery-srv", "discovery-srv-name"] {
        if !settings.text(flag).is_empty() {
            return refuse(flag);
        }
    }
    Ok(())
}

fn tell_oddities(config: &Config, notices: &mut Vec<Notice>) {
    let settings = &config.settings;
    if settings.is_given("max-snapshots") {
        notices.push(Notice::warn(MAX_SNAPSHOTS_WARNING));
    }
    if settings.is_given("v2-deprecation") {
        notices.push(Notice::warn(V2_DEPRECATION_WARNING));
    }
    for setting in settings.iter().filter(|setting| setting.is_given() && setting.flag.class == Class::NotYet)
    {
        let line = Notice::warn("flag has no effect yet");
        notices.push(line.text("flag", format!("--{}", setting.flag.name)));
    }
    if settings.text("data-dir").is_empty() {
        notices.push(Notice::warn("'data-dir' was empty; using default").text("data-dir", &config.data_dir));
    }
    let quota = config.quota.bytes().unwrap_or(0);
    if quota > MAX_QUOTA_BYTES {
        let line = Notice::warn("quota exceeds the maximum value").text("quota-name", "v3-applier");
        notices
            .push(line.number("quota-size-bytes", quota).number("quota-maximum-size-bytes", MAX_QUOTA_BYTES));
    }
    if config.max_request_bytes > MAX_REQUEST_BYTES_RECOMMENDED {
        let line = Notice::warn("exceeded recommended request limit");
        let line = line.number("max-request-bytes", config.max_request_bytes);
        notices.push(line.number("recommended-request-bytes", MAX_REQUEST_BYTES_RECOMMENDED));
    }
    if settings.uint("snapshot-count") == 0 {
        let line = Notice::info("updating snapshot-count to default").number("given-snapshot-count", 0);
        notices.push(line.number("updated-snapshot-count", config.snapshot_count));
    }
    if settings.uint("snapshot-catchup-entries") == 0 {
        let line = Notice::info("updating snapshot catch-up entries to default");
        let line = line.number("given-snapshot-catchup-entries", 0);
        notices.push(line.number("updated-snapshot-catchup-entries", config.snapshot_catchup_entries));
    }
}

impl Config {
    /// Checks the listeners: what etcd finds out when it binds, and no bind is needed to know.
    ///
    /// `https` for peers passes with `--peer-auto-tls`, although handshakes are refused until TLS is there.
    ///
    /// # Errors
    /// What `discovery failed` reports in etcd: one URL for two services, `https` without a certificate.
    pub fn check_listeners(&self) -> Result<(), Error> {
        let has_certificate = |flag: &str| !self.settings.text(flag).is_empty();
        let peer_tls = self.listen_peer_urls.iter().find(|url| url.scheme() == Scheme::Https);
        if let Some(url) = peer_tls.filter(|_| !self.peer_auto_tls && !has_certificate("peer-cert-file")) {
            return Err(Error::PeerTls(url.address().to_owned()));
        }
        let clients = || self.listen_client_urls.iter().chain(&self.listen_client_http_urls);
        if let Some(url) =
            self.listen_client_http_urls.iter().find(|url| self.listen_client_urls.contains(url))
        {
            return Err(Error::SameUrlTwice(url.to_string()));
        }
        let client_certificate = has_certificate("cert-file") || self.settings.bool("auto-tls");
        if let Some(url) = clients().find(|url| url.scheme().is_tls() && !client_certificate) {
            return Err(Error::ClientTls(url.to_string()));
        }
        if self.listen_metrics_urls.iter().any(|url| url.scheme().is_tls()) && !client_certificate {
            return Err(Error::MetricsTls);
        }
        Ok(())
    }
}

const ELECTION_MS_MAX: u64 = 50_000;
const SINGLE_PORT_WARNING: &str =
    "Running http and grpc server on single port. This is not recommended for production.";
const DEFAULT_NAME_WARNING: &str = "it isn't recommended to use default name, please set a value for --name. Note that \
                                    etcd might run into issue when multiple members have the same default name";
const CHECKPOINT_WARNING: &str = "Detected that checkpointing is enabled without persistence. Consider enabling feature \
                                  gate LeaseCheckpointPersist";
const MAX_SNAPSHOTS_WARNING: &str = "--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8.";
const V2_DEPRECATION_WARNING: &str = "--v2-deprecation is deprecated and scheduled for removal in v3.8. The default \
                                      value is enforced, ignoring user input.";
