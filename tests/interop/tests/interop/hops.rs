//! One directory goes back and forth between Go etcd and ours.

use interop::{Place, Programs, ours};

/// The questions that two programs must answer alike: all keys with all their revisions, and the hash of the store at
/// every revision that is not compacted.
const STATE: &[&[&str]] = &[&["dump"], &["hashes"]];

#[test]
fn six_hops_between_go_and_ours_keep_content_and_hashes() {
    let Some(programs) = Programs::find(&["etcd", "etcd-3.7", "bbolt", "probe"]) else { return };
    let place = Place::new("hops");
    let (go, ours) = (programs.path("etcd-3.7"), ours("etcd"));
    let mut last = String::from("revision 1\n");
    for hop in 0..7 {
        let program = if hop % 2 == 0 { &go } else { &ours };
        let server = place.start(program, &["--snapshot-count=120"]);
        let dump = || programs.probe(&["dump", "--endpoint", &place.endpoint()]);
        assert_eq!(dump(), last, "hop {hop}: what the last program wrote is there");
        let seed = hop.to_string();
        let mut fill = vec!["fill", "--endpoint", "", "--seed", &seed, "--ops", "250"];
        let endpoint = place.endpoint();
        fill[2] = &endpoint;
        if hop % 3 != 1 {
            fill.push("--compact");
        }
        programs.probe(&fill);
        last = dump();
        if hop % 3 == 2 {
            server.kill();
        } else {
            server.stop();
        }
        check_file(&programs, &place, hop);
        let theirs = place.ask_on_copy(&programs, &go, STATE);
        let own = place.ask_on_copy(&programs, &ours, STATE);
        assert_eq!(theirs[0], last, "hop {hop}: Go reads what was there at the end");
        assert_eq!(own, theirs, "hop {hop}: both restarted, both say the same");
    }
}

/// bbolt's own checker, on the file as the last program left it.
pub(crate) fn check_file(programs: &Programs, place: &Place, hop: i32) {
    let file = place.data().join("member/snap/db");
    let outcome = programs.run("bbolt", &["check", file.to_str().expect("the path is text")]);
    assert!(outcome.status.success() && outcome.stdout.contains("OK"), "hop {hop}: {outcome:?}");
}
