//! Starts the simulator, optimised and with all assertions.

use crate::process;
use anyhow::Context;

/// Runs the simulator with `arguments`. Where it fails it has said everything itself, its status becomes ours.
///
/// # Errors
/// When it cannot be started.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let mut command = process::cargo(&["run", "--quiet", "--profile=ci", "--package=sim", "--"]);
    let status = command.args(arguments).status().context("cannot start the simulator")?;
    if !status.success() {
        std::process::exit(status.code().unwrap_or(1));
    }
    Ok(())
}
