//! `put`.

use crate::print::{Format, answer};
use crate::session::{Session, block_on};
use bytes::Bytes;
use proto::etcdserverpb as pb;
use std::io::Read;
use utl::cli::{Command, Failure, Flag, Invocation, print};
use utl::format::parse_int;

pub(crate) const COMMAND: Command = Command {
    name: "put",
    usage: "[options] <key> <value> (<value> can also be given from stdin)",
    about: "Stores a value under a key",
    details: "Stores a value under a key.

A value that begins with '-' looks like a flag; two dashes end the flags:

$ put <key> -- <value>
$ put -- <key> <value>

Without a value, and without '--ignore-value', everything on standard input is the value:

$ cat file | put <key>",
    flags: &[
        Flag::switch("ignore-lease", "keep the lease that the key has"),
        Flag::switch("ignore-value", "keep the value that the key has"),
        Flag::text("lease", "attach the key to the lease of this ID (in hexadecimal)").default("0"),
        Flag::switch("prev-kv", "show what the key held before"),
    ],
    run: Some(run),
    ..Command::EMPTY
};

const BAD_ARGUMENTS: &str = "put command needs 1 argument and input from stdin or 2 arguments";

fn run(invocation: &Invocation) -> Result<(), Failure> {
    let request = request(invocation, read_stdin)?;
    let session = Session::new(invocation, &Format::OF_KEYS)?;
    let mut client = session.client()?;
    let response = block_on(client.put(request))?.map_err(Failure::error)?;
    print(answer(&pb::response_op::Response::ResponsePut(response), session.style));
    Ok(())
}

fn read_stdin() -> Option<Vec<u8>> {
    let mut value = Vec::new();
    std::io::stdin().lock().read_to_end(&mut value).ok()?;
    (!value.is_empty()).then_some(value)
}

/// The request that flags and arguments describe; `stdin` gives the value when no argument does.
pub(crate) fn request(
    invocation: &Invocation,
    stdin: impl FnOnce() -> Option<Vec<u8>>,
) -> Result<pb::PutRequest, Failure> {
    let flags = &invocation.flags;
    let ignore_value = flags.bool("ignore-value");
    let mut args = invocation.args.iter().cloned();
    let key = args.next().ok_or_else(|| Failure::arguments(BAD_ARGUMENTS))?;
    let value = match args.next() {
        Some(_) if ignore_value => {
            return Err(Failure::arguments("put command needs only 1 argument when 'ignore-value' is set"));
        }
        Some(value) => value,
        None if ignore_value => Vec::new(),
        None => stdin().ok_or_else(|| Failure::arguments(BAD_ARGUMENTS))?,
    };
    let lease = parse_int(&flags.text("lease"), 16)
        .map_err(|error| Failure::arguments(format!("bad lease ID ({error}), expecting ID in Hex")))?;
    Ok(pb::PutRequest {
        key: Bytes::from(key),
        value: Bytes::from(value),
        lease,
        prev_kv: flags.bool("prev-kv"),
        ignore_value,
        ignore_lease: flags.bool("ignore-lease"),
    })
}
