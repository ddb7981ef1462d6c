//! Directories that older releases of Go etcd left behind.

use crate::hops::check_file;
use interop::{Place, Programs, ours};

/// A release and what this machine's reference of it is called.
struct Release {
    level: &'static str,
    etcd: &'static str,
    /// The Go release that opens the directory and says what is in it; 3.7 itself refuses entries of 3.5 and older.
    judge: &'static str,
}

const RELEASES: &[Release] = &[
    Release { level: "3.4", etcd: "etcd-3.4", judge: "etcd-3.6" },
    Release { level: "3.5", etcd: "etcd-3.5", judge: "etcd-3.6" },
    Release { level: "3.6", etcd: "etcd-3.6", judge: "etcd-3.6" },
    Release { level: "3.7", etcd: "etcd-3.7", judge: "etcd-3.7" },
];

/// With the first, everything is in the log still, the entries of the boot included; with the second, the log begins
/// at a snapshot file.
const SNAPSHOT_COUNTS: &[&str] = &["--snapshot-count=100000", "--snapshot-count=50"];

const STATE: &[&[&str]] = &[&["dump"], &["hashes"]];

/// Lets a release of Go etcd fill the directory of `place`; returns what it held in the end.
fn fill(programs: &Programs, place: &Place, release: &Release, snapshot_count: &str) -> String {
    let server = place.start(&programs.path(release.etcd), &[snapshot_count]);
    let endpoint = place.endpoint();
    programs.probe(&["fill", "--endpoint", &endpoint, "--seed", "34", "--ops", "160", "--compact"]);
    let dump = programs.probe(&["dump", "--endpoint", &endpoint]);
    server.stop();
    dump
}

#[test]
fn directories_of_every_release_open_here_with_equal_content_and_hashes() {
    for release in RELEASES {
        let Some(programs) = Programs::find(&["etcd", release.etcd, release.judge, "probe"]) else { return };
        for snapshot_count in SNAPSHOT_COUNTS {
            let place = Place::new("directory");
            let dump = fill(&programs, &place, release, snapshot_count);
            let own = place.ask_on_copy(&programs, &ours("etcd"), STATE);
            let judged = place.ask_on_copy(&programs, &programs.path(release.judge), STATE);
            assert_eq!(own[0], dump, "{} {snapshot_count}: content", release.level);
            assert_eq!(own, judged, "{} {snapshot_count}: hashes", release.level);
        }
    }
}

#[test]
fn a_directory_whose_level_was_held_opens_in_its_own_release_again() {
    for release in RELEASES {
        let Some(programs) = Programs::find(&["etcd", release.etcd, "bbolt", "probe"]) else { return };
        for snapshot_count in SNAPSHOT_COUNTS {
            let place = Place::new("held");
            let dump = fill(&programs, &place, release, snapshot_count);
            let hold = format!("--hold-cluster-version={}", release.level);
            let endpoint = place.endpoint();
            let server = place.start(&ours("etcd"), &[&hold, snapshot_count]);
            assert_eq!(programs.probe(&["dump", "--endpoint", &endpoint]), dump, "{}", release.level);
            programs.probe(&["fill", "--endpoint", &endpoint, "--seed", "35", "--ops", "160", "--compact"]);
            let dump = programs.probe(&["dump", "--endpoint", &endpoint]);
            server.stop();
            check_file(&programs, &place, 0);
            let server = place.start(&programs.path(release.etcd), &[snapshot_count]);
            assert_eq!(programs.probe(&["dump", "--endpoint", &endpoint]), dump, "{} again", release.level);
            server.stop();
        }
    }
}

/// etcd 3.7 does not read the entries that 3.5 and older wrote: a raise by ours must have put them behind a snapshot.
#[test]
fn a_directory_that_ours_has_raised_opens_in_go_3_7() {
    for release in RELEASES {
        let Some(programs) = Programs::find(&["etcd", release.etcd, "etcd-3.7", "bbolt", "probe"]) else {
            return;
        };
        for snapshot_count in SNAPSHOT_COUNTS {
            let place = Place::new("raised");
            let dump = fill(&programs, &place, release, snapshot_count);
            place.start(&ours("etcd"), &[snapshot_count]).stop();
            check_file(&programs, &place, 0);
            let go = place.ask_on_copy(&programs, &programs.path("etcd-3.7"), STATE);
            assert_eq!(go[0], dump, "{} {snapshot_count}: content", release.level);
            assert_eq!(
                place.ask_on_copy(&programs, &ours("etcd"), STATE),
                go,
                "{} {snapshot_count}",
                release.level
            );
        }
    }
}

#[test]
fn a_new_directory_of_ours_opens_in_go_3_7() {
    let Some(programs) = Programs::find(&["etcd", "etcd-3.7", "bbolt", "probe"]) else { return };
    let place = Place::new("new");
    let server = place.start(&ours("etcd"), &[]);
    let endpoint = place.endpoint();
    programs.probe(&["fill", "--endpoint", &endpoint, "--seed", "7"]);
    let dump = programs.probe(&["dump", "--endpoint", &endpoint]);
    server.stop();
    check_file(&programs, &place, 0);
    let go = place.ask_on_copy(&programs, &programs.path("etcd-3.7"), STATE);
    assert_eq!(go[0], dump);
    assert_eq!(place.ask_on_copy(&programs, &ours("etcd"), STATE), go);
}
