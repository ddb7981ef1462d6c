//! Which crate may depend on which, and what core may not touch (ARCHITECTURE.md, "the wall").

use super::Package;

/// Crates that decide and are deterministic, lowest first: a crate may depend only on those before it.
const CORE: &[&str] = &[
    "stdx",
    "types",
    "proto",
    "vfs",
    "raft",
    "wal",
    "snap",
    "bolt",
    "backend",
    "mvcc",
    "membership",
    "apply",
    "node",
    "api",
    "config",
];

/// Crates that touch the world and decide nothing; they stand on all of core.
const SHELL: &[&str] = &[
    "os", "log", "grpc", "client", "v3rpc", "etcdhttp", "embed", "utl", "ctl", "etcd", "etcdctl", "etcdutl",
];

/// Simulator, benchmark, tests and tasks; they stand on everything.
const TOP: &[&str] = &["sim", "bench", "interop", "raft-oracle", "xtask"];

/// Crates that bring clocks, threads, sockets or files with them, by the beginning of their names.
const NOT_IN_CORE: &[&str] = &[
    "anyhow",
    "async-std",
    "clap",
    "futures",
    "getrandom",
    "h2",
    "http",
    "hyper",
    "libc",
    "memmap",
    "mio",
    "nix",
    "rand",
    "rustix",
    "rustls",
    "socket2",
    "tikv-",
    "time",
    "tokio",
    "tonic",
    "tower",
    "tracing",
];

/// Adds a line to `breaches` for each dependency that points upwards or out of core.
pub(super) fn check(packages: &[Package], breaches: &mut Vec<String>) {
    for package in packages {
        let Some(own) = rank(&package.name) else {
            breaches.push(format!("{}: has no layer; add it to xtask/src/tidy/layers.rs", package.name));
            continue;
        };
        let is_core = CORE.contains(&package.name.as_str());
        let room = package.manifest_path.ancestors().nth(2).and_then(|directory| directory.file_name());
        if is_core != room.is_some_and(|name| name == "core") {
            breaches.push(format!("{}: is listed as core and not in core/, or the reverse", package.name));
        }
        for dependency in &package.dependencies {
            let edge = format!("{} -> {}", package.name, dependency.name);
            if dependency.path.is_none() {
                if is_core && NOT_IN_CORE.iter().any(|name| dependency.name.starts_with(name)) {
                    breaches.push(format!("{edge}: not in core"));
                }
                continue;
            }
            match rank(&dependency.name) {
                None => breaches.push(format!("{edge}: the latter has no layer")),
                Some(other) if other >= own && dependency.kind.as_deref() != Some("dev") => {
                    breaches.push(format!("{edge}: points upwards"));
                }
                Some(_) if is_core && !CORE.contains(&dependency.name.as_str()) => {
                    breaches.push(format!("{edge}: out of core"));
                }
                Some(_) => {}
            }
        }
    }
}

fn rank(name: &str) -> Option<usize> {
    CORE.iter().chain(SHELL).chain(TOP).position(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::Dependency;

    fn breaches(
        name: &str,
        directory: &str,
        dependency: &str,
        kind: Option<&str>,
        is_ours: bool,
    ) -> Vec<String> {
        let dependency = Dependency {
            name: dependency.to_owned(),
            kind: kind.map(str::to_owned),
            path: is_ours.then(|| "/somewhere".into()),
        };
        let package = Package {
            name: name.to_owned(),
            manifest_path: format!("/clone/{directory}/Cargo.toml").into(),
            dependencies: vec![dependency],
        };
        let mut found = Vec::new();
        check(&[package], &mut found);
        found
    }

    #[test]
    fn a_lower_layer_is_allowed_and_a_higher_one_is_not() {
        assert!(breaches("wal", "core/wal", "vfs", None, true).is_empty());
        assert_eq!(breaches("vfs", "core/vfs", "wal", None, true), ["vfs -> wal: points upwards"]);
        assert_eq!(breaches("os", "shell/os", "embed", Some("build"), true), ["os -> embed: points upwards"]);
    }

    #[test]
    fn core_stays_in_core_even_in_its_tests() {
        assert_eq!(breaches("wal", "core/wal", "os", Some("dev"), true), ["wal -> os: out of core"]);
        assert_eq!(
            breaches("wal", "core/wal", "tokio-util", Some("dev"), false),
            ["wal -> tokio-util: not in core"]
        );
        assert!(breaches("grpc", "shell/grpc", "tokio", None, false).is_empty());
    }

    #[test]
    fn a_crate_without_a_layer_is_named() {
        assert_eq!(
            breaches("novel", "core/novel", "stdx", None, true),
            ["novel: has no layer; add it to xtask/src/tidy/layers.rs"]
        );
    }
}
