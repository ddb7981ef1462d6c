//! `txn`: comparisons and requests read from standard input.

mod compare;
mod words;

use crate::print::{Format, answer};
use crate::session::{Session, block_on};
use crate::{del, get, put};
use client::Client;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::request_op::Request;
use std::io::BufRead;
use utl::cli::{Command, Failure, Flag, Invocation, Program, Resolved, print, resolve, warn};

pub(crate) const COMMAND: Command = Command {
    name: "txn",
    usage: "[options]",
    about: "Runs requests in one transaction, read from standard input",
    details: "Runs requests in one transaction, read from standard input: comparisons, then the requests to run if all of
them hold, then the requests to run if not; an empty line ends each of the three.

etcdctl txn -i
# compares:
mod(\"key1\") > \"0\"

# success requests (get, put, del):
put key1 \"overwrote-key1\"

# failure requests (get, put, del):
put key1 \"created-key1\"
put key2 \"some extra key\"

Comparisons are of the form TARGET(\"key\") OPERATOR \"value\". A TARGET is one of version, create, mod, value, lease
(or ver, c, m, val); an OPERATOR is one of = != > <.",
    flags: &[Flag::switch("interactive", "say what is to be typed").short('i')],
    run: Some(run),
    ..Command::EMPTY
};

/// What a line of requests may be: the commands themselves, flags and all.
static REQUESTS: Program = Program {
    root: &Command { commands: &[del::COMMAND, get::COMMAND, put::COMMAND], ..Command::EMPTY },
    has_titles: false,
    hides_global_flags: true,
    groups: &[],
    footer: "",
};

fn run(invocation: &Invocation) -> Result<(), Failure> {
    if !invocation.args.is_empty() {
        return Err(Failure::arguments("txn command does not accept argument"));
    }
    let mut session = Session::new(invocation, &Format::OF_KEYS)?;
    // A transaction may be typed slowly and run for long: it has no time limit.
    session.config.call_timeout = None;
    let mut client: Client = session.client()?;
    let prompt = |text: &str| {
        if invocation.flags.bool("interactive") {
            print(format!("{text}\n"));
        }
    };
    let mut input = std::io::stdin().lock();
    prompt("compares:");
    let compare = read_block(&mut input, compare::parse)?;
    prompt("success requests (get, put, del):");
    let success = read_block(&mut input, parse_request)?;
    prompt("failure requests (get, put, del):");
    let failure = read_block(&mut input, parse_request)?;
    let request = pb::TxnRequest { compare, success, failure };
    let response = block_on(client.txn(request))?.map_err(Failure::error)?;
    print(answer(&pb::response_op::Response::ResponseTxn(response), session.style));
    Ok(())
}

/// Reads lines up to an empty one.
fn read_block<T>(
    input: &mut impl BufRead,
    parse: impl Fn(&str) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut items = Vec::new();
    loop {
        let mut line = Vec::new();
        input.read_until(b'\n', &mut line).map_err(Failure::input)?;
        if line.last() != Some(&b'\n') {
            return Err(Failure::input("EOF"));
        }
        let line = String::from_utf8_lossy(&line);
        match line.trim() {
            "" => return Ok(items),
            line => items.push(parse(line)?),
        }
    }
}

fn parse_request(line: &str) -> Result<pb::RequestOp, Failure> {
    let words = words::split(line).ok_or_else(|| Failure::input("invalid syntax"))?;
    if words.len() < 2 {
        return Err(Failure::input(format!("invalid txn compare request: {line}")));
    }
    let invalid = || Failure::input(format!("invalid txn request: {line}"));
    let invocation = match resolve(&REQUESTS, words) {
        Resolved::Run { invocation, .. } => invocation,
        Resolved::Refused { text, .. } => {
            // The reason stands in the first line; the usage behind it is shown.
            if let Some((_, usage)) = text.split_once('\n')
                && usage.starts_with("Usage:")
            {
                warn(usage.strip_suffix('\n').unwrap_or(usage));
            }
            return Err(invalid());
        }
        Resolved::Help(_) => return Err(invalid()),
    };
    let request = match invocation.command().name {
        "put" => Request::RequestPut(put::request(&invocation, || None)?),
        "get" => Request::RequestRange(get::request(&invocation)?),
        _ => Request::RequestDeleteRange(del::request(&invocation)?),
    };
    Ok(pb::RequestOp { request: Some(request) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure_of(line: &str) -> (u8, String) {
        let failure = parse_request(line).unwrap_err();
        (failure.code, failure.message)
    }

    #[test]
    fn requests_are_commands_with_their_flags() {
        let request = parse_request("put \"a b\" 'c \"d' --lease=1f --prev-kv").unwrap().request.unwrap();
        let Request::RequestPut(put) = request else { panic!("expected a put") };
        assert_eq!(
            (&put.key[..], &put.value[..], put.lease, put.prev_kv),
            (&b"a b"[..], &b"c \"d"[..], 0x1f, true)
        );
        let request = parse_request("get a --prefix --limit 3").unwrap().request.unwrap();
        let Request::RequestRange(get) = request else { panic!("expected a get") };
        assert_eq!((&get.key[..], &get.range_end[..], get.limit), (&b"a"[..], &b"b"[..], 3));
    }

    #[test]
    fn malformed_requests_end_as_in_the_reference() {
        assert_eq!(failure_of("put"), (3, "invalid txn compare request: put".to_owned()));
        assert_eq!(failure_of("foo bar"), (3, "invalid txn request: foo bar".to_owned()));
        assert_eq!(failure_of("get a --bogus"), (3, "invalid txn request: get a --bogus".to_owned()));
        assert_eq!(failure_of("put a").0, 128);
    }

    #[test]
    fn a_block_ends_with_an_empty_line_and_not_before() {
        let mut input = &b"  get a  \n \nrest"[..];
        assert_eq!(read_block(&mut input, parse_request).unwrap().len(), 1);
        assert_eq!(input, b"rest");
        assert_eq!(read_block(&mut &b"get a"[..], parse_request).unwrap_err(), Failure::input("EOF"));
        assert_eq!(read_block(&mut &b"get a\n"[..], parse_request).unwrap_err(), Failure::input("EOF"));
    }
}
