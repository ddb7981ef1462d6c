//! `compaction`.

use crate::print::Format;
use crate::session::{Session, block_on};
use proto::etcdserverpb as pb;
use utl::cli::{Command, Failure, Flag, Invocation, print};
use utl::format::parse_int;

pub(crate) const COMMAND: Command = Command {
    name: "compaction",
    usage: "[options] <revision>",
    about: "Drops the history below a revision",
    flags: &[Flag::switch("physical", "wait until the history is gone from the disk")],
    run: Some(run),
    ..Command::EMPTY
};

fn run(invocation: &Invocation) -> Result<(), Failure> {
    if invocation.args.len() != 1 {
        return Err(Failure::arguments("compaction command needs 1 argument"));
    }
    let text = invocation.text(0).unwrap_or_default();
    let revision = parse_int(&text, 10).map_err(Failure::error)?;
    let session = Session::new(invocation, &Format::ALL)?;
    let request = pb::CompactionRequest { revision, physical: invocation.flags.bool("physical") };
    let mut client = session.client()?;
    block_on(client.compact(request))?.map_err(Failure::error)?;
    print(format!("compacted revision {revision}\n"));
    Ok(())
}
