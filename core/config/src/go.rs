//! Numbers, booleans, durations and quoted text as Go's standard library reads and writes them.
//!
//! Old scripts rely on what that library accepts (`0x10`, `1_000`, `1h30m`, `T`), and operators match its texts.

use std::fmt;

/// Why a number was refused, in the two ways that Go tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberError {
    Syntax,
    Range,
}

/// A span of time in nanoseconds, negative ones included, read and printed as Go does: `1h30m`, `1.5s`, `100ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(pub i64);

impl GoDuration {
    /// Reads `300ms`, `1.5h`, `1h30m`, `-2us`, or a bare `0`.
    ///
    /// # Errors
    /// Go's text for anything else, and for more than 292 years.
    pub fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("time: invalid duration {}", quote(text));
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (number, behind) = split_number(rest).ok_or_else(invalid)?;
            let (unit, behind) = split_unit(behind);
            let nanoseconds_in_unit = match unit {
                "" => return Err(format!("time: missing unit in duration {}", quote(text))),
                "ns" => 1,
                "us" | "µs" | "μs" => 1_000,
                "ms" => 1_000_000,
                "s" => SECOND,
                "m" => MINUTE,
                "h" => 60 * MINUTE,
                _ => return Err(format!("time: unknown unit {} in duration {}", quote(unit), quote(text))),
            };
            let sum = nanoseconds_of(number, nanoseconds_in_unit).and_then(|term| total.checked_add(term));
            total = sum.filter(|sum| *sum <= 1 << 63).ok_or_else(invalid)?;
            rest = behind;
        }
        if negative {
            return 0i64.checked_sub_unsigned(total).map(Self).ok_or_else(invalid);
        }
        i64::try_from(total).map(Self).map_err(|_| invalid())
    }

    /// The span as an unsigned one; negative becomes zero.
    pub fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

impl From<std::time::Duration> for GoDuration {
    fn from(span: std::time::Duration) -> Self {
        Self(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.unsigned_abs();
        if nanoseconds == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        match nanoseconds {
            0..1_000 => write!(f, "{nanoseconds}ns"),
            1_000..1_000_000 => write!(f, "{}µs", Decimal { value: nanoseconds, digits: 3 }),
            1_000_000..SECOND => write!(f, "{}ms", Decimal { value: nanoseconds, digits: 6 }),
            _ => {
                let minutes = nanoseconds / MINUTE;
                if minutes >= 60 {
                    write!(f, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(f, "{}m", minutes % 60)?;
                }
                write!(f, "{}s", Decimal { value: nanoseconds % MINUTE, digits: 9 })
            }
        }
    }
}

/// `value` divided by 10^`digits`, without trailing zeros.
struct Decimal {
    value: u64,
    digits: u32,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10u64.pow(self.digits);
        write!(f, "{}", self.value / unit)?;
        let fraction = format!("{:0width$}", self.value % unit, width = self.digits as usize);
        match fraction.trim_end_matches('0') {
            "" => Ok(()),
            digits => write!(f, ".{digits}"),
        }
    }
}

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

/// Splits off digits with an optional point among them; `None` when there is no digit.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let mut len = digits_len(text);
    let mut digits = len;
    if text[len..].starts_with('.') {
        let fraction = digits_len(&text[len + 1..]);
        digits += fraction;
        len += 1 + fraction;
    }
    (digits > 0).then(|| text.split_at(len))
}

/// Splits off what stands before the next number.
fn split_unit(text: &str) -> (&str, &str) {
    text.split_at(text.find(|ch: char| ch == '.' || ch.is_ascii_digit()).unwrap_or(text.len()))
}

/// A decimal number of units, rounded down to a nanosecond; `None` when it does not fit.
fn nanoseconds_of(number: &str, nanoseconds_in_unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    whole.checked_mul(nanoseconds_in_unit)?.checked_add(fraction_of(fraction, nanoseconds_in_unit))
}

/// `0.<digits>` of `unit`, rounded down.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let kept = &digits[..digits.len().min(18)];
    let Ok(numerator) = kept.parse::<u64>() else { return 0 };
    let denominator = 10u128.pow(u32::try_from(kept.len()).unwrap_or(0));
    // At most the unit itself, so it fits.
    u64::try_from(u128::from(numerator) * u128::from(unit) / denominator).unwrap_or(unit)
}

fn digits_len(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Reads the twelve spellings of a boolean.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Reads an unsigned number with an optional base prefix and `_` between digits.
pub(crate) fn parse_uint(text: &str) -> Result<u64, NumberError> {
    let (digits, radix, has_prefix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16, true),
        [b'0', b'b' | b'B', ..] => (&text[2..], 2, true),
        [b'0', b'o' | b'O', ..] => (&text[2..], 8, true),
        [b'0', _, ..] => (&text[1..], 8, true),
        _ => (text, 10, false),
    };
    if !underscores_separate_digits(digits, has_prefix) {
        return Err(NumberError::Syntax);
    }
    let mut value: u64 = 0;
    let mut is_too_big = false;
    let mut any = false;
    for ch in digits.chars().filter(|ch| *ch != '_') {
        let digit = ch.to_digit(radix).ok_or(NumberError::Syntax)?;
        any = true;
        match value.checked_mul(u64::from(radix)).and_then(|product| product.checked_add(u64::from(digit))) {
            Some(next) => value = next,
            None => is_too_big = true,
        }
    }
    match (any, is_too_big) {
        (false, _) => Err(NumberError::Syntax),
        (true, true) => Err(NumberError::Range),
        (true, false) => Ok(value),
    }
}

/// Reads a number with an optional sign, then as [`parse_uint`].
pub(crate) fn parse_int(text: &str) -> Result<i64, NumberError> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = parse_uint(digits)?;
    if negative {
        return 0i64.checked_sub_unsigned(magnitude).ok_or(NumberError::Range);
    }
    i64::try_from(magnitude).map_err(|_| NumberError::Range)
}

/// An underscore stands between two digits, or between a base prefix and a digit.
fn underscores_separate_digits(digits: &str, has_prefix: bool) -> bool {
    let starts_well = has_prefix || !digits.starts_with('_');
    starts_well && !digits.ends_with('_') && !digits.contains("__")
}

/// `text` in double quotes with Go's escapes (`%q`).
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for ch in text.chars() {
        match ch {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(ch))),
            _ if ch.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(ch))),
            _ => out.push(ch),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_as_in_go() {
        let check = |text: &str, nanoseconds: i64, printed: &str| {
            assert_eq!(GoDuration::parse(text), Ok(GoDuration(nanoseconds)), "{text}");
            assert_eq!(GoDuration(nanoseconds).to_string(), printed, "{text}");
        };
        check("0", 0, "0s");
        check("-0", 0, "0s");
        check("300ms", 300_000_000, "300ms");
        check("1.5h", 5_400_000_000_000, "1h30m0s");
        check("1h30m", 5_400_000_000_000, "1h30m0s");
        check("2us", 2_000, "2µs");
        check("2µs", 2_000, "2µs");
        check("-1m", -60_000_000_000, "-1m0s");
        check("+.5s", 500_000_000, "500ms");
        check("1.s", 1_000_000_000, "1s");
        check("1.029188ms", 1_029_188, "1.029188ms");
        check("7ns", 7, "7ns");
        check("1.0000000019s", 1_000_000_001, "1.000000001s");
        check("-9223372036854775808ns", i64::MIN, "-2562047h47m16.854775808s");
        for (bad, why) in [
            ("", "invalid duration \"\""),
            ("5", "missing unit in duration \"5\""),
            ("1.5", "missing unit in duration \"1.5\""),
            ("ms", "invalid duration \"ms\""),
            (".s", "invalid duration \".s\""),
            ("-", "invalid duration \"-\""),
            ("1x", "unknown unit \"x\" in duration \"1x\""),
            ("1h-1m", "unknown unit \"h-\" in duration \"1h-1m\""),
            ("1 s", "unknown unit \" s\" in duration \"1 s\""),
            ("1h1", "missing unit in duration \"1h1\""),
            ("9223372036854775808ns", "invalid duration \"9223372036854775808ns\""),
            ("99999999h", "invalid duration \"99999999h\""),
        ] {
            assert_eq!(GoDuration::parse(bad), Err(format!("time: {why}")));
        }
    }

    #[test]
    fn numbers_take_prefixes_and_underscores() {
        for (text, value) in [
            ("0", 0),
            ("0x10", 16),
            ("0b1", 1),
            ("0o7", 7),
            ("017", 15),
            ("1_000", 1000),
            ("0x_f", 15),
            ("0_7", 7),
        ] {
            assert_eq!(parse_uint(text), Ok(value), "{text}");
            assert_eq!(parse_int(&format!("-{text}")), Ok(-i64::try_from(value).unwrap()), "{text}");
        }
        for bad in ["", "_1", "1_", "1__0", "0x", "08", "1k", "+1", "-1", "0b2", " 1"] {
            assert_eq!(parse_uint(bad), Err(NumberError::Syntax), "{bad}");
        }
        assert_eq!(parse_uint("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(parse_uint("18446744073709551616"), Err(NumberError::Range));
        assert_eq!(parse_int("9223372036854775808"), Err(NumberError::Range));
        assert_eq!(parse_int("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(parse_int("+5"), Ok(5));
        assert_eq!(parse_int("--5"), Err(NumberError::Syntax));
    }

    #[test]
    fn quoting_escapes_as_go_does() {
        assert_eq!(quote("a\"b\\\n\u{1}é\u{7f}'"), "\"a\\\"b\\\\\\n\\x01é\\x7f'\"");
    }
}
