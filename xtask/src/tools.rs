//! Makes the programs that the interop tests compare with, from the modules in `tests/interop/`.
//!
//! Everything lands in `target/interop`. A program is made again only when the file that pins its version changed.

use crate::process;
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Go program: its name in the directory of tools, the module under `tests` that pins it, and its package.
struct GoProgram {
    name: &'static str,
    module: &'static str,
    package: &'static str,
}

const GO_PROGRAMS: &[GoProgram] = &[
    GoProgram { name: "etcd-3.7", module: "interop/go/v3.7", package: "go.etcd.io/etcd/server/v3" },
    GoProgram { name: "etcdctl-3.7", module: "interop/go/v3.7", package: "go.etcd.io/etcd/etcdctl/v3" },
    GoProgram { name: "etcdutl-3.7", module: "interop/go/v3.7", package: "go.etcd.io/etcd/etcdutl/v3" },
    GoProgram { name: "bbolt", module: "interop/go/v3.7", package: "go.etcd.io/bbolt/cmd/bbolt" },
    GoProgram { name: "etcd-3.6", module: "interop/go/v3.6", package: "go.etcd.io/etcd/server/v3" },
    GoProgram { name: "etcdctl-3.6", module: "interop/go/v3.6", package: "go.etcd.io/etcd/etcdctl/v3" },
    GoProgram { name: "etcdutl-3.6", module: "interop/go/v3.6", package: "go.etcd.io/etcd/etcdutl/v3" },
    GoProgram { name: "etcd-3.5", module: "interop/go/v3.5", package: "go.etcd.io/etcd/server/v3" },
    GoProgram { name: "etcdctl-3.5", module: "interop/go/v3.5", package: "go.etcd.io/etcd/etcdctl/v3" },
    GoProgram { name: "etcdutl-3.5", module: "interop/go/v3.5", package: "go.etcd.io/etcd/etcdutl/v3" },
    GoProgram { name: "etcd-3.4", module: "interop/go/v3.4", package: "go.etcd.io/etcd" },
    GoProgram { name: "etcdctl-3.4", module: "interop/go/v3.4", package: "go.etcd.io/etcd/etcdctl" },
];

/// Our own Go program, which uses the client library of etcd 3.7 (`tests/interop/go/v3.7/cmd/probe`).
const PROBE: GoProgram = GoProgram { name: "probe", module: "interop/go/v3.7", package: "./cmd/probe" };

/// Go's raft library behind a protocol of lines, the other side of `tests/raft-oracle`.
const ORACLE: GoProgram = GoProgram { name: "raft-oracle", module: "raft-oracle/go", package: "." };

/// Makes Go's side of the comparison of consensus; `None` if there is no Go here.
///
/// # Errors
/// As [`run`].
pub fn oracle() -> anyhow::Result<Option<PathBuf>> {
    if !has("go", "the comparison with Go's raft library")? {
        return Ok(None);
    }
    let bin = directory().join("bin");
    std::fs::create_dir_all(&bin)?;
    build(&ORACLE, &bin)?;
    Ok(Some(bin.join(ORACLE.name)))
}

/// The directory that all tools are put in: `bin/`, `venv/`, `rust-client/`.
pub fn directory() -> PathBuf {
    process::root().join("target/interop")
}

/// Makes what the machine can make.
///
/// # Errors
/// When a build fails. A missing toolchain is an error if the variable `CI` is `true`; otherwise it is reported and
/// the tests that need its programs skip themselves.
pub fn run() -> anyhow::Result<()> {
    let bin = directory().join("bin");
    std::fs::create_dir_all(&bin)?;
    if has("go", "the tests against Go etcd")? {
        for program in GO_PROGRAMS {
            build_once(program, &bin)?;
        }
        build(&PROBE, &bin)?; // Go's own cache sees whether its sources changed
    }
    if has("python3", "the test with the Python client")? {
        make_venv()?;
    }
    if has("protoc", "the test with the Rust client etcd-client")? {
        let manifest = "tests/interop/rust-client/Cargo.toml";
        let target = directory().join("rust-client");
        process::run(
            process::cargo(&["build", "--locked", "--manifest-path", manifest, "--target-dir"]).arg(target),
        )?;
    }
    Ok(())
}

/// True if `program` is installed; see [`run`] for what happens if it is not.
fn has(program: &str, purpose: &str) -> anyhow::Result<bool> {
    if process::is_installed(program) {
        return Ok(true);
    }
    if std::env::var("CI").is_ok_and(|value| value == "true") {
        bail!("`{program}` is not installed; {purpose} needs it");
    }
    eprintln!("interop: SKIPPED {purpose}: `{program}` is not installed");
    Ok(false)
}

fn build_once(program: &GoProgram, bin: &Path) -> anyhow::Result<()> {
    let pins = std::fs::read_to_string(module(program).join("go.mod"))?;
    let made = directory().join("made").join(program.name);
    if bin.join(program.name).exists() && std::fs::read_to_string(&made).is_ok_and(|text| text == pins) {
        return Ok(());
    }
    eprintln!("interop: building {}", program.name);
    build(program, bin)?;
    record(&made, &pins)
}

fn build(program: &GoProgram, bin: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("go");
    command
        .current_dir(module(program))
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0");
    command.args(["build", "-p=2", "-buildvcs=false", "-o"]).arg(bin.join(program.name)).arg(program.package);
    process::run(&mut command)
}

fn module(program: &GoProgram) -> PathBuf {
    process::root().join("tests").join(program.module)
}

fn make_venv() -> anyhow::Result<()> {
    let requirements = process::root().join("tests/interop/python/requirements.txt");
    let pins = std::fs::read_to_string(&requirements)?;
    let made = directory().join("made/venv");
    if std::fs::read_to_string(&made).is_ok_and(|text| text == pins) {
        return Ok(());
    }
    eprintln!("interop: making the Python environment");
    let venv = directory().join("venv");
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))
        .context("python3 cannot make an environment (Debian: the package python3-venv)")?;
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    process::run(Command::new(venv.join("bin/python")).args(quiet).arg(&requirements))?;
    record(&made, &pins)
}

fn record(made: &Path, pins: &str) -> anyhow::Result<()> {
    std::fs::create_dir_all(made.parent().context("a record has a directory")?)?;
    Ok(std::fs::write(made, pins)?)
}
