//! Builds and runs the fuzz targets in `fuzz/`, on the stable toolchain and without a tool to be installed.
//!
//! A target is linked with libFuzzer, which the crate `libfuzzer-sys` brings as C++ sources. What libFuzzer steers by,
//! counters on the edges of the code, is put in by a pass that the stable compiler has. There is no sanitizer: core has
//! no `unsafe` to speak of, debug assertions and checks for overflow are on, and `fuzz/src/target.rs` bounds memory.
//!
//! Everything lands in `target/fuzz`: `seeds/` is written by the targets themselves, `corpus/` keeps what a run has
//! found interesting for the next one, `findings/` inputs that failed, `log/` the words of libFuzzer.

use crate::process;
use anyhow::{Context, bail};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// A program in `fuzz/targets`.
struct Target {
    name: &'static str,
    /// The longest input that is tried, in bytes.
    input_max: usize,
}

const TARGETS: &[Target] = &[
    Target { name: "wal", input_max: 4096 },
    Target { name: "snap", input_max: 4096 },
    Target { name: "bolt", input_max: 32 << 10 },
    Target { name: "proto", input_max: 1024 },
    Target { name: "membership", input_max: 4096 },
    Target { name: "grpc", input_max: 1024 },
    Target { name: "boot", input_max: 4096 },
];

/// How long each target runs as a step of CI, in seconds.
const CI_SECONDS: u64 = 10;
/// From when on an input counts as a hang, in seconds.
const INPUT_SECONDS_MAX: u64 = 10;
/// The most memory of a target, its corpus included, in MiB.
const MEMORY_MIB_MAX: u64 = 1024;
/// The most lines shown of what a target said about a finding.
const LINES_SHOWN: usize = 60;

/// Counters on the edges of the code, and a table of what they belong to.
const COVERAGE: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
];

/// The step of CI: form and lints of the targets, which are in a workspace of their own, then a short run of each.
///
/// # Errors
/// As [`run`].
pub fn ci() -> anyhow::Result<()> {
    if !can_build()? {
        return Ok(());
    }
    process::run(&mut process::cargo(&["fmt", "--manifest-path", MANIFEST, "--check"]))?;
    process::run(cargo("clippy", &host()?).args(["--no-deps", "--all-targets", "--", "-Dwarnings"]))?;
    run(None, CI_SECONDS)
}

/// Runs all targets, or the one that `only` names, for `seconds` each, as many at once as there are processors.
///
/// # Errors
/// When a target cannot be built, and after the first finding. It is printed with the command that replays it.
pub fn run(only: Option<&str>, seconds: u64) -> anyhow::Result<()> {
    let targets: Vec<&Target> =
        TARGETS.iter().filter(|target| only.is_none_or(|name| name == target.name)).collect();
    if targets.is_empty() {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        bail!("no fuzz target {:?}; targets: {}", only.unwrap_or_default(), names.join(", "));
    }
    if !can_build()? {
        return Ok(());
    }
    let start = Instant::now();
    let programs = build(&targets)?;
    eprintln!("fuzz: built in {} s", start.elapsed().as_secs());
    let at_once = std::thread::available_parallelism().map_or(1, NonZero::get);
    for together in targets.chunks(at_once) {
        let outcomes: Vec<anyhow::Result<()>> = std::thread::scope(|scope| {
            let mut running = Vec::new();
            for target in together {
                let program = programs.join(target.name);
                running.push(scope.spawn(move || fuzz(target, &program, seconds)));
            }
            running.into_iter().map(|thread| thread.join().expect("a run reports its errors")).collect()
        });
        outcomes.into_iter().collect::<anyhow::Result<()>>()?;
    }
    Ok(())
}

/// Gives the target `name` the input in `file` once.
///
/// # Errors
/// When there is no such target, it cannot be built, or it fails with that input.
pub fn replay(name: &str, file: &Path) -> anyhow::Result<()> {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.with_context(|| format!("no fuzz target {name:?}"))?;
    let program = build(&[target])?.join(target.name);
    let mut command = Command::new(program);
    command.arg(file).arg(format!("-timeout={INPUT_SECONDS_MAX}")).env("RUST_BACKTRACE", "1");
    process::run(&mut command)
}

const MANIFEST: &str = "fuzz/Cargo.toml";

/// True if the compiler of libFuzzer's sources is there. A missing one is an error if the variable `CI` is `true`.
fn can_build() -> anyhow::Result<bool> {
    if std::env::var_os("CXX").is_some() || process::is_installed("c++") {
        return Ok(true);
    }
    if std::env::var("CI").is_ok_and(|value| value == "true") {
        bail!("no C++ compiler is installed; libFuzzer needs one");
    }
    eprintln!("fuzz: SKIPPED: no C++ compiler is installed");
    Ok(false)
}

fn directory() -> PathBuf {
    process::root().join("target/fuzz")
}

/// The triple that we build for. It is named to cargo so that build scripts and macros get no counters.
fn host() -> anyhow::Result<String> {
    let said = process::output(Command::new("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// A cargo command on the targets, with coverage.
fn cargo(command: &str, host: &str) -> Command {
    let mut cargo = process::cargo(&[command, "--locked", "--manifest-path", MANIFEST, "--profile", "fuzz"]);
    cargo.args(["--target", host, "--target-dir"]).arg(directory());
    cargo.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\x1f"));
    cargo
}

/// Builds `targets` and returns the directory that they are in.
fn build(targets: &[&Target]) -> anyhow::Result<PathBuf> {
    let host = host()?;
    let mut build = cargo("build", &host);
    targets.iter().for_each(|target| {
        build.args(["--bin", target.name]);
    });
    process::run(&mut build)
        .context("if fuzz/Cargo.lock is out of date: cargo metadata --manifest-path fuzz/Cargo.toml")?;
    Ok(directory().join(host).join("fuzz"))
}

fn fuzz(target: &Target, program: &Path, seconds: u64) -> anyhow::Result<()> {
    let start = Instant::now();
    let of_target = |kind: &str| directory().join(kind).join(target.name);
    let (seeds, corpus, findings) = (of_target("seeds"), of_target("corpus"), of_target("findings"));
    if seeds.exists() {
        std::fs::remove_dir_all(&seeds)?;
    }
    let log = directory().join("log").join(format!("{}.log", target.name));
    for needed in [&seeds, &corpus, &findings, &directory().join("log")] {
        std::fs::create_dir_all(needed)?;
    }
    write_seeds(target, program, &seeds)?;

    let mut command = Command::new(program);
    command.args([&corpus, &seeds]).arg(format!("-artifact_prefix={}/", findings.display()));
    command.args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={}", target.input_max),
        format!("-timeout={INPUT_SECONDS_MAX}"),
        format!("-rss_limit_mb={MEMORY_MIB_MAX}"),
        "-print_final_stats=1".to_owned(),
    ]);
    command.env("RUST_BACKTRACE", "1").stdout(Stdio::null()).stderr(std::fs::File::create(&log)?);
    let status = command.status().with_context(|| format!("cannot start {}", program.display()))?;
    let said = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
    if !status.success() {
        return Err(finding(target, &said, &log));
    }
    let inputs = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let inputs = inputs.context("libFuzzer ended without its figures")?.trim();
    eprintln!("fuzz: {}: {inputs} inputs in {} s", target.name, start.elapsed().as_secs());
    Ok(())
}

/// Lets the target write what it starts from; it says something only if one of them is refused.
fn write_seeds(target: &Target, program: &Path, seeds: &Path) -> anyhow::Result<()> {
    let written = Command::new(program).env("FUZZ_SEEDS", seeds).output();
    let written = written.with_context(|| format!("cannot start {}", program.display()))?;
    if !written.status.success() {
        bail!("fuzz target {}: bad seeds: {}", target.name, String::from_utf8_lossy(&written.stderr));
    }
    Ok(())
}

/// Prints what the target said at its end, and returns how to see it again.
fn finding(target: &Target, said: &str, log: &Path) -> anyhow::Error {
    let is_start = |line: &str| {
        ["panicked at", "ERROR: libFuzzer", "memory allocation of"].iter().any(|words| line.contains(words))
    };
    let lines: Vec<&str> = said.lines().collect();
    let start = lines.iter().position(|line| is_start(line)).unwrap_or(0);
    for line in lines[start..].iter().take(LINES_SHOWN) {
        eprintln!("{line}");
    }
    let input = lines.iter().find_map(|line| line.split_once("Test unit written to ").map(|(_, path)| path));
    let input = input.map(Path::new).map(|path| path.strip_prefix(process::root()).unwrap_or(path));
    let name = target.name;
    match input {
        Some(input) => anyhow::anyhow!(
            "fuzz target {name}: a finding (all it said: {}); again: cargo xtask fuzz {name} --replay {}",
            log.display(),
            input.display()
        ),
        None => anyhow::anyhow!("fuzz target {name} failed; see {}", log.display()),
    }
}
