//! `del`.

use crate::get::{check_prefix_or_from_key, range};
use crate::print::{Format, answer};
use crate::session::{Session, block_on};
use proto::etcdserverpb as pb;
use std::time::Duration;
use utl::cli::{Command, Failure, Flag, Invocation, print, warn};
use utl::format::quote;

pub(crate) const COMMAND: Command = Command {
    name: "del",
    usage: "[options] <key> [range_end]",
    about: "Deletes a key, or the keys of a range",
    flags: &[
        Flag::switch("from-key", "from the key on to the end, in byte order"),
        Flag::switch("prefix", "all keys that begin with the key"),
        Flag::switch("prev-kv", "show what was deleted"),
        Flag::switch("range", "delete a range without the pause"),
    ],
    run: Some(run),
    ..Command::EMPTY
};

/// Time to change one's mind about a range.
const PAUSE: Duration = Duration::from_secs(2);

fn run(invocation: &Invocation) -> Result<(), Failure> {
    let request = request(invocation)?;
    let session = Session::new(invocation, &Format::OF_KEYS)?;
    let mut client = session.client()?;
    let response = block_on(client.delete_range(request))?.map_err(Failure::error)?;
    print(answer(&pb::response_op::Response::ResponseDeleteRange(response), session.style));
    Ok(())
}

/// The request that flags and arguments describe. Waits before it returns a range that was not asked for by `--range`.
pub(crate) fn request(invocation: &Invocation) -> Result<pb::DeleteRangeRequest, Failure> {
    let flags = &invocation.flags;
    let args = &invocation.args;
    if args.is_empty() || args.len() > 2 {
        return Err(Failure::arguments(
            "del command needs one argument as key and an optional argument as range_end",
        ));
    }
    check_prefix_or_from_key(flags)?;
    let (key, range_end) = range(invocation)?;
    if let [start, end] = args.as_slice()
        && !flags.bool("range")
    {
        warn(format!(
            "Warning: Keys between {} and {} will be deleted. Please interrupt the command within next 2 seconds to \
             cancel. You can provide `--range` flag to avoid the delay.",
            quote(start),
            quote(end)
        ));
        std::thread::sleep(PAUSE);
    }
    Ok(pb::DeleteRangeRequest { key, range_end, prev_kv: flags.bool("prev-kv") })
}
