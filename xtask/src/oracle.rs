//! Compares our consensus with Go's raft library: `tests/raft-oracle`.

use crate::{process, tools};

/// Scripts in continuous integration: more than a million steps together.
const CI_SCRIPTS: &str = "60";
/// Steps of each.
const CI_STEPS: &str = "20000";

/// Builds both sides and runs the scripts that `arguments` ask for.
///
/// # Errors
/// When a build fails, or the two differ.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let Some(program) = tools::oracle()? else { return Ok(()) };
    let mut command = process::cargo(&["run", "--quiet", "--profile=ci", "--package=raft-oracle", "--"]);
    process::run(command.arg("--program").arg(program).args(arguments))
}

/// The short run of continuous integration.
///
/// # Errors
/// As [`run`].
pub fn ci() -> anyhow::Result<()> {
    run(&["--scripts", CI_SCRIPTS, "--steps", CI_STEPS].map(String::from))
}
