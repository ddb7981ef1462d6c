//! A stop signal is waited for, and is what the parent sees as the cause of the end.
//!
//! Without the harness: its main thread would not have the signals blocked, and would take them.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use os::signals::{Signal, Signals, end_by};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

const ROLE: &str = "OXETCD_TEST_ROLE";

fn main() {
    if std::env::var_os(ROLE).is_some() {
        wait_for_the_signal();
    }
    // What lists tests instead of running them finds none here.
    if !std::env::args().any(|argument| argument == "--list") {
        check(Signal::Terminate, "TERM");
        check(Signal::Interrupt, "INT");
        println!("test a_stop_signal_is_waited_for_and_seen_by_the_parent ... ok");
    }
}

fn wait_for_the_signal() -> ! {
    let signals = Signals::block().unwrap();
    let waiting = std::thread::spawn(move || signals.wait().unwrap());
    println!("waiting");
    let signal = waiting.join().unwrap();
    println!("stopped by {}", signal.name());
    end_by(signal);
}

fn check(signal: Signal, kill_name: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(ROLE, "child")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "waiting");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([format!("-{kill_name}"), pid]).status().unwrap().success());
    assert_eq!(lines.next().unwrap().unwrap(), format!("stopped by {}", signal.name()));
    assert_eq!(child.wait().unwrap().signal(), Some(signal.number()));
}
