//! Integers and booleans as Go's `strconv` reads them, with its words for what it refuses.

use super::quote;
use std::num::IntErrorKind;

/// Reads a signed integer in `base`; base 0 takes it from a prefix (`0x`, `0o`, `0b`, `0`) and allows underscores.
///
/// # Errors
/// `strconv.ParseInt: parsing "x": invalid syntax` or `… value out of range`.
pub fn parse_int(text: &str, base: u32) -> Result<i64, String> {
    let error = |what: &str| format!("strconv.ParseInt: parsing {}: {what}", quote(text.as_bytes()));
    let (is_negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = magnitude(digits, base).map_err(error)?;
    let value = if is_negative { -i128::from(magnitude) } else { i128::from(magnitude) };
    i64::try_from(value).map_err(|_| error(OUT_OF_RANGE))
}

/// Reads an unsigned integer in `base`.
///
/// # Errors
/// As [`parse_int`], with `strconv.ParseUint`.
pub fn parse_uint(text: &str, base: u32) -> Result<u64, String> {
    magnitude(text, base)
        .map_err(|what| format!("strconv.ParseUint: parsing {}: {what}", quote(text.as_bytes())))
}

/// Reads `1 t T TRUE true True` and their opposites.
///
/// # Errors
/// `strconv.ParseBool: parsing "x": invalid syntax`.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {}: {SYNTAX}", quote(text.as_bytes()))),
    }
}

const SYNTAX: &str = "invalid syntax";
const OUT_OF_RANGE: &str = "value out of range";

fn magnitude(text: &str, base: u32) -> Result<u64, &'static str> {
    let (digits, base) = if base == 0 { prefixed(text)? } else { (text.to_owned(), base) };
    // The standard library takes a sign here; Go has taken it already.
    if !digits.chars().all(|ch| ch.is_digit(base)) {
        return Err(SYNTAX);
    }
    u64::from_str_radix(&digits, base).map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow => OUT_OF_RANGE,
        _ => SYNTAX,
    })
}

/// The digits and the base of a number with a prefix. An underscore must stand between digits, the prefix being one.
fn prefixed(text: &str) -> Result<(String, u32), &'static str> {
    let lower = text.to_ascii_lowercase();
    let (digits, base) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'o', ..] => (&lower[2..], 8),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (&lower[..], 10),
    };
    let has_prefix = digits.len() < lower.len();
    let starts_badly = digits.starts_with('_') && !has_prefix;
    if starts_badly || digits.ends_with('_') || digits.contains("__") {
        return Err(SYNTAX);
    }
    Ok((digits.replace('_', ""), base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_go_reads_them() {
        for (text, base, value) in [
            ("10", 10, 10),
            ("-7", 10, -7),
            ("+7", 10, 7),
            ("0x1F", 0, 31),
            ("010", 0, 8),
            ("0b11", 0, 3),
            ("1_000", 0, 1000),
            ("0", 0, 0),
            ("694da202bdd73954", 16, 0x694d_a202_bdd7_3954),
            ("-9223372036854775808", 10, i64::MIN),
        ] {
            assert_eq!(parse_int(text, base), Ok(value), "{text}");
        }
        for (text, base) in
            [("", 10), ("abc", 10), ("1_0", 10), ("--1", 10), ("1__0", 0), ("_1", 0), ("0x", 0), ("08", 0)]
        {
            let expected = format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
            assert_eq!(parse_int(text, base), Err(expected), "{text}");
        }
        assert_eq!(
            parse_int("9223372036854775808", 10),
            Err("strconv.ParseInt: parsing \"9223372036854775808\": value out of range".to_owned())
        );
        assert_eq!(parse_uint("-1", 16), Err("strconv.ParseUint: parsing \"-1\": invalid syntax".to_owned()));
    }
}
