//! The same calls to our server and to Go's: the answers must not differ.

use interop::{Place, Programs, ours};
use std::path::Path;

/// Headings of calls whose answers may differ, each with its reason; see `docs/compat.md`.
const DIFFERENT: &[(&str, &str)] = &[(
    "hash at revision 12",
    "etcd answers the revision of an earlier compaction from a cache, with the compacted revision of that time; after a \
     restart it answers as we do",
)];

/// The answers under their headings.
fn transcript(programs: &Programs, server: &Path, question: &str) -> Vec<(String, String)> {
    let place = Place::new("transcript");
    let server = place.start(server, &[]);
    let output = programs.probe(&[question, "--endpoint", &place.endpoint(), "--peer", &place.peer()]);
    server.stop();
    let sections = output.split("== ").skip(1);
    sections
        .filter_map(|section| section.split_once('\n'))
        .map(|(h, a)| (h.to_owned(), a.to_owned()))
        .collect()
}

fn compare(question: &str) {
    let Some(programs) = Programs::find(&["etcd", "etcd-3.7", "probe"]) else { return };
    let theirs = transcript(&programs, &programs.path("etcd-3.7"), question);
    let own = transcript(&programs, &ours("etcd"), question);
    assert!(theirs.len() > 5, "the transcript is empty");
    assert_eq!(own.len(), theirs.len());
    let mut differences = String::new();
    for ((heading, answer), (_, expected)) in own.iter().zip(&theirs) {
        if answer != expected && !DIFFERENT.iter().any(|(known, _)| known == heading) {
            differences.push_str(&format!("== {heading}\nours: {answer}Go:   {expected}"));
        }
    }
    assert!(differences.is_empty(), "answers that differ:\n{differences}");
}

#[test]
fn every_call_is_answered_as_go_answers_it() {
    compare("calls");
}

#[test]
fn plain_http_is_answered_as_go_answers_it() {
    compare("http");
}
