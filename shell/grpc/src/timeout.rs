//! The header `grpc-timeout`.

use std::time::Duration;

use crate::status::{Code, Status, quote};

/// Reads a timeout: up to eight digits and one of the units `H M S m u n`.
///
/// # Errors
/// INTERNAL with the text grpc-go gives for the same value.
pub(crate) fn parse(value: &[u8]) -> Result<Duration, Status> {
    let malformed = |why: String| Status::new(Code::Internal, format!("malformed grpc-timeout: {why}"));
    let transport = |what: &str| malformed(format!("transport: timeout {what}: {}", quote(value)));
    let Some((unit, digits)) = value.split_last().filter(|(_, digits)| !digits.is_empty()) else {
        return Err(transport("string is too short"));
    };
    if digits.len() > DIGITS_MAX {
        return Err(transport("string is too long"));
    }
    let of_unit: fn(u64) -> Duration = match unit {
        b'H' => |n| Duration::from_secs(n * 3600),
        b'M' => |n| Duration::from_secs(n * 60),
        b'S' => Duration::from_secs,
        b'm' => Duration::from_millis,
        b'u' => Duration::from_micros,
        b'n' => Duration::from_nanos,
        _ => return Err(transport("unit is not recognized")),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        let what = format!("strconv.ParseUint: parsing {}: invalid syntax", quote(digits));
        return Err(malformed(what));
    }
    Ok(of_unit(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))))
}

/// As many as the specification allows, so that no unit overflows.
const DIGITS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, expected) in [
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
            ("2M", Duration::from_secs(120)),
            ("0S", Duration::ZERO),
            ("5000m", Duration::from_secs(5)),
            ("7u", Duration::from_micros(7)),
            ("4999954n", Duration::from_nanos(4_999_954)),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_timeout_is_refused_in_the_words_of_go() {
        for (text, why) in [
            ("", r#"transport: timeout string is too short: """#),
            ("S", r#"transport: timeout string is too short: "S""#),
            ("123456789S", r#"transport: timeout string is too long: "123456789S""#),
            ("12x", r#"transport: timeout unit is not recognized: "12x""#),
            ("+2S", r#"strconv.ParseUint: parsing "+2": invalid syntax"#),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert_eq!(error, Status::new(Code::Internal, format!("malformed grpc-timeout: {why}")));
        }
    }
}
