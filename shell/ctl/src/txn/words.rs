//! Words of a line of requests: split at blanks, `'single'` quotes raw, `"double"` quotes with Go's escapes.

use utl::format::unquote_prefix;

/// The words of `line`; `None` if an escape is not one of Go's. A quote that is never closed is skipped.
pub(super) fn split(line: &str) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        match first {
            '"' if double_quoted_len(rest).is_some() => {
                let len = double_quoted_len(rest)?;
                let (word, _) = unquote_prefix(&rest[..len])?;
                words.push(word);
                rest = &rest[len..];
            }
            '\'' if rest[1..].contains('\'') => {
                let (word, after) = rest[1..].split_once('\'')?;
                words.push(word.as_bytes().to_vec());
                rest = after;
            }
            _ if first == '"' || first == '\'' || first.is_whitespace() => rest = &rest[first.len_utf8()..],
            _ => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                words.push(rest.as_bytes()[..end].to_vec());
                rest = &rest[end..];
            }
        }
    }
    Some(words)
}

/// The length of the double-quoted string at the start of `text`, quotes included.
fn double_quoted_len(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (position, ch) in text.char_indices().skip(1) {
        match ch {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Some(position + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[&str]) {
        let words = split(line).unwrap();
        let words: Vec<&str> = words.iter().map(|word| std::str::from_utf8(word).unwrap()).collect();
        assert_eq!(words, expected, "{line}");
    }

    #[test]
    fn words_and_quotes() {
        check("put k1 \"a \\\"b\\\" \\n\"", &["put", "k1", "a \"b\" \n"]);
        check("put k1 'a \\n \"b'", &["put", "k1", "a \\n \"b"]);
        check("put a\"b c\"d", &["put", "a\"b", "c\"d"]);
        check("put \"\" ''", &["put", "", ""]);
        check("put \"open 'x", &["put", "open", "x"]);
        check("  get\ta  ", &["get", "a"]);
        assert_eq!(split("put \"\\q\""), None);
    }
}
