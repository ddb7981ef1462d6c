//! Flags of older releases are taken as `docs/compat.md` says: none is unknown.

#![allow(clippy::unwrap_used)]

mod common;

use common::{accept, accept_args, extra, refusal, usage_error};
use config::Style;

/// Every flag of the appendix of the 3.5.0-pre manual with the default printed there.
const APPENDIX: [(&str, &str); 76] = [
    ("name", "default"),
    ("data-dir", "${name}.etcd"),
    ("wal-dir", ""),
    ("snapshot-count", "100000"),
    ("heartbeat-interval", "100"),
    ("election-timeout", "1000"),
    ("initial-election-tick-advance", "true"),
    ("listen-peer-urls", "http://localhost:2380"),
    ("listen-client-urls", "http://localhost:2379"),
    ("max-snapshots", "5"),
    ("max-wals", "5"),
    ("quota-backend-bytes", "0"),
    ("backend-bbolt-freelist-type", "map"),
    ("backend-batch-interval", ""),
    ("backend-batch-limit", "0"),
    ("max-txn-ops", "128"),
    ("max-request-bytes", "1572864"),
    ("grpc-keepalive-min-time", "5s"),
    ("grpc-keepalive-interval", "2h"),
    ("grpc-keepalive-timeout", "20s"),
    ("initial-advertise-peer-urls", "http://localhost:2380"),
    ("initial-cluster", "default=http://localhost:2380"),
    ("initial-cluster-state", "new"),
    ("initial-cluster-token", "etcd-cluster"),
    ("advertise-client-urls", "http://localhost:2379"),
    ("discovery", ""),
    ("discovery-fallback", "proxy"),
    ("discovery-proxy", ""),
    ("discovery-srv", ""),
    ("discovery-srv-name", ""),
    ("strict-reconfig-check", "true"),
    ("pre-vote", "false"),
    ("auto-compaction-retention", "0"),
    ("auto-compaction-mode", "periodic"),
    ("enable-v2", "false"),
    ("cert-file", ""),
    ("key-file", ""),
    ("client-cert-auth", "false"),
    ("client-crl-file", ""),
    ("client-cert-allowed-hostname", ""),
    ("trusted-ca-file", ""),
    ("auto-tls", "false"),
    ("peer-cert-file", ""),
    ("peer-key-file", ""),
    ("peer-client-cert-auth", "false"),
    ("peer-trusted-ca-file", ""),
    ("peer-cert-allowed-cn", ""),
    ("peer-cert-allowed-hostname", ""),
    ("peer-auto-tls", "false"),
    ("peer-crl-file", ""),
    ("cipher-suites", ""),
    ("cors", "*"),
    ("host-whitelist", "*"),
    ("auth-token", "simple"),
    ("bcrypt-cost", "10"),
    ("enable-pprof", "false"),
    ("metrics", "basic"),
    ("listen-metrics-urls", ""),
    ("logger", "capnslog"),
    ("log-outputs", "default"),
    ("log-level", "info"),
    ("proxy", "off"),
    ("proxy-failure-wait", "5000"),
    ("proxy-refresh-interval", "30000"),
    ("proxy-dial-timeout", "1000"),
    ("proxy-write-timeout", "5000"),
    ("proxy-read-timeout", "0"),
    ("experimental-initial-corrupt-check", "false"),
    ("experimental-corrupt-check-time", "0s"),
    ("experimental-enable-v2v3", ""),
    ("experimental-enable-lease-checkpoint", "false"),
    ("experimental-compaction-batch-limit", "1000"),
    ("experimental-peer-skip-client-san-verification", "false"),
    ("force-new-cluster", "false"),
    ("debug", "false"),
    ("log-package-levels", ""),
];

#[test]
fn every_flag_of_the_appendix_is_taken_with_its_default() {
    for (name, value) in APPENDIX {
        // Alone it is an error in etcd of every release: the next test.
        if name != "listen-client-urls" {
            accept_args(&[format!("--{name}={value}")], &[]);
        }
    }
    let all: Vec<_> = APPENDIX.iter().map(|(name, value)| format!("--{name}={value}")).collect();
    let (config, _) = accept_args(&all, &[]);
    assert_eq!((config.snapshot_count, config.logging.style), (100_000, Style::Capnslog));
    assert_eq!(config.data_dir, "${name}.etcd");
}

#[test]
fn every_flag_of_the_appendix_is_taken_from_the_environment() {
    for (name, value) in APPENDIX {
        if name == "listen-client-urls" || value.is_empty() {
            continue;
        }
        let variable = format!("ETCD_{}", name.to_uppercase().replace('-', "_"));
        let (config, _) = accept("", &[(&variable, value)]);
        assert!(config.settings.is_given(name), "{name}");
    }
}

#[test]
fn client_urls_alone_need_an_advertised_one() {
    let error = refusal("--listen-client-urls=http://localhost:2379", &[]);
    assert_eq!(error, "--advertise-client-urls is required when --listen-client-urls is set explicitly");
}

#[test]
fn the_appendix_earns_these_lines() {
    for (line, lines) in [
        ("--discovery=", &[][..]),
        ("--proxy=off", &[]),
        ("--proxy-failure-wait=5000", &[]),
        ("--proxy-read-timeout=0", &[]),
        ("--enable-v2=false", &[]),
        ("--experimental-enable-v2v3=", &[]),
        ("--enable-v2", &["Warn flag is deprecated flag=--enable-v2 value=true successor=none"]),
        (
            "--proxy-dial-timeout=1",
            &["Warn flag is deprecated flag=--proxy-dial-timeout value=1 successor=none"],
        ),
        ("--discovery-proxy=", &["Warn flag is deprecated flag=--discovery-proxy value= successor=none"]),
        (
            "--log-package-levels=",
            &["Warn flag is deprecated flag=--log-package-levels value= successor=none"],
        ),
        (
            "--logger=capnslog",
            &["Warn Deprecated '--logger=capnslog' flag is set; use '--logger=zap' flag instead"],
        ),
        (
            "--discovery-fallback=proxy",
            &[
                "Warn flag is deprecated flag=--discovery-fallback value=proxy successor=--discovery-fallback=exit",
                "Warn flag has no effect yet flag=--discovery-fallback",
            ],
        ),
    ] {
        assert_eq!(extra(&accept(line, &[]).1), lines, "{line}");
    }
}

#[test]
fn what_would_start_another_cluster_is_refused() {
    assert_eq!(
        refusal("--discovery=http://x:1", &[]),
        "--discovery is gone since etcd 3.7: use --discovery-token and --discovery-endpoints (set to \"http://x:1\")"
    );
    for mode in ["on", "readonly"] {
        let error = refusal(&format!("--proxy={mode}"), &[]);
        assert_eq!(error, format!("--proxy={mode} is gone since etcd 3.6: use 'etcd grpc-proxy start'"));
    }
}

#[test]
fn values_go_to_the_successor() {
    let (config, notices) = accept("--debug", &[]);
    assert_eq!(config.logging.level, config::Level::Debug);
    assert_eq!(
        extra(&notices),
        ["Warn flag is deprecated flag=--debug value=true successor=--log-level=debug"]
    );
    let (config, _) = accept("--debug=false", &[]);
    assert_eq!(config.logging.level, config::Level::Info);
    let (config, _) = accept("--log-output stdout", &[]);
    assert_eq!(config.logging.outputs, ["stdout"]);
    let (config, _) = accept("--experimental-compaction-batch-limit 7", &[]);
    assert_eq!(config.compaction_batch_limit, 7);
    let (config, _) = accept("", &[("ETCD_EXPERIMENTAL_SNAPSHOT_CATCHUP_ENTRIES", "9")]);
    assert_eq!(config.snapshot_catchup_entries, 9);
    let (config, notices) = accept("--experimental-initial-corrupt-check", &[]);
    assert!(config.settings.gates().is_on("InitialCorruptCheck"));
    assert_eq!(
        extra(&notices)[0],
        "Warn flag is deprecated flag=--experimental-initial-corrupt-check value=true \
         successor=--feature-gates=InitialCorruptCheck=true"
    );
}

#[test]
fn the_successor_wins_when_both_are_given() {
    let (config, notices) = accept("--debug --log-level error", &[]);
    assert_eq!(config.logging.level, config::Level::Error);
    assert_eq!(extra(&notices).len(), 1);
    let (config, _) = accept("--experimental-compaction-batch-limit 7 --compaction-batch-limit 8", &[]);
    assert_eq!(config.compaction_batch_limit, 8);
    let line = "--experimental-enable-lease-checkpoint --feature-gates LeaseCheckpoint=false";
    assert!(!accept(line, &[]).0.settings.gates().is_on("LeaseCheckpoint"));
}

#[test]
fn names_that_etcd_ignores_are_taken_in_silence() {
    for name in ["cluster-active-size=3", "config=x", "force", "snapshot", "v=2", "vv", "test.coverprofile=x"]
    {
        assert!(extra(&accept(&format!("--{name}"), &[]).1).is_empty(), "{name}");
    }
}

#[test]
fn a_bad_value_of_an_old_flag_is_a_usage_error() {
    assert_eq!(usage_error("--debug=x"), "invalid boolean value \"x\" for -debug: parse error");
    assert_eq!(
        usage_error("--experimental-corrupt-check-time 5"),
        "invalid value \"5\" for flag -experimental-corrupt-check-time: parse error"
    );
}
