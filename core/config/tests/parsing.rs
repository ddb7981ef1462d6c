//! The command line and the environment are read as etcd 3.7.1 reads them.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{accept, accept_args, extra, print, refusal, run, usage_error, words};
use config::{Action, ClusterState, Quota, SHORT_USAGE, join_urls};

#[test]
fn a_start_without_flags_has_the_defaults() {
    let (config, notices) = accept("", &[]);
    assert_eq!((config.name.as_str(), config.data_dir.as_str()), ("default", "default.etcd"));
    assert_eq!(config.wal_dir, None);
    assert_eq!(join_urls(&config.listen_peer_urls), "http://localhost:2380");
    assert_eq!(join_urls(&config.listen_client_urls), "http://localhost:2379");
    assert_eq!(join_urls(&config.initial_advertise_peer_urls), "http://localhost:2380");
    assert_eq!(join_urls(&config.advertise_client_urls), "http://localhost:2379");
    assert!(config.listen_metrics_urls.is_empty() && config.listen_client_http_urls.is_empty());
    assert_eq!(config.initial_cluster(), "default=http://localhost:2380");
    assert_eq!(config.initial_cluster_state, ClusterState::New);
    assert_eq!(config.initial_cluster_token, "etcd-cluster");
    assert_eq!((config.snapshot_count, config.snapshot_catchup_entries), (10_000, 5_000));
    assert_eq!((config.max_snapshots, config.max_wals), (5, 5));
    assert_eq!((config.heartbeat_interval, config.election_ticks()), (Duration::from_millis(100), 10));
    assert_eq!((config.quota, config.quota.bytes()), (Quota::Default, Some(2_147_483_648)));
    assert_eq!((config.max_txn_ops, config.max_request_bytes), (128, 1_572_864));
    assert_eq!(
        (config.backend_batch_limit, config.backend_batch_interval),
        (10_000, Duration::from_millis(100))
    );
    assert_eq!(
        (config.compaction_batch_limit, config.compaction_sleep_interval),
        (1_000, Duration::from_millis(10))
    );
    assert!(config.strict_reconfig_check && !config.peer_auto_tls && !config.unsafe_no_fsync);
    assert_eq!(config.hold_cluster_version, None);
    assert_eq!(
        print(&notices),
        [
            "Warn Running http and grpc server on single port. This is not recommended for production.",
            "Warn it isn't recommended to use default name, please set a value for --name. Note that etcd might run \
             into issue when multiple members have the same default name name=default",
            "Warn 'data-dir' was empty; using default data-dir=default.etcd",
        ]
    );
}

#[test]
fn dashes_equal_signs_and_repeats() {
    let (config, _) =
        accept("-name a --name=b -data-dir=d=e --unsafe-no-fsync -strict-reconfig-check=F --", &[]);
    assert_eq!((config.name.as_str(), config.data_dir.as_str()), ("b", "d=e"));
    assert!(config.unsafe_no_fsync && !config.strict_reconfig_check);
    let (config, _) =
        accept("--listen-peer-urls http://127.0.0.1:1 --listen-peer-urls http://127.0.0.1:2", &[]);
    assert_eq!(join_urls(&config.listen_peer_urls), "http://127.0.0.1:2");
    let (config, _) = accept("--name -x --wal-dir --name", &[]);
    assert_eq!((config.name.as_str(), config.wal_dir.as_deref()), ("-x", Some("--name")));
}

#[test]
fn numbers_durations_and_lists_are_read_as_in_go() {
    let line = "--snapshot-count 0x10 --max-wals 1_000 --quota-backend-bytes=-1 --backend-batch-interval 1.5s \
                --initial-advertise-peer-urls http://b:1,http://a:1,http://b:1 --log-outputs b,a,b";
    let (config, _) = accept(line, &[]);
    assert_eq!((config.snapshot_count, config.max_wals, config.quota), (16, 1_000, Quota::Off));
    assert_eq!(config.backend_batch_interval, Duration::from_millis(1_500));
    assert_eq!(join_urls(&config.initial_advertise_peer_urls), "http://a:1,http://b:1");
    assert_eq!(config.logging.outputs, ["a", "b"]);
    // An empty list of URLs leaves what was there, but counts as given.
    let args = ["--listen-client-urls".to_owned(), String::new(), "--advertise-client-urls=".to_owned()];
    let (config, _) = accept_args(&args, &[]);
    assert_eq!(join_urls(&config.advertise_client_urls), "http://localhost:2379");
}

#[test]
fn an_unreadable_command_line_is_code_2_and_usage() {
    for (line, error) in [
        ("--bogus", "flag provided but not defined: -bogus"),
        ("-bogus=1", "flag provided but not defined: -bogus"),
        ("--name", "flag needs an argument: -name"),
        ("---name x", "bad flag syntax: ---name"),
        ("--=x", "bad flag syntax: --=x"),
        ("-=", "bad flag syntax: -="),
        ("--max-wals 1k", "invalid value \"1k\" for flag -max-wals: parse error"),
        ("--max-wals -1", "invalid value \"-1\" for flag -max-wals: parse error"),
        (
            "--max-wals 18446744073709551616",
            "invalid value \"18446744073709551616\" for flag -max-wals: value out of range",
        ),
        ("--unsafe-no-fsync=yes", "invalid boolean value \"yes\" for -unsafe-no-fsync: parse error"),
        ("--grpc-keepalive-timeout 5", "invalid value \"5\" for flag -grpc-keepalive-timeout: parse error"),
        (
            "--initial-cluster-state foo",
            "invalid value \"foo\" for flag -initial-cluster-state: invalid value",
        ),
        ("--discovery-fallback foo", "invalid value \"foo\" for flag -discovery-fallback: invalid value"),
        (
            "--v2-deprecation not-yet",
            "invalid value \"not-yet\" for flag -v2-deprecation: invalid value \"not-yet\"",
        ),
        ("--proxy foo", "invalid value \"foo\" for flag -proxy: invalid value"),
        (
            "--feature-gates Foo=true",
            "invalid value \"Foo=true\" for flag -feature-gates: unrecognized feature gate: Foo",
        ),
        (
            "--max-concurrent-streams 4294967296",
            "invalid value \"4294967296\" for flag -max-concurrent-streams: strconv.ParseUint: parsing \"4294967296\": \
             value out of range",
        ),
        (
            "--listen-peer-urls http://localhost",
            "invalid value \"http://localhost\" for flag -listen-peer-urls: URL address does not have the form \
             \"host:port\": http://localhost",
        ),
        (
            "--hold-cluster-version 3",
            "invalid value \"3\" for flag -hold-cluster-version: must be of the form X.Y",
        ),
        (
            "--hold-cluster-version 3.6.1",
            "invalid value \"3.6.1\" for flag -hold-cluster-version: must be of the form X.Y",
        ),
    ] {
        assert_eq!(usage_error(line), error);
    }
}

#[test]
fn a_left_over_word_is_code_1() {
    for (line, word) in [
        ("foo", "foo"),
        ("--name a foo --bogus", "foo"),
        ("-", "-"),
        ("-- foo", "foo"),
        ("--unsafe-no-fsync true", "true"),
        ("--cluster-active-size 3", "3"),
        ("--version foo", "foo"),
    ] {
        assert_eq!(refusal(line, &[]), format!("\"{word}\" is not a valid flag"));
    }
}

#[test]
fn help_and_version_win_over_what_follows_only() {
    for line in ["-h", "--help", "--help=x --bogus", "--name a -h --bogus"] {
        assert!(matches!(run(&words(line), &[]), Ok((Action::PrintHelp, _))), "{line}");
    }
    assert!(matches!(run(&words("--version"), &[]), Ok((Action::PrintVersion, _))));
    assert!(matches!(
        run(&words("--version --name a"), &[("ETCD_NAME", "b")]),
        Ok((Action::PrintVersion, _))
    ));
    assert_eq!(usage_error("--version --bogus"), "flag provided but not defined: -bogus");
    assert_eq!(usage_error("--bogus --help"), "flag provided but not defined: -bogus");
}

#[test]
fn the_environment_fills_what_the_command_line_leaves() {
    let env =
        [("PATH", "/bin"), ("ETCD_NAME", "m1"), ("ETCD_MAX_WALS", "7"), ("ETCD_UNSUPPORTED_ARCH", "riscv64")];
    let (config, notices) = accept("--data-dir d", &env);
    assert_eq!((config.name.as_str(), config.max_wals), ("m1", 7));
    assert_eq!(
        extra(&notices),
        [
            "Info recognized and used environment variable variable-name=ETCD_MAX_WALS variable-value=7",
            "Info recognized and used environment variable variable-name=ETCD_NAME variable-value=m1",
        ]
    );
}

#[test]
fn odd_variables_earn_a_line_each() {
    let env = [("ETCD_VERSION", "3.7"), ("ETCD_BOGUS", "1"), ("ETCD_NAME", ""), ("ETCDCTL_API", "3")];
    let (config, notices) = accept("", &env);
    assert_eq!(config.name, "default");
    assert_eq!(
        extra(&notices),
        [
            "Warn cannot set special environment variable key=ETCD_VERSION value=3.7",
            "Warn unrecognized environment variable environment-variable=ETCD_BOGUS=1",
            "Warn unrecognized environment variable environment-variable=ETCD_NAME=",
        ]
    );
}

#[test]
fn a_variable_beside_its_flag_is_fatal() {
    let failure = run(&words("--name a"), &[("ETCD_NAME", "b")]).unwrap_err();
    assert_eq!(failure.exit_code, 1);
    assert_eq!(
        print(&failure.notices),
        [
            "Fatal conflicting environment variable is shadowed by corresponding command-line flag (either unset \
          environment variable or disable flag)) environment-variable=ETCD_NAME"
        ]
    );
}

#[test]
fn a_bad_variable_is_code_1() {
    let error = refusal("", &[("ETCD_MAX_WALS", "x")]);
    assert_eq!(error, "invalid value \"x\" for ETCD_MAX_WALS: parse error");
    let error = refusal("", &[("ETCD_UNSAFE_NO_FSYNC", "x")]);
    assert_eq!(error, "invalid value \"x\" for ETCD_UNSAFE_NO_FSYNC: parse error");
}

#[test]
fn a_variable_counts_as_given() {
    let error = refusal("", &[("ETCD_LISTEN_CLIENT_URLS", "http://127.0.0.1:1")]);
    assert_eq!(error, "--advertise-client-urls is required when --listen-client-urls is set explicitly");
}

#[test]
fn what_is_not_there_yet_is_said() {
    assert_eq!(refusal("--config-file x", &[]), "--config-file is not implemented yet");
    assert_eq!(refusal("", &[("ETCD_CONFIG_FILE", "x")]), "--config-file is not implemented yet");
    assert_eq!(refusal("--force-new-cluster", &[]), "--force-new-cluster is not implemented yet");
    assert_eq!(refusal("--discovery-srv example.com", &[]), "--discovery-srv is not implemented yet");
    let (_, notices) = accept("--pre-vote --discovery-password secret", &[]);
    assert_eq!(
        extra(&notices),
        [
            "Warn flag has no effect yet flag=--discovery-password",
            "Warn flag has no effect yet flag=--pre-vote",
        ]
    );
    for word in ["gateway", "grpc-proxy"] {
        let failure = run(&words(&format!("{word} start")), &[]).unwrap_err();
        assert_eq!(
            (failure.exit_code, failure.stderr),
            (1, format!("Error: 'etcd {word}' is not implemented yet\n"))
        );
    }
}

#[test]
fn help_lists_every_flag_once_and_version_keeps_the_labels() {
    let text = config::flags_text();
    for flag in config::all_flags().filter(|flag| flag.class != config::Class::Ignored) {
        let start = format!("\n  --{} '", flag.name);
        assert_eq!(text.matches(&start).count(), 1, "{}", flag.name);
    }
    assert!(text.starts_with("\nMember:\n  --name 'default'\n    "));
    for title in ["Clustering", "Security", "Auth", "Profiling and Monitoring", "Logging", "Features"] {
        assert!(text.contains(&format!("\n\n{title}:\n")), "{title}");
    }
    assert!(text.contains("\n    FastLeaseKeepAlive=true|false (BETA - default=true)\n"));
    assert!(SHORT_USAGE.starts_with("Usage:\n\n  etcd [flags]\n"));
    let version = config::version_text(config::Build { git_sha: "0123abc", compiler: "rustc 1.0" });
    let lines: Vec<_> = version.lines().collect();
    assert_eq!(lines[..3], ["etcd Version: 3.7.1", "Git SHA: 0123abc", "Go Version: rustc 1.0"]);
    assert!(lines[3].starts_with("Go OS/Arch: linux/") && lines[4].starts_with("oxetcd Version: "));
}

#[test]
fn the_table_is_sound() {
    let mut names: Vec<_> = config::all_flags().map(|flag| flag.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a name stands twice");
    for flag in config::all_flags() {
        if let config::Class::Deprecated(config::Successor::Flag(name)) = flag.class {
            assert!(config::find_flag(name).is_some_and(|successor| successor.class != flag.class), "{name}");
        }
        if let config::Class::Deprecated(config::Successor::Gate(name)) = flag.class {
            assert!(config::GATES.iter().any(|gate| gate.name == name), "{name}");
        }
    }
    let env_of = |name: &str| config::find_flag(name).unwrap().env_name();
    assert_eq!(env_of("config-file").as_deref(), Some("ETCD_CONFIG_FILE"));
    assert_eq!(env_of("version"), None);
}
