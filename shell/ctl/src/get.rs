//! `get`, and what it shares with `del`: which keys are meant.

use crate::print::{Format, answer};
use crate::session::{Session, block_on};
use bytes::Bytes;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use utl::cli::{Command, Failure, Flag, Flags, Invocation, print};

pub(crate) const COMMAND: Command = Command {
    name: "get",
    usage: "[options] <key> [range_end]",
    about: "Shows a key, or the keys of a range",
    flags: &[
        Flag::text("consistency", "linearizable (l) or serializable (s)").default("l"),
        Flag::switch("count-only", "show the number of keys only"),
        Flag::switch("from-key", "from the key on to the end, in byte order"),
        Flag::switch("keys-only", "show the keys only"),
        Flag::int("limit", "show at most so many keys"),
        Flag::int("max-create-rev", "only keys created at or before this revision"),
        Flag::int("max-mod-rev", "only keys modified at or before this revision"),
        Flag::int("min-create-rev", "only keys created at or after this revision"),
        Flag::int("min-mod-rev", "only keys modified at or after this revision"),
        Flag::text("order", "sort order: ASCEND or DESCEND"),
        Flag::switch("prefix", "all keys that begin with the key"),
        Flag::switch("print-value-only", "show the values only (output format simple)"),
        Flag::int("rev", "as of this revision"),
        Flag::text("sort-by", "sort by CREATE, KEY, MODIFY, VALUE or VERSION"),
        Flag::switch("stream", "read the range as a stream"),
    ],
    run: Some(run),
    ..Command::EMPTY
};

fn run(invocation: &Invocation) -> Result<(), Failure> {
    let request = request(invocation)?;
    let mut session = Session::new(invocation, &Format::OF_KEYS)?;
    let is_value_only = invocation.flags.bool("print-value-only");
    if request.count_only && session.style.format != Format::Fields {
        return Err(Failure::arguments("--count-only is only for `--write-out=fields`"));
    }
    if is_value_only && session.style.format != Format::Simple {
        return Err(Failure::arguments("print-value-only is only for `--write-out=simple`"));
    }
    session.style.is_value_only = is_value_only;
    let mut client = session.client()?;
    // `--stream` promises the same output; until the streaming call exists the plain one keeps the promise.
    let response = block_on(client.range(request))?.map_err(Failure::error)?;
    print(answer(&pb::response_op::Response::ResponseRange(response), session.style));
    Ok(())
}

/// The request that flags and arguments describe.
pub(crate) fn request(invocation: &Invocation) -> Result<pb::RangeRequest, Failure> {
    let flags = &invocation.flags;
    if invocation.args.is_empty() {
        return Err(Failure::arguments(
            "get command needs one argument as key and an optional argument as range_end",
        ));
    }
    check_prefix_or_from_key(flags)?;
    if flags.bool("keys-only") && flags.bool("count-only") {
        return Err(Failure::arguments(
            "`--keys-only` and `--count-only` cannot be set at the same time, choose one",
        ));
    }
    let serializable = is_serializable(flags)?;
    let (key, range_end) = range(invocation)?;
    let (sort_target, sort_order) = sorting(flags)?;
    let positive = |name: &str| flags.int(name).max(0);
    let between = |min_name: &str, max_name: &str, shown: &str| {
        let (min, max) = (flags.int(min_name), flags.int(max_name));
        if max > 0 && min > max {
            return Err(Failure::feature(format!("getMin{shown}(={min}) > getMax{shown}(={max})")));
        }
        Ok((positive(min_name), positive(max_name)))
    };
    let (min_create_revision, max_create_revision) =
        between("min-create-rev", "max-create-rev", "CreateRev")?;
    let (min_mod_revision, max_mod_revision) = between("min-mod-rev", "max-mod-rev", "ModRev")?;
    Ok(pb::RangeRequest {
        key,
        range_end,
        limit: flags.int("limit"),
        revision: positive("rev"),
        sort_order: sort_order.into(),
        sort_target: sort_target.into(),
        serializable,
        keys_only: flags.bool("keys-only"),
        count_only: flags.bool("count-only"),
        min_mod_revision,
        max_mod_revision,
        min_create_revision,
        max_create_revision,
    })
}

/// Whether `--consistency` asks for a read of whatever the member has.
pub(crate) fn is_serializable(flags: &Flags) -> Result<bool, Failure> {
    match flags.text("consistency").as_str() {
        "l" => Ok(false),
        "s" => Ok(true),
        other => Err(Failure::feature(format!("unknown consistency flag {other:?}"))),
    }
}

/// Refuses contradictory flags.
pub(crate) fn check_prefix_or_from_key(flags: &Flags) -> Result<(), Failure> {
    if flags.bool("prefix") && flags.bool("from-key") {
        return Err(Failure::arguments(
            "`--prefix` and `--from-key` cannot be set at the same time, choose one",
        ));
    }
    Ok(())
}

/// The first key and the end of the range, from the arguments and `--prefix` or `--from-key`.
pub(crate) fn range(invocation: &Invocation) -> Result<(Bytes, Bytes), Failure> {
    let flags = &invocation.flags;
    let (is_prefix, is_from_key) = (flags.bool("prefix"), flags.bool("from-key"));
    let key = invocation.args.first().cloned().unwrap_or_default();
    match invocation.args.get(1) {
        Some(_) if is_prefix || is_from_key => Err(Failure::arguments(
            "too many arguments, only accept one argument when `--prefix` or `--from-key` is set",
        )),
        Some(end) => Ok((key.into(), end.clone().into())),
        None if !is_prefix && !is_from_key => Ok((key.into(), Bytes::new())),
        None if key.is_empty() => Ok((FIRST_KEY, OPEN_END)),
        None if is_from_key => Ok((key.into(), OPEN_END)),
        None => {
            let end = prefix_end(&key);
            Ok((key.into(), end))
        }
    }
}

/// The lowest key that a request can name, and the end that stands for none: the API's convention.
const FIRST_KEY: Bytes = Bytes::from_static(b"\0");
const OPEN_END: Bytes = Bytes::from_static(b"\0");

/// The first key behind all that begin with `prefix`.
fn prefix_end(prefix: &[u8]) -> Bytes {
    match prefix.iter().rposition(|byte| *byte < 0xff) {
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end.into()
        }
        None => OPEN_END,
    }
}

fn sorting(flags: &Flags) -> Result<(SortTarget, SortOrder), Failure> {
    let order = flags.text("order");
    let order = match order.to_uppercase().as_str() {
        "ASCEND" => SortOrder::Ascend,
        "DESCEND" => SortOrder::Descend,
        "" => SortOrder::None,
        _ => return Err(Failure::feature(format!("bad sort order {order}"))),
    };
    let target = flags.text("sort-by");
    let target = match target.to_uppercase().as_str() {
        "CREATE" => SortTarget::Create,
        "KEY" | "" => SortTarget::Key,
        "MODIFY" => SortTarget::Mod,
        "VALUE" => SortTarget::Value,
        "VERSION" => SortTarget::Version,
        _ => return Err(Failure::feature(format!("bad sort target {target}"))),
    };
    // Ascending keys are the natural order: asking for it would make the server fetch everything to sort it.
    let is_natural = target == SortTarget::Key && order == SortOrder::Ascend;
    Ok((target, if is_natural { SortOrder::None } else { order }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_the_first_key_behind_it() {
        assert_eq!(prefix_end(b"ab"), "ac");
        assert_eq!(&prefix_end(b"a\xff\xff")[..], b"b");
        assert_eq!(prefix_end(b"\xff"), OPEN_END);
    }
}
