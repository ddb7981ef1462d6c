//! What a failing disk does to a process, seen from outside: the test starts itself again as that process.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio, exit};
use vfs::{Disk, OpenMode};

const ROLE: &str = "OXETCD_TEST_ROLE";

/// Starts this test binary again with only the test `name`, which must act when [`is_child`].
fn start(name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, "child")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn is_child() -> bool {
    std::env::var_os(ROLE).is_some()
}

#[test]
fn a_page_that_cannot_be_read_ends_the_process_with_file_and_offset() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cut-{}", std::process::id()));
    if is_child() {
        let file = os::RealDisk::new().open(&path, OpenMode::Create { mode: 0o600 }).unwrap();
        file.write_at(0, &[1; 3 * 4096]).unwrap();
        let view = file.view().unwrap();
        assert_eq!(view.page(8192, 1).unwrap()[0], 1);
        // Cut behind our back.
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(4096).unwrap();
        let page = view.page(8200, 100).unwrap();
        println!("read {}", page[7]);
        exit(0);
    }
    let child = start("a_page_that_cannot_be_read_ends_the_process_with_file_and_offset");
    let cut = path.with_file_name(format!("cut-{}", child.id()));
    let output = child.wait_with_output().unwrap();
    drop(std::fs::remove_file(&cut));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let line = format!(
        "fatal: the disk failed under a mapped file, or the file was cut: {} at offset 8207\n",
        cut.display()
    );
    assert_eq!(text, line);
}
