//! Durations: `1h2m3.5s` both ways.

use super::quote;
use std::time::Duration;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Writes `duration` as Go does: `0s`, `150ns`, `3.923474ms`, `1m30.5s`, `2h0m0s`.
pub fn duration_text(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    if nanos < u128::from(NANOS_PER_SECOND) {
        let (unit, per_unit) = match nanos {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{}{unit}", decimal(nanos, per_unit));
    }
    let minutes = nanos / u128::from(60 * NANOS_PER_SECOND);
    let seconds = decimal(nanos % u128::from(60 * NANOS_PER_SECOND), NANOS_PER_SECOND);
    match minutes {
        0 => format!("{seconds}s"),
        1..60 => format!("{minutes}m{seconds}s"),
        _ => format!("{}h{}m{seconds}s", minutes / 60, minutes % 60),
    }
}

/// `value / divisor`, a power of ten, without trailing zeros.
fn decimal(value: u128, divisor: u64) -> String {
    let divisor = u128::from(divisor);
    let digits = divisor.ilog10() as usize;
    let fraction = value % divisor;
    if fraction == 0 {
        return (value / divisor).to_string();
    }
    let fraction = format!("{fraction:0digits$}");
    format!("{}.{}", value / divisor, fraction.trim_end_matches('0'))
}

/// Reads a duration; the result is in nanoseconds and may be negative.
///
/// # Errors
/// The text that Go's `time.ParseDuration` gives.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", quote(text.as_bytes()));
    let (is_negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after.find(|ch: char| ch == '.' || ch.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", quote(text.as_bytes())));
        }
        let Some(per_unit) = nanos_per_unit(unit) else {
            return Err(format!(
                "time: unknown unit {} in duration {}",
                quote(unit.as_bytes()),
                quote(text.as_bytes())
            ));
        };
        nanos += element(whole, fraction, per_unit).ok_or_else(invalid)?;
        rest = after;
    }
    let nanos = i64::try_from(nanos).map_err(|_| invalid())?;
    Ok(if is_negative { -nanos } else { nanos })
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|ch: char| !ch.is_ascii_digit()).unwrap_or(text.len()))
}

fn nanos_per_unit(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => NANOS_PER_SECOND,
        "m" => 60 * NANOS_PER_SECOND,
        "h" => 3600 * NANOS_PER_SECOND,
        _ => return None,
    })
}

/// `whole.fraction` units in nanoseconds; `None` if it does not fit 63 bits.
fn element(whole: &str, fraction: &str, per_unit: u64) -> Option<u128> {
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let mut nanos = u128::from(whole) * u128::from(per_unit);
    let mut weight = u128::from(per_unit);
    // Digits that weigh less than a nanosecond do not count.
    for digit in fraction.bytes() {
        weight /= 10;
        nanos += u128::from(digit - b'0') * weight;
    }
    (nanos <= i64::MAX as u128).then_some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let text = |nanos| duration_text(Duration::from_nanos(nanos));
        for (nanos, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (3_923_474, "3.923474ms"),
            (5_001_613_830, "5.00161383s"),
            (90_000_000_000, "1m30s"),
            (7_200_000_000_000, "2h0m0s"),
            (3_661_500_000_000, "1h1m1.5s"),
        ] {
            assert_eq!(text(nanos), expected);
            assert_eq!(parse_duration(expected), Ok(nanos as i64));
        }
    }

    #[test]
    fn bad_durations_are_named_in_gos_words() {
        assert_eq!(parse_duration("abc").unwrap_err(), "time: invalid duration \"abc\"");
        assert_eq!(parse_duration("").unwrap_err(), "time: invalid duration \"\"");
        assert_eq!(parse_duration("5").unwrap_err(), "time: missing unit in duration \"5\"");
        assert_eq!(parse_duration("5x").unwrap_err(), "time: unknown unit \"x\" in duration \"5x\"");
        assert_eq!(parse_duration("99999999999h").unwrap_err(), "time: invalid duration \"99999999999h\"");
        assert_eq!(parse_duration("-1.5h"), Ok(-5_400_000_000_000));
        assert_eq!(parse_duration(".5s"), Ok(500_000_000));
        assert_eq!(parse_duration("+0"), Ok(0));
    }
}
