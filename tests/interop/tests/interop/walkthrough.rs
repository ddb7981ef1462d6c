//! The first steps of somebody who has read a book about etcd: start it with nothing, put and get, press Ctrl-C.

use interop::{Outcome, Programs, Scratch, Server, ours, skip};
use rustix::process::Signal;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A server without arguments takes these; two tests cannot have them at once.
static DEFAULT_PORTS: Mutex<()> = Mutex::new(());

/// `None` if somebody else's server holds the ports.
fn default_ports() -> Option<MutexGuard<'static, ()>> {
    let guard = DEFAULT_PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    if [2379, 2380].into_iter().any(|port| TcpListener::bind(("127.0.0.1", port)).is_err()) {
        skip("port 2379 or 2380 is taken");
        return None;
    }
    Some(guard)
}

fn start_without_arguments(scratch: &Scratch) -> Server {
    let mut command = Command::new(ours("etcd"));
    command.current_dir(scratch.path());
    Server::start(command, scratch.path())
}

#[test]
fn version_has_the_four_lines_that_scripts_read() {
    let Some(programs) = Programs::find(&["etcd"]) else { return };
    let output = programs.run("etcd", &["--version"]).expect_success();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.first(), Some(&"etcd Version: 3.7.1"));
    for label in ["Git SHA: ", "Go Version: ", "Go OS/Arch: linux/"] {
        assert!(lines.iter().any(|line| line.starts_with(label)), "no {label:?} in\n{output}");
    }
}

#[test]
fn a_server_without_arguments_has_etcds_ids_directories_and_log() {
    let Some(_) = Programs::find(&["etcd"]) else { return };
    let Some(_ports) = default_ports() else { return };
    let scratch = Scratch::new("no-arguments");
    let server = start_without_arguments(&scratch);
    assert!(scratch.path().join("default.etcd/member/wal").is_dir());
    assert!(scratch.path().join("default.etcd/member/snap/db").is_file());
    let (status, log) = server.end_with(Signal::INT);
    assert_eq!(status.signal(), Some(2), "{status}");
    assert!(log.contains("received signal; shutting down"), "{log}");
    for id in ["8e9e05c52164694d", "cdf818194e3a8c32"] {
        assert!(log.contains(id), "no {id} in\n{log}");
    }
    for line in log.lines() {
        let fields: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for name in ["level", "ts", "caller", "msg"] {
            assert!(fields[name].as_str().is_some_and(|text| !text.is_empty()), "no {name} in {line}");
        }
    }
}

/// Rows D1 to D6 of the walkthrough, word for word.
fn tour(etcdctl: &str) {
    let Some(programs) = Programs::find(&["etcd", etcdctl]) else { return };
    let Some(_ports) = default_ports() else { return };
    let scratch = Scratch::new("tour");
    let server = start_without_arguments(&scratch);
    let check = |arguments: &[&str], input: &str, expected: &str| {
        let all = [&["--endpoints=127.0.0.1:2379"], arguments].concat();
        let Outcome { stdout, stderr, status, .. } = programs.run_with_input(etcdctl, &all, input);
        assert!(status.success(), "{arguments:?}: {status}\n{stderr}");
        assert_eq!(stdout, expected, "{arguments:?}");
    };
    check(&["put", "foo", "Hello, World"], "", "OK\n");
    check(&["get", "foo"], "", "foo\nHello, World\n");
    let (cluster, member) = (0xcdf8_1819_4e3a_8c32_u64, 0x8e9e_05c5_2164_694d_u64);
    let header = format!(r#"{{"cluster_id":{cluster},"member_id":{member},"revision":2,"raft_term":2}}"#);
    let pair =
        r#"{"key":"Zm9v","create_revision":2,"mod_revision":2,"version":1,"value":"SGVsbG8sIFdvcmxk"}"#;
    let json = format!("{{\"header\":{header},\"kvs\":[{pair}],\"count\":1}}\n");
    check(&["--write-out=json", "get", "foo"], "", &json);
    for number in 1..=3 {
        check(&["put", &format!("web{number}"), &format!("value{number}")], "", "OK\n");
    }
    check(&["get", "web", "--prefix"], "", "web1\nvalue1\nweb2\nvalue2\nweb3\nvalue3\n");
    check(&["put", "key", "myvalue"], "", "OK\n");
    check(&["put", "k1", "value1"], "", "OK\n");
    check(&["put", "k2", "value2"], "", "OK\n");
    check(&["del", "k", "--prefix"], "", "3\n");
    check(&["put", "user1", "bad"], "", "OK\n");
    let typed = "value(\"user1\") = \"bad\"\n\ndel user1\n\nput user1 good\n\n";
    let answered =
        "compares:\nsuccess requests (get, put, del):\nfailure requests (get, put, del):\nSUCCESS\n\n1\n";
    check(&["txn", "--interactive"], typed, answered);
    check(&["get", "user1"], "", "");
    server.stop();
}

#[test]
fn the_tour_of_the_book_works_with_gos_etcdctl() {
    tour("etcdctl-3.7");
}

#[test]
fn the_tour_of_the_book_works_with_our_etcdctl() {
    tour("etcdctl");
}
