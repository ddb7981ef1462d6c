//! JSON inside a line.

use std::error::Error;
use std::fmt;

/// A piece of JSON that a line carries as it is: a list or an object as the value of a field.
///
/// `tracing` knows numbers, booleans, text and errors as values, nothing with structure. This is an error for its sake:
/// pass [`Json::value`] and the layer recognises the type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// `text` must be JSON; it is not looked at.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// An array of strings.
    pub fn strings<I: IntoIterator<Item = S>, S: AsRef<str>>(items: I) -> Self {
        let mut out = String::from("[");
        for (position, item) in items.into_iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            push_string(&mut out, item.as_ref());
        }
        out.push(']');
        Self(out)
    }

    /// The form in which the macros of `tracing` take it.
    pub fn value(&self) -> &(dyn Error + 'static) {
        self
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Json {}

/// Appends `text` as a JSON string. Unlike Go's `encoding/json`, etcd's logger leaves `<`, `>` and `&` alone.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for ch in text.chars() {
        match ch {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let code = u32::from(ch) as usize;
                out.push_str("\\u00");
                out.push(char::from(HEX[code >> 4]));
                out.push(char::from(HEX[code & 15]));
            }
            _ => out.push(ch),
        }
    }
    out.push('"');
}

/// Appends `json` with a space behind each `:` and `,` outside strings, as console lines have it.
pub(crate) fn push_spaced(out: &mut String, json: &str) {
    let mut in_string = false;
    let mut escaped = false;
    for ch in json.chars() {
        out.push(ch);
        match ch {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            ':' | ',' if !in_string => out.push(' '),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_etcds_logger_does() {
        assert_eq!(
            Json::strings(["a<b>&\"\\", "\u{1}\u{1f}\n\té\u{7f}"]).as_str(),
            "[\"a<b>&\\\"\\\\\",\"\\u0001\\u001f\\n\\té\u{7f}\"]"
        );
        assert_eq!(Json::strings(Vec::<String>::new()).as_str(), "[]");
    }

    #[test]
    fn spaces_go_outside_strings_only() {
        let mut out = String::new();
        push_spaced(&mut out, r#"{"a:,":["x\",",1],"b":{}}"#);
        assert_eq!(out, r#"{"a:,": ["x\",", 1], "b": {}}"#);
    }
}
