//! kill -9 under load, again and again: nothing that was acknowledged may be missing.

use interop::{Place, Programs, Server, ours};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::Duration;

const KILLS: u64 = 100;

/// The longest that the load runs before a kill.
const LOAD_MS_MAX: u64 = 120;

/// What the loader knows of one key, which nobody else writes. Values only grow.
struct Written {
    sent: u64,
    acknowledged: u64,
    revision: u64,
}

#[test]
fn a_hundred_kills_under_load_lose_nothing_acknowledged() {
    let Some(programs) = Programs::find(&["etcd", "probe"]) else { return };
    let place = Place::new("kills");
    let mut known = BTreeMap::new();
    let mut acknowledged_puts = 0;
    let mut choice = 1_u64;
    for round in 0..KILLS {
        let server = place.start(&ours("etcd"), &["--snapshot-count=500"]);
        verify(&programs, &place, &known, round);
        choice = choice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pause = Duration::from_millis((choice >> 33) % LOAD_MS_MAX);
        acknowledged_puts += load_and_kill(&programs, &place, server, round + 1, pause, &mut known);
    }
    let server = place.start(&ours("etcd"), &[]);
    verify(&programs, &place, &known, KILLS);
    assert!(acknowledged_puts > KILLS, "only {acknowledged_puts} puts were acknowledged");
    server.stop();
}

/// Returns how many keys had a put acknowledged in this round.
fn load_and_kill(
    programs: &Programs,
    place: &Place,
    server: Server,
    round: u64,
    pause: Duration,
    known: &mut BTreeMap<String, Written>,
) -> u64 {
    let mut command = Command::new(programs.path("probe"));
    command.args(["load", "--endpoint", &place.endpoint(), "--round", &round.to_string()]);
    let mut loader =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the probe can be started");
    let mut output = BufReader::new(loader.stdout.take().expect("standard output is piped"));
    let mut line = String::new();
    output.read_line(&mut line).expect("the output of the probe can be read");
    assert_eq!(line, "started\n", "round {round}");
    std::thread::sleep(pause); // the length of the load, not a wait for something
    server.kill();
    let mut report = String::new();
    output.read_to_string(&mut report).expect("the output of the probe can be read");
    assert!(loader.wait().expect("the probe ends").success(), "round {round}");
    let mut count = 0;
    for line in report.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [key, sent, acknowledged, revision] = fields[..] else { panic!("report line {line:?}") };
        let number = |field: &str| field.parse::<u64>().expect("a report holds numbers");
        let (sent, acknowledged, revision) = (number(sent), number(acknowledged), number(revision));
        let state = known.entry(key.to_owned()).or_insert(Written { sent, acknowledged: 0, revision: 0 });
        state.sent = sent;
        if acknowledged > 0 {
            (state.acknowledged, state.revision) = (acknowledged, revision);
            count += 1;
        }
    }
    count
}

/// The key holds what was acknowledged last, or something sent later whose answer never came.
fn verify(programs: &Programs, place: &Place, known: &BTreeMap<String, Written>, round: u64) {
    let dump = programs.probe(&["dump", "--endpoint", &place.endpoint()]);
    let mut found = BTreeMap::new();
    for line in dump.lines().skip(1) {
        let fields: Vec<&str> = line.split(' ').collect();
        let key = fields[0].trim_matches('"').to_owned();
        let mod_revision: u64 = fields[2].parse().expect("a revision is a number");
        let value: u64 = fields[5].trim_start_matches('"').parse().expect("a value begins with a number");
        found.insert(key, (value, mod_revision));
    }
    for (key, written) in known {
        let Some((value, revision)) = found.get(key) else {
            assert_eq!(written.acknowledged, 0, "round {round}: {key} is gone");
            continue;
        };
        assert!(*value >= written.acknowledged, "round {round}: {key} fell back to {value}");
        assert!(*value <= written.sent, "round {round}: {key} holds {value}, which was never sent");
        if *value == written.acknowledged {
            assert_eq!(*revision, written.revision, "round {round}: revision of {key}");
        }
    }
}
