//! `version`.

use crate::cli::{Command, Failure, Invocation, print};
use types::ETCD_VERSION;

pub(crate) const COMMAND: Command =
    Command { name: "version", about: "Shows the version of etcdutl", run: Some(run), ..Command::EMPTY };

fn run(_: &Invocation) -> Result<(), Failure> {
    print(format!(
        "etcdutl version: {ETCD_VERSION}\nAPI version: {}.{}\n",
        ETCD_VERSION.major, ETCD_VERSION.minor
    ));
    Ok(())
}
