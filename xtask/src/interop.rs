//! Runs `tests/interop`: our programs beside real etcd and real clients.

use crate::{process, tools};

/// The profile in which our programs and the tests are built: optimised, assertions on.
const PROFILE: &str = "ci";

/// Builds everything that the tests start, then runs those whose name contains `filter`.
///
/// `OXETCD_BIN` names a directory with other `etcd`, `etcdctl` and `etcdutl` to be judged; with Go's own the tests
/// judge themselves.
///
/// # Errors
/// When a build or a test fails.
pub fn run(filter: Option<&str>) -> anyhow::Result<()> {
    tools::run()?;
    if std::env::var_os("OXETCD_BIN").is_none() {
        process::run(&mut process::cargo(&[
            "build",
            "--profile",
            PROFILE,
            "--package=etcd",
            "--package=etcdctl",
            "--package=etcdutl",
        ]))?;
    }
    let mut test = process::cargo(&["test", "--profile", PROFILE, "--package=interop"]);
    if std::env::var_os("OXETCD_BIN").is_none() {
        test.env("OXETCD_BIN", process::root().join("target").join(PROFILE));
    }
    test.arg("--").args(filter);
    process::run(&mut test)
}
