//! Strings in double quotes with Go's escapes.

/// Writes `bytes` in double quotes as Go's `%q`: printable Unicode as it is, everything else escaped.
pub fn quote(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|ch| push_escaped(&mut out, ch));
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out.push('"');
    out
}

fn push_escaped(out: &mut String, ch: char) {
    match ch {
        '"' | '\\' => out.extend(['\\', ch]),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        _ if is_printable(ch) => out.push(ch),
        '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(ch))),
        '\u{80}'..='\u{ffff}' => out.push_str(&format!("\\u{:04x}", u32::from(ch))),
        _ => out.push_str(&format!("\\U{:08x}", u32::from(ch))),
    }
}

/// Letters, marks, numbers, punctuation, symbols and the plain space.
fn is_printable(ch: char) -> bool {
    // The standard library knows which characters print, but only tells by escaping. A mark is escaped where it stands
    // first, so it follows a letter here.
    let mut text = String::from("a");
    text.push(ch);
    let mut escaped = text.escape_debug().skip(1);
    ch == '\'' || (escaped.next() == Some(ch) && escaped.next().is_none())
}

/// Reads a string in double quotes (Go's escapes) or back quotes (raw) at the start of `text`.
///
/// Returns the bytes it means and what follows it; `None` if none stands there or an escape is not Go's.
pub fn unquote_prefix(text: &str) -> Option<(Vec<u8>, &str)> {
    if let Some(raw) = text.strip_prefix('`') {
        let (inside, rest) = raw.split_once('`')?;
        return Some((inside.replace('\r', "").into_bytes(), rest));
    }
    let mut rest = text.strip_prefix('"')?;
    let mut out = Vec::new();
    loop {
        let ch = rest.chars().next()?;
        rest = &rest[ch.len_utf8()..];
        match ch {
            '"' => return Some((out, rest)),
            '\\' => rest = push_unescaped(&mut out, rest)?,
            '\n' => return None,
            _ => out.extend_from_slice(ch.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Reads what follows a backslash; returns what follows that.
fn push_unescaped<'a>(out: &mut Vec<u8>, text: &'a str) -> Option<&'a str> {
    let kind = text.chars().next()?;
    let rest = &text[kind.len_utf8()..];
    let digits = |text: &str, count: usize, base: u32| -> Option<u32> {
        let digits = text.get(..count)?;
        if digits.chars().all(|ch| ch.is_digit(base)) { u32::from_str_radix(digits, base).ok() } else { None }
    };
    let simple = match kind {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        'x' => {
            out.push(u8::try_from(digits(rest, 2, 16)?).ok()?);
            return Some(&rest[2..]);
        }
        '0'..='7' => {
            out.push(u8::try_from(digits(text, 3, 8)?).ok()?);
            return Some(&text[3..]);
        }
        'u' | 'U' => {
            let count = if kind == 'u' { 4 } else { 8 };
            let ch = char::from_u32(digits(rest, count, 16)?)?;
            out.extend_from_slice(ch.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(&rest[count..]);
        }
        _ => return None,
    };
    out.push(simple);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_go_quotes_them() {
        for (bytes, expected) in [
            (&b"v\x01\t\xe4\xb8\xad"[..], "\"v\\x01\\t中\""),
            (b"\xff\xfe", "\"\\xff\\xfe\""),
            (b"a\"b\\c'd", "\"a\\\"b\\\\c'd\""),
            (b"\x07\x08\x0c\n\r\x0b\x7f\0", "\"\\a\\b\\f\\n\\r\\v\\x7f\\x00\""),
            (
                "e\u{301} \u{a0}\u{ad}\u{e000}\u{fffd}\u{10ffff}".as_bytes(),
                "\"e\u{301} \\u00a0\\u00ad\\ue000\u{fffd}\\U0010ffff\"",
            ),
            ("\u{301}é😀".as_bytes(), "\"\u{301}é😀\""),
        ] {
            assert_eq!(quote(bytes), expected);
            assert_eq!(unquote_prefix(&format!("{expected} x")), Some((bytes.to_vec(), " x")));
        }
    }

    #[test]
    fn what_is_no_quoted_string_is_refused() {
        for bad in [
            "",
            "a",
            "\"a",
            "\"\\q\"",
            "\"\\x1\"",
            "\"\\400\"",
            "\"\\ud800\"",
            "`a",
            "\"\n\"",
            "\"\\u\u{e9}\u{e9}\"",
        ] {
            assert_eq!(unquote_prefix(bad), None, "{bad}");
        }
        assert_eq!(unquote_prefix("`a\\n` b"), Some((b"a\\n".to_vec(), " b")));
        assert_eq!(unquote_prefix("\"\\101\\u00e9\""), Some(("Aé".as_bytes().to_vec(), "")));
    }
}
