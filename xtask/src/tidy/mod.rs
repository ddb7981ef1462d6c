//! Rules that neither the compiler nor Clippy knows: see [`layers`] and [`sources`].

mod layers;
mod sources;

use crate::process;
use anyhow::{Context, bail};
use serde::Deserialize;
use std::path::PathBuf;

/// One member of the workspace, as `cargo metadata` tells it.
#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for an ordinary one, else `dev` or `build`.
    kind: Option<String>,
    /// Set when the dependency is a directory of ours.
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// Checks everything and prints each breach on a line of its own.
///
/// # Errors
/// When there is at least one.
pub fn run() -> anyhow::Result<()> {
    let text =
        process::output(&mut process::cargo(&["metadata", "--format-version=1", "--no-deps", "--offline"]))?;
    let metadata: Metadata =
        serde_json::from_str(&text).context("cannot read the output of cargo metadata")?;
    let mut breaches = Vec::new();
    layers::check(&metadata.packages, &mut breaches);
    for package in &metadata.packages {
        let manifest = std::fs::read_to_string(&package.manifest_path)?;
        if !manifest.contains("[lints]\nworkspace = true") {
            breaches.push(format!("{}: does not take the workspace's lints", package.name));
        }
    }
    sources::check(&process::root(), &mut breaches)?;
    for breach in &breaches {
        eprintln!("tidy: {breach}");
    }
    if !breaches.is_empty() {
        bail!("{} breaches of the project's rules (CONTRIBUTING.md)", breaches.len());
    }
    Ok(())
}
