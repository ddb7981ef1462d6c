//! Settings that etcd 3.7.1 refuses are refused with its words.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{accept, extra, print, refusal, run, words};
use config::{Level, Style, join_urls};

#[test]
fn bad_settings_are_refused_with_the_text_of_etcd() {
    for (line, error) in [
        (
            "--listen-client-urls http://127.0.0.1:1",
            "--advertise-client-urls is required when --listen-client-urls is set explicitly",
        ),
        ("--listen-peer-urls http://example.com:1", "expected IP in URL for binding (http://example.com:1)"),
        (
            "--listen-metrics-urls http://example.com:1",
            "expected IP in URL for binding (http://example.com:1)",
        ),
        (
            "--initial-advertise-peer-urls http://:1",
            "--initial-advertise-peer-urls \"http://:1\" must be \"host:port\" (unexpected empty host (http://:1))",
        ),
        (
            "--advertise-client-urls http://:1,http://a:1",
            "--advertise-client-urls \"http://:1,http://a:1\" must be in the format \"host:port\", \
             \"unix:/path/to/socket\" or \"unixs:/path/to/socket\" (unexpected empty host (http://:1))",
        ),
        ("--heartbeat-interval 0", "--heartbeat-interval must be >0 (set to 0ms)"),
        ("--election-timeout 0", "--election-timeout must be >0 (set to 0ms)"),
        (
            "--heartbeat-interval 300",
            "--election-timeout[1000ms] should be at least as 5 times as --heartbeat-interval[300ms]",
        ),
        (
            "--election-timeout 60000",
            "--election-timeout[60000ms] is too long, and should be set less than 50000ms",
        ),
        (
            "--initial-cluster a=http://b:1 --discovery-srv x",
            "multiple discovery or bootstrap flags are set. Choose one of \"initial-cluster\", \"discovery-endpoints\" \
             or \"discovery-srv\"",
        ),
        ("--discovery-token x", "both --discovery-token and --discovery-endpoints must be set"),
        ("--discovery-endpoints x", "both --discovery-token and --discovery-endpoints must be set"),
        (
            "--discovery-token t --discovery-endpoints a,,b",
            "--discovery-endpoints must not contain empty endpoints",
        ),
        ("--auto-compaction-mode x", "unknown auto-compaction-mode \"x\""),
        ("--auto-compaction-mode=", "undefined auto-compaction-mode"),
        (
            "--auto-compaction-retention xx",
            "error parsing CompactionRetention: time: invalid duration \"xx\"",
        ),
        (
            "--enable-distributed-tracing --distributed-tracing-sampling-rate=-1",
            "distributed tracing configurition is not valid: (tracing sampling rate must be positive)",
        ),
        (
            "--feature-gates LeaseCheckpointPersist=true",
            "enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint",
        ),
        ("--compact-hash-check-time 0", "--compact-hash-check-time must be >0 (set to 0s)"),
        ("--max-learners=-1", "membership: too many learner members in cluster"),
        ("--tls-min-version TLS1.1", "unexpected TLS version \"TLS1.1\" (must be one of: TLS1.2, TLS1.3)"),
        (
            "--tls-min-version TLS1.3 --tls-max-version TLS1.2",
            "min version (TLS1.3) is greater than max version (TLS1.2)",
        ),
        (
            "--tls-min-version TLS1.3 --cipher-suites X",
            "cipher suites cannot be configured when only TLS1.3 is enabled",
        ),
        ("--logger x", "unknown logger option \"x\""),
        ("--log-level x", "unrecognized level: \"x\""),
        ("--log-format x", "unknown log format: x, supported values json, console"),
        ("--log-outputs default,x", "multi logoutput for \"default\" is not supported yet"),
        (
            "--enable-log-rotation",
            "--log-outputs requires a single file path when --log-rotate-config-json is defined",
        ),
        (
            "--hold-cluster-version 3.8",
            "--hold-cluster-version 3.8 is not a level this release can keep (3.4 to 3.7)",
        ),
    ] {
        assert_eq!(refusal(line, &[]), error, "{line}");
    }
}

#[test]
fn a_missing_advertise_url_earns_a_second_line() {
    let failure = run(&words("--listen-client-urls http://127.0.0.1:1"), &[]).unwrap_err();
    let lines = print(&failure.notices);
    assert!(
        lines[lines.len() - 1]
            .starts_with("Warn advertise client URLs are not set error=--advertise-client-urls")
    );
}

#[test]
fn a_refusal_is_written_as_the_log_was_asked_to_be() {
    let failure = run(&words("--log-format console --log-level warn --election-timeout 0"), &[]).unwrap_err();
    assert_eq!((failure.logging.style, failure.logging.level), (Style::Console, Level::Warn));
}

#[test]
fn levels_and_styles_of_the_log() {
    for (word, level) in [
        ("debug", Level::Debug),
        ("INFO", Level::Info),
        ("", Level::Info),
        ("warning", Level::Warn),
        ("Error", Level::Error),
        ("dpanic", Level::DPanic),
        ("panic", Level::Panic),
        ("fatal", Level::Fatal),
    ] {
        assert_eq!(accept(&format!("--log-level={word}"), &[]).0.logging.level, level, "{word}");
    }
    assert_eq!(accept("", &[]).0.logging.style, Style::Json);
    assert_eq!(accept("--log-format console", &[]).0.logging.style, Style::Console);
}

#[test]
fn doubtful_settings_earn_a_line() {
    for (line, warning) in [
        ("--max-snapshots 5", "Warn --max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8."),
        (
            "--v2-deprecation gone",
            "Warn --v2-deprecation is deprecated and scheduled for removal in v3.8. The default value is enforced, \
             ignoring user input.",
        ),
        (
            "--quota-backend-bytes 8589934593",
            "Warn quota exceeds the maximum value quota-name=v3-applier quota-size-bytes=8589934593 \
             quota-maximum-size-bytes=8589934592",
        ),
        (
            "--max-request-bytes 10485761",
            "Warn exceeded recommended request limit max-request-bytes=10485761 recommended-request-bytes=10485760",
        ),
        (
            "--snapshot-count 0",
            "Info updating snapshot-count to default given-snapshot-count=0 updated-snapshot-count=10000",
        ),
    ] {
        assert_eq!(extra(&accept(line, &[]).1), [warning]);
    }
    let (_, notices) = accept("--raft-read-timeout 1s --feature-gates LeaseCheckpoint=true", &[]);
    let lines = extra(&notices);
    assert_eq!(lines[0], "Info raft-read-timeout increased to minimum value: 5s");
    assert!(lines[1].starts_with("Warn Detected that checkpointing is enabled without persistence."));
}

#[test]
fn a_name_alone_renames_the_initial_cluster() {
    let cluster = |line: &str| accept(line, &[]).0.initial_cluster();
    assert_eq!(cluster("--name m1"), "m1=http://localhost:2380");
    assert_eq!(
        cluster("--name m1 --initial-advertise-peer-urls http://127.0.0.1:2,http://127.0.0.1:1"),
        "m1=http://127.0.0.1:1,m1=http://127.0.0.1:2"
    );
    assert_eq!(cluster("--initial-advertise-peer-urls http://127.0.0.1:1"), "default=http://localhost:2380");
    assert_eq!(cluster("--name m1 --initial-cluster a=http://b:1"), "a=http://b:1");
}

fn members(line: &str) -> Result<String, String> {
    let (config, _) = accept(line, &[]);
    let addresses = BTreeMap::from([("h1".to_owned(), "10.0.0.1".to_owned())]);
    let members = config.initial_members(&addresses).map_err(|error| error.to_string())?;
    let pairs: Vec<_> = members.iter().map(|(name, urls)| format!("{name}={}", join_urls(urls))).collect();
    Ok(pairs.join(" "))
}

#[test]
fn the_initial_cluster_must_fit_this_member() {
    let members_of_three = "--name m1 --initial-advertise-peer-urls http://127.0.0.1:1 \
                            --initial-cluster m2=http://127.0.0.1:2,m1=http://127.0.0.1:1";
    assert_eq!(members(members_of_three).unwrap(), "m1=http://127.0.0.1:1 m2=http://127.0.0.1:2");
    // Two names of one place.
    let resolved =
        "--name m1 --initial-advertise-peer-urls http://10.0.0.1:1 --initial-cluster m1=http://h1:1";
    assert_eq!(members(resolved).unwrap(), "m1=http://h1:1");
    assert_eq!(accept(resolved, &[]).0.hosts_to_resolve(), ["h1"]);
    // A member that joins has told its URLs before.
    let joining = "--name m1 --initial-cluster m1=http://127.0.0.1:9 --initial-cluster-state existing";
    assert_eq!(members(joining).unwrap(), "m1=http://127.0.0.1:9");
    for (line, error) in [
        (
            "--name m1 --initial-cluster m2=http://127.0.0.1:1",
            "couldn't find local name \"m1\" in the initial cluster configuration",
        ),
        (
            "--name m1 --initial-cluster m1=http://127.0.0.1:2390",
            "--initial-cluster has m1=http://127.0.0.1:2390 but missing from \
             --initial-advertise-peer-urls=http://localhost:2380 (resolved urls: \"http://localhost:2380\" != \
             \"http://127.0.0.1:2390\")",
        ),
        (
            "--initial-cluster default=http://localhost:2380,default=http://localhost:2381",
            "--initial-cluster has default=http://localhost:2381 but missing from \
             --initial-advertise-peer-urls=http://localhost:2380 (len([\"http://localhost:2380\"]) != \
             len([\"http://localhost:2380\" \"http://localhost:2381\"]))",
        ),
        (
            "--initial-advertise-peer-urls http://localhost:2380,http://localhost:2381",
            "--initial-advertise-peer-urls has http://localhost:2381 but missing from \
             --initial-cluster=default=http://localhost:2380,default=http://localhost:2381",
        ),
        (
            "--initial-cluster default=http://localhost:2380,m2=http://localhost:2380",
            "initial cluster default=http://localhost:2380,m2=http://localhost:2380 has duplicate url",
        ),
        (
            "--initial-cluster default=ftp://x:1",
            "error setting up initial cluster: URL scheme must be http, https, unix, or unixs: ftp://x:1",
        ),
    ] {
        assert_eq!(members(line).unwrap_err(), error, "{line}");
    }
}

#[test]
fn listeners_that_cannot_be_served_are_known_before_binding() {
    let check = |line: &str| accept(line, &[]).0.check_listeners().map_err(|error| error.to_string());
    let clients = "--advertise-client-urls http://127.0.0.1:1 --listen-client-urls";
    assert_eq!(check(""), Ok(()));
    assert_eq!(check("--listen-peer-urls https://127.0.0.1:1 --peer-auto-tls"), Ok(()));
    assert_eq!(
        check("--listen-peer-urls https://127.0.0.1:1").unwrap_err(),
        "cannot listen on TLS for 127.0.0.1:1: KeyFile and CertFile are not presented"
    );
    assert_eq!(
        check(&format!("{clients} https://127.0.0.1:1")).unwrap_err(),
        "TLS key/cert (--cert-file, --key-file) must be provided for client url https://127.0.0.1:1 with HTTPS scheme"
    );
    assert_eq!(
        check(&format!("{clients} http://127.0.0.1:1 --listen-client-http-urls http://127.0.0.1:1"))
            .unwrap_err(),
        "cannot bind both --listen-client-urls and --listen-client-http-urls on the same url http://127.0.0.1:1"
    );
    assert_eq!(
        check("--listen-metrics-urls https://127.0.0.1:1").unwrap_err(),
        "client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url"
    );
}

#[test]
fn the_default_host_replaces_only_defaults() {
    let (mut config, _) = accept("--name m1 --listen-peer-urls http://0.0.0.0:7", &[]);
    assert!(config.set_default_host("10.0.0.9"));
    assert_eq!(join_urls(&config.initial_advertise_peer_urls), "http://10.0.0.9:7");
    assert_eq!(config.initial_cluster(), "m1=http://10.0.0.9:7");
    assert_eq!(join_urls(&config.advertise_client_urls), "http://localhost:2379");
    let (mut config, _) = accept("--listen-peer-urls http://127.0.0.1:7", &[]);
    assert!(!config.set_default_host("10.0.0.9"));
}
