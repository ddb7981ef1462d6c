//! `version`, and the flag `--version`, which only this program has.

use types::{ETCD_VERSION, OWN_VERSION};
use utl::cli::{Command, Failure, Invocation, print};

pub(crate) const COMMAND: Command =
    Command { name: "version", about: "Shows the version of etcdctl", run: Some(run), ..Command::EMPTY };

fn run(_: &Invocation) -> Result<(), Failure> {
    print(text());
    Ok(())
}

/// The same and the version of the program itself.
pub(crate) fn print_all() {
    print(format!("{}oxetcd version: {OWN_VERSION}\n", text()));
}

fn text() -> String {
    format!("etcdctl version: {ETCD_VERSION}\nAPI version: {}.{}\n", ETCD_VERSION.major, ETCD_VERSION.minor)
}
