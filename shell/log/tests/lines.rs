//! Lines have etcd's form, byte for byte.

use std::io;
use std::sync::{Arc, Mutex};

use log::{Clock, Json, Level, Log, Options, Style, Value};
use time::macros::datetime;
use tracing_subscriber::layer::SubscriberExt as _;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics with it").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is written while `act` runs.
fn written(level: Level, style: Style, clock: Clock, act: impl FnOnce(&Log)) -> String {
    let memory = Memory::default();
    let options = Options { level, style, outputs: Vec::new() };
    let log = Log::to_writer(&options, clock, Box::new(memory.clone())).expect("a thread can be started");
    tracing::subscriber::with_default(tracing_subscriber::registry().with(log.layer()), || act(&log));
    assert!(log.flush() && log.dropped() == 0);
    let bytes = memory.0.lock().expect("no test panics with it").clone();
    String::from_utf8(bytes).expect("lines are text")
}

fn utc() -> Clock {
    Clock::fixed(datetime!(2026-11-22 10:06:05.840105 UTC))
}

#[derive(Debug, thiserror::Error)]
#[error("cannot open {0}")]
struct Outer(&'static str, #[source] io::Error);

#[test]
fn json_lines_keep_order_types_and_escapes() {
    let cause = || Outer("db", io::Error::other("disk is gone"));
    let urls = vec!["http://a:1".to_owned(), "http://b:2".to_owned()];
    let mut line = 0;
    let text = written(Level::Info, Style::Json, utc(), |_| {
        line = line!() + 1;
        tracing::info!(
            "local-member-id" = %"8e9e05c52164694d",
            "heartbeat-interval" = "100ms",
            "snapshot-count" = 10_000_u64,
            offset = -1_i64,
            ratio = 0.5,
            nan = f64::NAN,
            "force-new-cluster" = false,
            state = ?Some(1),
            "listen-peer-urls" = Json::strings(&urls).value(),
            map = Json::new("{\"a\":[1,2]}").value(),
            error = &cause() as &dyn std::error::Error,
            "starting \"{}\"\n<etcd>",
            "server"
        );
    });
    let expected = format!(
        concat!(
            r#"{{"level":"info","ts":"2026-11-22T10:06:05.840105Z","caller":"tests/lines.rs:{}","#,
            r#""msg":"starting \"server\"\n<etcd>","local-member-id":"8e9e05c52164694d","heartbeat-interval":"100ms","#,
            r#""snapshot-count":10000,"offset":-1,"ratio":0.5,"nan":"NaN","force-new-cluster":false,"state":"Some(1)","#,
            r#""listen-peer-urls":["http://a:1","http://b:2"],"map":{{"a":[1,2]}},"#,
            r#""error":"cannot open db: disk is gone"}}"#,
            "\n"
        ),
        line
    );
    assert_eq!(text, expected);
}

#[test]
fn the_logger_is_named_for_its_targets_only() {
    let text = written(Level::Info, Style::Json, utc(), |_| {
        tracing::warn!(target: "logger:raft", "became follower");
        tracing::error!(target: "embed", "other");
    });
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0]
            .starts_with(r#"{"level":"warn","ts":"2026-11-22T10:06:05.840105Z","logger":"raft","caller":"#)
    );
    assert!(lines[1].starts_with(r#"{"level":"error","ts":"2026-11-22T10:06:05.840105Z","caller":"#));
}

#[test]
fn time_away_from_utc_carries_the_offset() {
    for (now, expected) in [
        (datetime!(2026-11-22 10:06:05.000007 +01:00), "2026-11-22T10:06:05.000007+0100"),
        (datetime!(2026-01-02 03:04:05 -09:30), "2026-01-02T03:04:05.000000-0930"),
    ] {
        let text = written(Level::Info, Style::Json, Clock::fixed(now), |_| tracing::info!("x"));
        assert!(text.contains(&format!("\"ts\":\"{expected}\"")), "{text}");
    }
}

#[test]
fn console_lines_have_columns() {
    let text = written(Level::Info, Style::Console, utc(), |_| {
        tracing::info!(path = "db", count = 2, list = Json::new("[1,2]").value(), "opened");
        tracing::info!(target: "logger:raft", "x");
    });
    let lines: Vec<Vec<_>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[0][..2], ["2026-11-22T10:06:05.840105Z", "info"]);
    assert_eq!(lines[0][3..], ["opened", r#"{"path": "db", "count": 2, "list": [1, 2]}"#]);
    assert_eq!((lines[1][2], lines[1][4], lines[1].len()), ("raft", "x", 5));
}

#[test]
fn old_text_lines_have_a_letter_and_a_package() {
    let text = written(Level::Debug, Style::Capnslog, utc(), |log| {
        tracing::info!("name = default");
        tracing::warn!(error = "x", "no data-dir provided");
        tracing::debug!("d");
        tracing::info!(target: "logger:raft", "became leader");
        log.write(Level::Fatal, "end", &[]);
    });
    assert_eq!(
        text,
        "2026-11-22 10:06:05.840105 I | tests: name = default\n\
         2026-11-22 10:06:05.840105 W | tests: no data-dir provided {\"error\": \"x\"}\n\
         2026-11-22 10:06:05.840105 D | tests: d\n\
         raft2026/11/22 10:06:05 INFO: became leader\n\
         2026-11-22 10:06:05.840105 C | tests: end\n"
    );
}

#[test]
fn lines_with_fields_of_run_time_go_the_same_way() {
    let mut line = 0;
    let text = written(Level::Info, Style::Json, utc(), |log| {
        let args = Json::strings(["etcd"]);
        let fields = [
            ("error", Value::Text("x")),
            ("given", Value::Int(-1)),
            ("limit", Value::Uint(u64::MAX)),
            ("learner", Value::Bool(true)),
            ("args", Value::Json(&args)),
        ];
        line = line!() + 1;
        log.write(Level::Warn, "failed to verify flags", &fields);
        log.write(Level::Debug, "not seen", &[]);
    });
    let head = r#"{"level":"warn","ts":"2026-11-22T10:06:05.840105Z","caller":"tests/lines.rs:"#;
    let tail = concat!(
        r#"","msg":"failed to verify flags","error":"x","given":-1,"limit":18446744073709551615,"#,
        r#""learner":true,"args":["etcd"]}"#
    );
    assert_eq!(text, format!("{head}{line}{tail}\n"));
}

#[test]
fn the_level_can_change_while_running() {
    let text = written(Level::Warn, Style::Json, utc(), |log| {
        for level in [Level::Debug, Level::Error, Level::Fatal] {
            tracing::info!("before {level}");
            log.set_level(level);
            assert_eq!(log.level(), level);
            tracing::debug!("debug at {level}");
            tracing::error!("error at {level}");
            tracing::trace!("trace at {level}");
        }
    });
    let messages: Vec<_> = text.lines().filter_map(|line| line.split("\"msg\":").nth(1)).collect();
    assert_eq!(
        messages,
        [r#""debug at debug"}"#, r#""error at debug"}"#, r#""before error"}"#, r#""error at error"}"#]
    );
}

#[test]
fn libraries_are_heard_from_warnings_on() {
    let text = written(Level::Debug, Style::Json, utc(), |_| {
        tracing::debug!(target: "h2::codec", "frame");
        tracing::info!(target: "hyper", "x");
        tracing::warn!(target: "h2::server", "odd");
        tracing::debug!(target: "h2o", "other");
    });
    assert_eq!(text.lines().count(), 2);
    assert!(text.contains("odd") && text.contains("other"));
}

#[test]
fn files_are_appended_to_and_dev_null_silences_all() {
    let folder = std::env::temp_dir().join(format!("log-lines-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the test");
    let paths: Vec<_> =
        ["a.log", "b.log"].iter().map(|name| folder.join(name).display().to_string()).collect();
    for _ in 0..2 {
        let options = Options { outputs: paths.clone(), ..Options::default() };
        let log = Log::start(&options).expect("the files can be opened");
        log.write(Level::Info, "line", &[]);
        assert!(log.flush());
    }
    let mut outputs = paths.clone();
    outputs.push("/dev/null".to_owned());
    let log = Log::start(&Options { outputs, ..Options::default() }).expect("nothing is opened");
    log.write(Level::Info, "silent", &[]);
    assert!(log.flush());
    for path in &paths {
        let text = std::fs::read_to_string(path).expect("the log is there");
        assert_eq!((text.lines().count(), text.contains("silent")), (2, false));
    }
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    let missing = Options { outputs: paths, ..Options::default() };
    assert!(matches!(Log::start(&missing), Err(log::Error::Open { .. })));
}
