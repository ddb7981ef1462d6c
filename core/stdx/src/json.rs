//! JSON strings as Go's `encoding/json` writes them, for bytes that Go etcd reads and compares.
//!
//! Go escapes `<`, `>`, `&`, U+2028 and U+2029, and replaces invalid UTF-8 by U+FFFD. Objects are written by the
//! callers, field by field, because Go's order is the order of declaration.

/// Appends `text` to `out` as a JSON string, quotes included.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for ch in text.chars() {
        match ch {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(ch)));
            }
            _ => out.push(ch),
        }
    }
    out.push('"');
}

/// Appends `items` to `out` as an array of strings.
pub fn push_strings<S: AsRef<str>>(out: &mut String, items: &[S]) {
    out.push('[');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        push_string(out, item.as_ref());
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_go_does() {
        let mut out = String::new();
        push_strings(&mut out, &["a<b>&\u{2028}\u{1}\t", "é\""]);
        assert_eq!(out, "[\"a\\u003cb\\u003e\\u0026\\u2028\\u0001\\t\",\"é\\\"\"]");
    }
}
