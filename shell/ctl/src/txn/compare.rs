//! Comparisons: `mod("key") > "0"`.

use bytes::Bytes;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use utl::cli::Failure;
use utl::format::{parse_int, quote, unquote_prefix};

/// Reads one comparison.
pub(super) fn parse(line: &str) -> Result<pb::Compare, Failure> {
    let malformed = |detail: &str| Failure::input(format!("malformed comparison: {line}{detail}"));
    let (target, rest) = line.split_once('(').ok_or_else(|| malformed(""))?;
    let parts = Parts::scan(rest);
    let (Some(key), Some(operator), Some(value)) = (&parts.key, parts.operator, &parts.value) else {
        let shown = |bytes: &Option<Vec<u8>>| quote(bytes.as_deref().unwrap_or_default());
        let operator = parts.operator.unwrap_or_default();
        let got = format!("; got {target}({}) {operator} {}", shown(&parts.key), shown(&parts.value));
        return Err(malformed(&got));
    };
    let text = String::from_utf8_lossy(value);
    let number = || {
        let invalid = || Failure::input(format!("invalid txn compare request: {line}"));
        parse_int(&text, 10).map_err(|_| invalid())
    };
    let (target, union) = match target {
        "ver" | "version" => (CompareTarget::Version, TargetUnion::Version(number()?)),
        "c" | "create" => (CompareTarget::Create, TargetUnion::CreateRevision(number()?)),
        "m" | "mod" => (CompareTarget::Mod, TargetUnion::ModRevision(number()?)),
        "val" | "value" => (CompareTarget::Value, TargetUnion::Value(Bytes::copy_from_slice(value))),
        "lease" => {
            let lease = lease_id(&text).ok_or_else(|| malformed(""))?;
            (CompareTarget::Lease, TargetUnion::Lease(lease))
        }
        _ => return Err(malformed(&format!(" (unknown target {target})"))),
    };
    // The original panics at any other operator, and at every comparison of a lease.
    let result = match operator {
        "=" => CompareResult::Equal,
        "!=" => CompareResult::NotEqual,
        ">" => CompareResult::Greater,
        "<" => CompareResult::Less,
        _ => return Err(malformed("")),
    };
    Ok(pb::Compare {
        result: result.into(),
        target: target.into(),
        key: Bytes::copy_from_slice(key),
        range_end: Bytes::new(),
        target_union: Some(union),
    })
}

/// The identity of a lease: sixteen hexadecimal digits, as the tool prints them, or a number.
fn lease_id(text: &str) -> Option<i64> {
    const PRINTED_LEN: usize = 16;
    if text.len() == PRINTED_LEN {
        return parse_int(text, 16).ok();
    }
    parse_int(text, 0).or_else(|_| parse_int(text, 16)).ok()
}

/// What could be read of `"key") OPERATOR "value"`, up to the first part that could not.
#[derive(Default)]
struct Parts<'a> {
    key: Option<Vec<u8>>,
    operator: Option<&'a str>,
    value: Option<Vec<u8>>,
}

impl<'a> Parts<'a> {
    fn scan(text: &'a str) -> Self {
        let mut parts = Self::default();
        let Some((key, rest)) = unquote_prefix(text.trim_start()) else { return parts };
        parts.key = Some(key);
        // A blank must stand on both sides of the operator.
        let Some(rest) = rest.strip_prefix(')').filter(|rest| rest.starts_with([' ', '\t'])) else {
            return parts;
        };
        let rest = rest.trim_start();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        if end == 0 {
            return parts;
        }
        parts.operator = Some(&rest[..end]);
        parts.value = unquote_prefix(rest[end..].trim_start()).map(|(value, _)| value);
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons() {
        for (line, target, result, union) in [
            (
                "value(\"user1\") = \"bad\"",
                CompareTarget::Value,
                CompareResult::Equal,
                TargetUnion::Value("bad".into()),
            ),
            (
                "mod(\"user1\")  >  \"-1\"",
                CompareTarget::Mod,
                CompareResult::Greater,
                TargetUnion::ModRevision(-1),
            ),
            (
                "c(\"user1\") != \"7\"",
                CompareTarget::Create,
                CompareResult::NotEqual,
                TargetUnion::CreateRevision(7),
            ),
            ("ver(\"user1\") < \"2\"", CompareTarget::Version, CompareResult::Less, TargetUnion::Version(2)),
            ("lease(\"user1\") = \"0\"", CompareTarget::Lease, CompareResult::Equal, TargetUnion::Lease(0)),
            (
                "lease(\"user1\") = \"694da202bdd73954\"",
                CompareTarget::Lease,
                CompareResult::Equal,
                TargetUnion::Lease(0x694d_a202_bdd7_3954),
            ),
        ] {
            let compare = parse(line).unwrap();
            assert_eq!(compare.key, "user1");
            assert_eq!((compare.target(), compare.result()), (target, result), "{line}");
            assert_eq!(compare.target_union, Some(union), "{line}");
        }
    }

    #[test]
    fn malformed_comparisons_are_named_as_in_the_reference() {
        for (line, detail) in [
            ("foo(\"a\") = \"0\"", " (unknown target foo)"),
            ("value(user1) = \"0\"", "; got value(\"\")  \"\""),
            ("value\"a\" = \"b\"", ""),
            ("lease(\"a\") = 0", "; got lease(\"a\") = \"\""),
            ("value(\"a\")= \"0\"", "; got value(\"a\")  \"\""),
            ("value(\"a\") == \"0\"", ""),
            ("value(\"a\") =", "; got value(\"a\") = \"\""),
        ] {
            let expected = Failure::input(format!("malformed comparison: {line}{detail}"));
            assert_eq!(parse(line).unwrap_err(), expected);
        }
        let invalid = Failure::input("invalid txn compare request: mod(\"a\") = \"abc\"");
        assert_eq!(parse("mod(\"a\") = \"abc\"").unwrap_err(), invalid);
    }
}
