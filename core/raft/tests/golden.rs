//! Scripts in `testdata/`: one scenario each, with everything that happens in it. `REWRITE=1` writes them anew.

#![allow(clippy::disallowed_methods, reason = "a test writes its own expectations")]

#[path = "golden/group.rs"]
mod group;
#[path = "golden/text.rs"]
mod text;

use group::Group;
use std::path::Path;

/// Runs a script and returns it with what happens now.
fn run(script: &str) -> String {
    let mut group = Group::default();
    let mut out = String::new();
    for line in script.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            out += &format!("{line}\n");
            for happened in group.command(command) {
                out += &format!("  {happened}\n");
            }
        } else if line.is_empty() || line.starts_with('#') {
            out += &format!("{line}\n");
        }
    }
    out
}

#[test]
fn scripts_happen_as_written() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut paths: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 10, "the scripts are there");
    let mut different = Vec::new();
    for path in paths {
        let script = std::fs::read_to_string(&path).unwrap();
        let happened = run(&script);
        if std::env::var_os("REWRITE").is_some() {
            std::fs::write(&path, &happened).unwrap();
        } else if happened != script {
            let line = script.lines().zip(happened.lines()).position(|(was, is)| was != is).unwrap_or(0);
            let is = happened.lines().nth(line).unwrap_or_default();
            different.push(format!("{} line {}: now {is:?}", path.display(), line + 1));
        }
    }
    assert!(different.is_empty(), "{}\n(REWRITE=1 writes what happens now)", different.join("\n"));
}
