//! What `--help` and `--version` print, made from the table.

use std::fmt::Write as _;

use types::{ETCD_VERSION, OWN_VERSION};

use crate::flag::{Class, Flag, Section, Successor};
use crate::flags;
use crate::gates::{GATES, Stage};

/// What the program was built from, given by the program itself.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// Commit, shortened; `unknown` outside a repository.
    pub git_sha: &'static str,
    /// Compiler, e.g. `rustc 1.95.0`.
    pub compiler: &'static str,
}

impl Build {
    /// Operating system in Go's word, as etcd logs it.
    pub fn os(self) -> &'static str {
        match std::env::consts::OS {
            "macos" => "darwin",
            other => other,
        }
    }

    /// Processor in Go's word.
    pub fn arch(self) -> &'static str {
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "powerpc64" => "ppc64le",
            "riscv64" => "riscv64",
            other => other,
        }
    }
}

/// The text of `--version`: etcd's four lines, which scripts cut by their labels, and one of our own.
pub fn version_text(build: Build) -> String {
    format!(
        "etcd Version: {ETCD_VERSION}\nGit SHA: {}\nGo Version: {}\nGo OS/Arch: {}/{}\noxetcd Version: {OWN_VERSION}\n",
        build.git_sha,
        build.compiler,
        build.os(),
        build.arch(),
    )
}

/// The forms of the command line, for standard error: printed for `--help` and behind a line that says what is wrong.
pub const SHORT_USAGE: &str = "Usage:

  etcd [flags]
    Run a member.

  etcd --version
    Print the version.

  etcd -h | --help
    Print this and every flag.

  etcd --config-file
    Run a member from a file in YAML or JSON; all other flags and the environment then count for nothing.
    Spans of time are whole nanoseconds in the file.

  etcd gateway
    Forward TCP connections to the members of a cluster.

  etcd grpc-proxy
    Serve the API in front of a cluster.

";

/// Every flag, for standard output.
pub fn flags_text() -> String {
    let mut out = String::new();
    for section in Section::LISTED {
        let _ = writeln!(out, "\n{}:", section.title());
        for flag in flags::all().filter(|flag| flag.section == section) {
            push_flag(&mut out, flag);
        }
    }
    out.push_str("\nUnsafe flags give up guarantees of consensus: they can lose data or split a cluster.\n");
    out
}

fn push_flag(out: &mut String, flag: &Flag) {
    let default = flag.shown_default.unwrap_or(flag.default);
    // Writing to a string cannot fail.
    let _ = writeln!(out, "  --{} '{default}'", flag.name);
    let help = match flag.class {
        Class::Deprecated(Successor::Flag(name)) => format!("Use --{name}."),
        Class::Deprecated(Successor::Gate(name)) => format!("Use --feature-gates={name}=true|false."),
        Class::Deprecated(Successor::DebugLevel) => "Use --log-level=debug.".to_owned(),
        Class::NotYet => format!("{} (Accepted, without effect yet.)", flag.help),
        Class::Honoured | Class::Retired(_) | Class::Ignored => flag.help.to_owned(),
    };
    let _ = writeln!(out, "    {help}");
    if flag.name == "feature-gates" {
        for gate in GATES {
            let stage = if gate.stage == Stage::Alpha { "ALPHA" } else { "BETA" };
            let _ = writeln!(out, "    {}=true|false ({stage} - default={})", gate.name, gate.default());
        }
    }
}
