//! Every command of the original, and the global flags.

use crate::cli::{Arguments, Command, Failure, Flag, Invocation, Program};
use crate::{hashkv, status, version};

/// `etcdutl`.
pub(crate) static PROGRAM: Program =
    Program { root: &ROOT, has_titles: false, hides_global_flags: false, groups: &[], footer: "" };

static ROOT: Command = Command {
    name: "etcdutl",
    about: "Works on the files of a stopped member.",
    shared_flags: &[
        Flag::duration("timeout", "10s", "wait so long for the lock of a database file (0: for ever)"),
        Flag::text("write-out", "output format (fields, json, protobuf, simple, table)")
            .default("simple")
            .short('w'),
    ],
    commands: &[
        Command { is_hidden: true, ..missing("backup", "", "Copied data of the API v2") },
        Command {
            arguments: Arguments::OneOf(&["bash", "zsh", "fish", "powershell"]),
            ..missing(
                "completion",
                "[bash|zsh|fish|powershell]",
                "Writes a script that completes commands in a shell",
            )
        },
        Command {
            flags: &[Flag::text("data-dir", "the data directory, not in use")],
            required: &["data-dir"],
            ..missing("defrag", "", "Gives back unused space of a database file")
        },
        hashkv::COMMAND,
        Command::help(""),
        Command {
            flags: &[
                Flag::text("data-dir", "the data directory, not in use"),
                Flag::switch("force", "set the version although it does not fit (not recommended)"),
                Flag::text("target-version", "the version to migrate to, X.Y, from 3.5 on"),
            ],
            required: &["data-dir", "target-version"],
            ..missing("migrate", "", "Fits the files of a data directory to another version")
        },
        Command {
            name: "snapshot",
            about: "Works on snapshot files",
            commands: &[
                Command {
                    flags: RESTORE_FLAGS,
                    ..missing(
                        "restore",
                        "<filename> --data-dir {output dir} [options]",
                        "Makes the data directory of a member from a snapshot file",
                    )
                },
                status::COMMAND,
            ],
            ..Command::EMPTY
        },
        version::COMMAND,
    ],
    ..Command::EMPTY
};

const RESTORE_FLAGS: &[Flag] = &[
    Flag::uint("bump-revision", "add so many revisions"),
    Flag::text("data-dir", "the directory to make"),
    Flag::text("initial-advertise-peer-urls", "peer URLs of this member").default("http://localhost:2380"),
    Flag::text("initial-cluster", "the members of the new cluster").default("default=http://localhost:2380"),
    Flag::text("initial-cluster-token", "the token of the new cluster").default("etcd-cluster"),
    Flag::uint("initial-memory-map-size", "has no effect").default("10737418240"),
    Flag::switch("mark-compacted", "compact at the bumped revision"),
    Flag::text("name", "name of this member").default("default"),
    Flag::switch("skip-hash-check", "do not verify the checksum of the file"),
    Flag::text("wal-dir", "the directory of the log (default: in the data directory)"),
];

/// A command that does not work yet.
const fn missing(name: &'static str, usage: &'static str, about: &'static str) -> Command {
    Command { name, usage, about, run: Some(not_implemented), ..Command::EMPTY }
}

fn not_implemented(invocation: &Invocation) -> Result<(), Failure> {
    Err(Failure::not_implemented(&invocation.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Resolved, resolve, validate};

    #[test]
    fn the_table_is_consistent() {
        validate(&PROGRAM);
    }

    #[test]
    fn usage_and_required_flags() {
        let resolved =
            |line: &str| resolve(&PROGRAM, line.split(' ').map(|word| word.as_bytes().to_vec()).collect());
        let Resolved::Refused { text, code: 1 } = resolved("migrate --force") else { panic!("not refused") };
        assert!(
            text.starts_with("Error: required flag(s) \"data-dir\", \"target-version\" not set\nUsage:\n")
        );
        assert!(text.contains("\n\nGlobal Flags:\n      --timeout duration   wait so long"));
        assert!(matches!(resolved("snap stat f"), Resolved::Run { .. }));
        assert!(matches!(resolved("snapshot bogus"), Resolved::Help(_)));
    }
}
