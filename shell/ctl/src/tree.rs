//! Every command of the original, and the global flags.

use crate::{compaction, del, endpoint, get, member, put, txn, version};
use std::time::Duration;
use utl::cli::{Arguments, Command, Failure, Flag, Invocation, Kind, Program, options, print, warn};

/// `etcdctl`.
pub(crate) static PROGRAM: Program = Program {
    root: &ROOT,
    has_titles: true,
    hides_global_flags: true,
    groups: &[KEYS, CLUSTER, CONCURRENCY, AUTHENTICATION, UTILITY],
    footer: "Use \"etcdctl options\" for a list of global command-line options (applies to all commands).",
};

const KEYS: &str = "Key-value commands";
const CLUSTER: &str = "Cluster maintenance commands";
const CONCURRENCY: &str = "Concurrency commands";
const AUTHENTICATION: &str = "Authentication commands";
const UTILITY: &str = "Utility commands";

static ROOT: Command = Command {
    name: "etcdctl",
    about: "The command line of an etcd cluster.",
    shared_flags: GLOBAL_FLAGS,
    commands: &[
        ALARM,
        AUTH,
        CHECK,
        Command { group: KEYS, ..compaction::COMMAND },
        COMPLETION,
        Command {
            flags: &[
                Flag::switch("cluster", "defragment all client URLs of the member list"),
                Flag::text("data-dir", "defragment this directory, not in use (like etcdutl defrag)"),
            ],
            group: CLUSTER,
            ..missing("defrag", "", "Gives back unused space of each endpoint")
        },
        Command { group: KEYS, ..del::COMMAND },
        DOWNGRADE,
        Command {
            flags: &[Flag::switch("listen", "only watch who leads").short('l')],
            group: CONCURRENCY,
            ..missing("elect", "<election-name> [proposal]", "Takes part in the election of a leader")
        },
        Command {
            name: "endpoint",
            about: "Status, health and hash of endpoints; see `etcdctl endpoint --help`",
            group: CLUSTER,
            shared_flags: endpoint::FLAGS,
            commands: endpoint::COMMANDS,
            ..Command::EMPTY
        },
        Command { group: KEYS, ..get::COMMAND },
        Command::help(UTILITY),
        LEASE,
        Command {
            flags: &[Flag::int("ttl", "seconds until the lock of a dead holder is given up").default("10")],
            group: CONCURRENCY,
            ..missing("lock", "<lockname> [exec-command arg1 arg2 ...]", "Holds a lock")
        },
        MAKE_MIRROR,
        MEMBER,
        MIGRATE,
        Command {
            group: CLUSTER,
            ..missing("move-leader", "<transferee-member-id>", "Makes another member the leader")
        },
        Command {
            name: "options",
            about: "Shows the global flags",
            group: UTILITY,
            run: Some(show_options),
            ..Command::EMPTY
        },
        Command { group: KEYS, ..put::COMMAND },
        ROLE,
        SNAPSHOT,
        Command { group: KEYS, ..txn::COMMAND },
        USER,
        Command { group: UTILITY, ..version::COMMAND },
        WATCH,
    ],
    ..Command::EMPTY
};

const GLOBAL_FLAGS: &[Flag] = &[
    Flag::text("auth-jwt-token", "authenticate by this JWT token, without --user and --password"),
    Flag::text("cacert", "verify servers by the certificates of this file"),
    Flag::text("cert", "show servers the certificate of this file"),
    Flag::duration("command-timeout", "5s", "bound of a short command"),
    Flag::switch("debug", "show what the client does"),
    Flag::duration("dial-timeout", "2s", "bound of an attempt to connect"),
    Flag::text("discovery-srv", "find endpoints by the SRV records of this domain").short('d'),
    Flag::text("discovery-srv-name", "suffix of the service's name in those records"),
    Flag { kind: Kind::List, ..Flag::text("endpoints", "addresses of members").default("127.0.0.1:2379") },
    Flag::switch("hex", "show keys and values in hexadecimal"),
    Flag::switch("insecure-discovery", "take SRV records of plain-text endpoints").default("true"),
    Flag::switch("insecure-skip-tls-verify", "do not verify the certificates of servers (for tests only)"),
    Flag::switch("insecure-transport", "connect in plain text").default("true"),
    Flag::duration("keepalive-time", "2s", "time between pings on a connection"),
    Flag::duration("keepalive-timeout", "6s", "bound of the answer to a ping"),
    Flag::text("key", "the key of the certificate --cert"),
    Flag::int("max-recv-bytes", "largest answer taken (0: 2147483647)"),
    Flag::int("max-request-bytes", "largest request sent (0: 2097152)"),
    Flag::text("password", "the password of --user, which then is the name alone"),
    Flag::text("user", "authenticate as username[:password] (asks for the password if it is missing)"),
    Flag::text("write-out", "output format (fields, json, protobuf, simple, table)")
        .default("simple")
        .short('w'),
];

fn show_options(_: &Invocation) -> Result<(), Failure> {
    print(format!("The following options can be passed to any command:\n\n{}", options(&PROGRAM)));
    Ok(())
}

/// A command that does not work yet.
const fn missing(name: &'static str, usage: &'static str, about: &'static str) -> Command {
    Command { name, usage, about, run: Some(not_implemented), ..Command::EMPTY }
}

fn not_implemented(invocation: &Invocation) -> Result<(), Failure> {
    Err(Failure::not_implemented(&invocation.name()))
}

const ALARM: Command = Command {
    name: "alarm",
    about: "Alarms; see `etcdctl alarm --help`",
    group: CLUSTER,
    commands: &[missing("disarm", "", "Disarms all alarms"), missing("list", "", "Shows all alarms")],
    ..Command::EMPTY
};

const AUTH: Command = Command {
    name: "auth",
    about: "Switches authentication; see `etcdctl auth --help`",
    group: AUTHENTICATION,
    commands: &[
        missing("disable", "", "Switches authentication off"),
        missing("enable", "", "Switches authentication on"),
        missing("status", "", "Tells whether authentication is on"),
    ],
    ..Command::EMPTY
};

const CHECK: Command = Command {
    name: "check",
    about: "Measures a cluster; see `etcdctl check --help`",
    group: UTILITY,
    commands: &[
        Command {
            flags: &[
                Flag::switch("auto-compact", "compact when the test has ended"),
                Flag::switch("auto-defrag", "defragment when the test has ended"),
                Flag::text("load", "amount of data: s(small), m(medium), l(large), xl(xLarge)").default("s"),
                Flag::text("prefix", "begin of the keys that are written")
                    .default("/etcdctl-check-datascale/"),
            ],
            ..missing("datascale", "[options]", "Measures the memory that an amount of data takes")
        },
        Command {
            flags: &[
                Flag::switch("auto-compact", "compact when the test has ended"),
                Flag::switch("auto-defrag", "defragment when the test has ended"),
                Flag::text("load", "clients and throughput: s(small), m(medium), l(large), xl(xLarge)")
                    .default("s"),
                Flag::text("prefix", "begin of the keys that are written").default("/etcdctl-check-perf/"),
            ],
            ..missing("perf", "[options]", "Measures how fast writes are")
        },
    ],
    ..Command::EMPTY
};

const COMPLETION: Command = Command {
    arguments: Arguments::OneOf(&["bash", "zsh", "fish", "powershell"]),
    group: UTILITY,
    ..missing(
        "completion",
        "[bash|zsh|fish|powershell]",
        "Writes a script that completes commands in a shell",
    )
};

const DOWNGRADE: Command = Command {
    name: "downgrade",
    about: "Downgrade of the cluster; see `etcdctl downgrade --help`",
    group: CLUSTER,
    commands: &[
        missing("cancel", "", "Calls the downgrade off"),
        missing("enable", "<TARGET_VERSION>", "Begins a downgrade"),
        missing("validate", "<TARGET_VERSION>", "Tells whether a downgrade is possible"),
    ],
    ..Command::EMPTY
};

const LEASE: Command = Command {
    name: "lease",
    about: "Leases; see `etcdctl lease --help`",
    group: KEYS,
    commands: &[
        missing("grant", "<ttl>", "Creates a lease"),
        Command {
            flags: &[Flag::switch("once", "renew once only")],
            ..missing("keep-alive", "[options] <leaseID>", "Renews a lease again and again")
        },
        missing("list", "", "Shows all leases"),
        missing("revoke", "<leaseID>", "Ends a lease"),
        Command {
            flags: &[Flag::switch("keys", "show the keys attached")],
            ..missing("timetolive", "<leaseID> [options]", "Shows how long a lease still lives")
        },
    ],
    ..Command::EMPTY
};

const MAKE_MIRROR: Command = Command {
    flags: &[
        Flag::text("dest-cacert", "verify the destination by the certificates of this file"),
        Flag::text("dest-cert", "show the destination the certificate of this file"),
        Flag::switch("dest-insecure-transport", "connect to the destination in plain text").default("true"),
        Flag::text("dest-key", "the key of the certificate --dest-cert"),
        Flag::text("dest-password", "the password of --dest-user"),
        Flag::text("dest-prefix", "put this prefix in place of --prefix"),
        Flag::text("dest-user", "authenticate at the destination as username[:password]"),
        Flag::uint("max-txn-ops", "changes in one transaction").default("128"),
        Flag::switch("no-dest-prefix", "take --prefix off"),
        Flag::text("prefix", "mirror keys that begin with this"),
        Flag::int("rev", "mirror from this revision on"),
    ],
    group: UTILITY,
    ..missing(
        "make-mirror",
        "[options] <destination>",
        "Copies the keys to another cluster, and all changes to them",
    )
};

const MEMBER: Command = Command {
    name: "member",
    about: "Members of the cluster; see `etcdctl member --help`",
    group: CLUSTER,
    commands: &[
        Command {
            flags: &[
                Flag::switch("learner", "add it without a vote"),
                Flag::text("peer-urls", "its peer URLs, separated by commas"),
            ],
            ..missing("add", "<memberName> [options]", "Adds a member")
        },
        member::LIST,
        missing("promote", "<memberID>", "Gives a learner a vote"),
        missing("remove", "<memberID>", "Removes a member"),
        Command {
            flags: &[Flag::text("peer-urls", "its new peer URLs, separated by commas")],
            ..missing("update", "<memberID> [options]", "Changes the peer URLs of a member")
        },
    ],
    ..Command::EMPTY
};

/// Gone since 3.5: it moved keys of the second API to the third.
const MIGRATE: Command = Command {
    flags: &[
        Flag::text("data-dir", "the data directory"),
        Flag::switch("no-ttl", "leave keys with a time to live out"),
        Flag::text("transformer", "a program that transforms keys"),
        Flag::text("wal-dir", "the directory of the log"),
    ],
    group: UTILITY,
    is_hidden: true,
    run: Some(migrate),
    ..missing("migrate", "", "Moved keys of the API v2 to the API v3")
};

fn migrate(_: &Invocation) -> Result<(), Failure> {
    Err(Failure::error(
        "migrate moved keys of the API v2, which is gone; to change the storage version of a directory use `etcdutl migrate`",
    ))
}

const ROLE: Command = Command {
    name: "role",
    about: "Roles; see `etcdctl role --help`",
    group: AUTHENTICATION,
    commands: &[
        missing("add", "<role name>", "Adds a role"),
        missing("delete", "<role name>", "Deletes a role"),
        missing("get", "<role name>", "Shows what a role permits"),
        Command {
            flags: &[
                Flag::switch("from-key", "from the key on to the end, in byte order"),
                Flag::switch("prefix", "all keys that begin with the key"),
            ],
            ..missing(
                "grant-permission",
                "[options] <role name> <permission type> <key> [endkey]",
                "Permits a role to use keys",
            )
        },
        missing("list", "", "Shows all roles"),
        Command {
            flags: &[
                Flag::switch("from-key", "from the key on to the end, in byte order"),
                Flag::switch("prefix", "all keys that begin with the key"),
            ],
            ..missing("revoke-permission", "<role name> <key> [endkey]", "Takes a permission from a role")
        },
    ],
    ..Command::EMPTY
};

const SNAPSHOT: Command = Command {
    name: "snapshot",
    about: "Copies of the database of a member",
    group: CLUSTER,
    commands: &[
        Command {
            flags: RESTORE_FLAGS,
            is_hidden: true,
            ..missing(
                "restore",
                "<filename> [options]",
                "Makes a data directory from a snapshot (like etcdutl)",
            )
        },
        missing("save", "<filename>", "Saves a snapshot of a member to a file"),
        Command {
            is_hidden: true,
            run: Some(snapshot_status),
            ..missing("status", "<filename>", "Shows what a snapshot holds (like etcdutl)")
        },
    ],
    ..Command::EMPTY
};

/// Moved to etcdutl with 3.6; scripts and books still call it here.
fn snapshot_status(invocation: &Invocation) -> Result<(), Failure> {
    warn("Deprecated: Use `etcdutl snapshot status` instead.\n");
    utl::snapshot_status(invocation, SNAPSHOT_LOCK_TIMEOUT)
}

/// How long to wait for a program that has the file open.
const SNAPSHOT_LOCK_TIMEOUT: Duration = Duration::from_secs(10);

const RESTORE_FLAGS: &[Flag] = &[
    Flag::uint("bump-revision", "add so many revisions"),
    Flag::text("data-dir", "the directory to make"),
    Flag::text("initial-advertise-peer-urls", "peer URLs of this member").default("http://localhost:2380"),
    Flag::text("initial-cluster", "the members of the new cluster").default("default=http://localhost:2380"),
    Flag::text("initial-cluster-token", "the token of the new cluster").default("etcd-cluster"),
    Flag::uint("initial-memory-map-size", "has no effect"),
    Flag::switch("mark-compacted", "compact at the bumped revision"),
    Flag::text("name", "name of this member").default("default"),
    Flag::switch("skip-hash-check", "do not verify the checksum of the file"),
    Flag::text("wal-dir", "the directory of the log"),
];

const USER: Command = Command {
    name: "user",
    about: "Users; see `etcdctl user --help`",
    group: AUTHENTICATION,
    commands: &[
        Command {
            flags: &[
                Flag::switch("interactive", "ask for the password on the terminal").default("true"),
                Flag::text("new-user-password", "the password"),
                Flag::switch("no-password", "a user without password, known by certificate only"),
            ],
            ..missing("add", "<user name or user:password> [options]", "Adds a user")
        },
        missing("delete", "<user name>", "Deletes a user"),
        Command {
            flags: &[Flag::switch("detail", "show what the roles of the user permit")],
            ..missing("get", "<user name> [options]", "Shows the roles of a user")
        },
        missing("grant-role", "<user name> <role name>", "Gives a role to a user"),
        missing("list", "", "Shows all users"),
        Command {
            flags: &[Flag::switch("interactive", "ask for the password on the terminal").default("true")],
            ..missing("passwd", "<user name> [options]", "Changes the password of a user")
        },
        missing("revoke-role", "<user name> <role name>", "Takes a role from a user"),
    ],
    ..Command::EMPTY
};

const WATCH: Command = Command {
    flags: &[
        Flag::switch("interactive", "read what to watch from standard input").short('i'),
        Flag::switch("prefix", "all keys that begin with the key"),
        Flag::switch("prev-kv", "show what a key held before"),
        Flag::switch("progress-notify", "ask for a sign of life when nothing happens"),
        Flag::int("rev", "watch from this revision on"),
    ],
    group: KEYS,
    ..missing(
        "watch",
        "[options] [key or prefix] [range_end] [--] [exec-command arg1 arg2 ...]",
        "Shows changes of keys as they happen",
    )
};

#[cfg(test)]
mod tests {
    use super::*;
    use utl::cli::{Resolved, help, resolve, validate};

    fn resolved(line: &str) -> Resolved {
        resolve(&PROGRAM, line.split(' ').map(|word| word.as_bytes().to_vec()).collect())
    }

    fn name_of(line: &str) -> String {
        match resolved(line) {
            Resolved::Run { invocation, .. } => invocation.name(),
            other => panic!("{line} gives {other:?}"),
        }
    }

    #[test]
    fn the_table_is_consistent() {
        validate(&PROGRAM);
    }

    #[test]
    fn commands_may_be_shortened_and_flags_stand_anywhere() {
        for (line, name) in [
            ("endpoint healt", "etcdctl endpoint health"),
            ("--endpoints a:1 -w json mem list", "etcdctl member list"),
            ("ver", "etcdctl version"),
            ("snap stat f", "etcdctl snapshot status"),
            ("snap s f", "etcdctl snapshot save"),
            ("compact 3", "etcdctl compaction"),
            ("member --hex list -w table", "etcdctl member list"),
            ("auth disable --user=root:root", "etcdctl auth disable"),
        ] {
            assert_eq!(name_of(line), name, "{line}");
        }
    }

    #[test]
    fn a_doubled_group_is_remarked_on_and_run() {
        let Resolved::Run { invocation, notes } = resolved("lease lease revoke 1f") else {
            panic!("runs nothing")
        };
        assert_eq!(invocation.name(), "etcdctl lease revoke");
        assert_eq!(notes.len(), 1);
        assert_eq!(invocation.args, [b"1f"]);
    }

    #[test]
    fn groups_show_help() {
        for line in ["lease", "lease bogus", "snapshot", "put -h", "help put", "endpoint --cluster"] {
            assert!(matches!(resolved(line), Resolved::Help(_)), "{line}");
        }
    }

    #[test]
    fn the_help_of_a_command_has_the_shape_of_the_original() {
        let Resolved::Help(text) = resolved("compaction --help") else { panic!("no help") };
        assert_eq!(
            text,
            "\
Drops the history below a revision

Usage:
  etcdctl compaction [options] <revision> [flags]

Flags:
  -h, --help       help for compaction
      --physical   wait until the history is gone from the disk
Use \"etcdctl options\" for a list of global command-line options (applies to all commands).
"
        );
        let root = help(&PROGRAM, &[PROGRAM.root]);
        assert!(root.contains("\n\nConcurrency commands\n  elect       Takes part"));
        assert!(!root.contains("migrate") && !root.contains("Flags:"));
    }

    #[test]
    fn refusals_are_worded_as_in_the_original() {
        for (line, first, is_with_usage) in [
            (
                "gett",
                "Error: unknown command \"gett\" for \"etcdctl\"\n\nDid you mean this?\n\tget\n\nRun",
                false,
            ),
            (
                "xyz",
                "Error: unknown command \"xyz\" for \"etcdctl\"\nRun 'etcdctl --help' for usage.\n",
                false,
            ),
            (
                "get --bogus",
                "Error: unknown flag: --bogus\nUsage:\n  etcdctl get [options] <key> [range_end] [flags]\n",
                true,
            ),
            ("get -zw", "Error: unknown shorthand flag: 'z' in -zw\nUsage:\n", true),
            ("put -w", "Error: flag needs an argument: 'w' in -w\nUsage:\n", true),
            ("--=x", "Error: bad flag syntax: --=x\nUsage:\n  etcdctl [command]\n", true),
            (
                "-w json --command-timeout abc get a",
                "Error: invalid argument \"abc\" for \"--command-timeout\" flag: time: invalid duration \"abc\"\nUsage:\n",
                true,
            ),
            ("completion", "Error: accepts 1 arg(s), received 0\nUsage:\n  etcdctl completion [bash|", true),
            ("completion foo", "Error: invalid argument \"foo\" for \"etcdctl completion\"\nUsage:\n", true),
        ] {
            let Resolved::Refused { text, code } = resolved(line) else { panic!("{line} is not refused") };
            assert_eq!(code, 1);
            assert!(text.starts_with(first), "{line}: {text}");
            assert_eq!(text.ends_with("\n\n"), is_with_usage, "{line}: {text}");
        }
    }
}
