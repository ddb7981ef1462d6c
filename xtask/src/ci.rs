//! Every check and test of the project, in the order in which a mistake is cheapest to find.

use crate::{advisories, codegen, fuzz, interop, oracle, process, tidy};
use anyhow::{Context, bail};
use std::time::Instant;

/// A part of the run. `name` is what `--only` takes.
struct Step {
    name: &'static str,
    run: fn() -> anyhow::Result<()>,
}

const STEPS: &[Step] = &[
    Step { name: "fmt", run: || cargo(&["fmt", "--all", "--check"]) },
    Step { name: "tidy", run: tidy::run },
    Step { name: "advisories", run: advisories::run },
    Step { name: "codegen", run: codegen::check },
    Step {
        name: "clippy",
        run: || cargo(&["clippy", "--profile=ci", "--workspace", "--all-targets", "--", "-Dwarnings"]),
    },
    Step { name: "test", run: || cargo(&["test", "--profile=ci", "--workspace", "--exclude=interop"]) },
    Step { name: "doc", run: doc },
    Step { name: "oracle", run: oracle::ci },
    Step { name: "interop", run: || interop::run(None) },
    Step { name: "fuzz", run: fuzz::ci },
    Step { name: "build", run: build },
];

/// Runs all steps, or the one that `only` names, and prints the seconds each took.
///
/// # Errors
/// The first step that fails; the ones after it are not run.
pub fn run(only: Option<&str>) -> anyhow::Result<()> {
    let steps: Vec<&Step> = STEPS.iter().filter(|step| only.is_none_or(|name| name == step.name)).collect();
    if steps.is_empty() {
        let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        bail!("no step {:?}; steps: {}", only.unwrap_or_default(), names.join(", "));
    }
    let start = Instant::now();
    for step in steps {
        eprintln!("ci: {} ...", step.name);
        let step_start = Instant::now();
        (step.run)().with_context(|| format!("ci step {} (again: cargo xtask ci --only {0})", step.name))?;
        eprintln!("ci: {} passed in {} s", step.name, step_start.elapsed().as_secs());
    }
    eprintln!("ci: passed in {} s", start.elapsed().as_secs());
    Ok(())
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    process::run(&mut process::cargo(arguments))
}

fn doc() -> anyhow::Result<()> {
    let mut command = process::cargo(&["doc", "--profile=ci", "--workspace", "--no-deps"]);
    process::run(command.env("RUSTDOCFLAGS", "-Dwarnings"))
}

/// The first command of the README, into a directory of its own.
fn build() -> anyhow::Result<()> {
    let mut command = std::process::Command::new(process::root().join("build"));
    process::run(command.current_dir(process::root()).env("BINDIR", process::root().join("target/ci-bin")))
}
