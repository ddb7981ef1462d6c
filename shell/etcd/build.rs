//! Tells the program its commit and its compiler, for `--version`.

use std::process::Command;

fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The second changes with every commit.
    println!("cargo::rerun-if-changed=../../.git/HEAD");
    println!("cargo::rerun-if-changed=../../.git/logs/HEAD");
    if let Some(sha) = output("git", &["rev-parse", "--short=9", "HEAD"]) {
        println!("cargo::rustc-env=OXETCD_GIT_SHA={sha}");
    }
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    if let Some(version) = output(&rustc, &["--version"]) {
        let version: Vec<_> = version.split(' ').take(2).collect();
        println!("cargo::rustc-env=OXETCD_RUSTC={}", version.join(" "));
    }
}
