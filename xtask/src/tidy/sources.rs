//! Rules for single files: length, opening words, `unsafe`, left-over notes.

use std::path::Path;

/// The most lines a source file may have, tests not counted.
const FILE_LINES_MAX: usize = 1000;

/// Files that may be longer, each with its reason.
const LONGER: &[(&str, &str)] = &[];

/// Where `unsafe` may stand: beginnings of paths. The modules of contract C19 are added one by one.
const UNSAFE_IN: &[&str] = &["core/bolt/", "shell/os/"];

/// Directories that hold nothing we wrote in this form.
const SKIPPED: &[&str] = &["target", ".git", "bin", "node_modules", "generated", "testdata", "__pycache__"];

/// Endings of the files that are looked at.
const ENDINGS: &[&str] = &["rs", "toml", "proto", "go", "py", "sh", "md", "yml", "yaml", "mod"];

/// How many lines above an `unsafe` block or impl its `SAFETY:` may begin.
const SAFETY_LINES_ABOVE: usize = 12;

/// Adds a line to `breaches` for each file under `root` that breaks a rule.
///
/// # Errors
/// When a directory or file cannot be read.
pub(super) fn check(root: &Path, breaches: &mut Vec<String>) -> anyhow::Result<()> {
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                directories.push(path);
                continue;
            }
            let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned());
            if !ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
                continue;
            }
            let shown = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            check_file(&shown, &String::from_utf8_lossy(&std::fs::read(&path)?), breaches);
        }
    }
    breaches.sort_unstable();
    Ok(())
}

fn check_file(path: &str, text: &str, breaches: &mut Vec<String>) {
    for (number, line) in text.lines().enumerate() {
        for word in left_over_words() {
            if line.contains(&word) {
                breaches.push(format!("{path}:{}: contains `{word}`", number + 1));
            }
        }
    }
    if !path.ends_with(".rs") {
        return;
    }
    if !text.starts_with("//!") && !path.contains("/tests/") && !path.ends_with("/tests.rs") {
        breaches.push(format!("{path}: does not open with `//!`"));
    }
    let length = length_without_tests(path, text);
    if length > FILE_LINES_MAX && !LONGER.iter().any(|(known, _)| *known == path) {
        breaches.push(format!("{path}: {length} lines, the limit is {FILE_LINES_MAX}; split it by subject"));
    }
    check_unsafe(path, text, breaches);
}

/// Words that mean "not finished" and paths that exist on one machine only, spelt so that this file has none.
fn left_over_words() -> [String; 5] {
    let join = |parts: [&str; 2]| parts.concat();
    [
        join(["TO", "DO"]),
        join(["FIX", "ME"]),
        join(["#[ign", "ore"]),
        join(["/wo", "rk/"]),
        join(["/ro", "ot/"]),
    ]
}

fn length_without_tests(path: &str, text: &str) -> usize {
    if path.contains("/tests/") || path.ends_with("/tests.rs") {
        return 0;
    }
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod "));
    tests.unwrap_or(lines.len())
}

fn check_unsafe(path: &str, text: &str, breaches: &mut Vec<String>) {
    let lines: Vec<&str> = text.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let is_block = ["unsafe {", "unsafe impl"].iter().any(|words| code.contains(words));
        if !is_block
            && !["unsafe fn", "unsafe extern", "unsafe trait"].iter().any(|words| code.contains(words))
        {
            continue;
        }
        if path.starts_with("xtask/src/tidy/") {
            continue; // the words above
        }
        if !UNSAFE_IN.iter().any(|place| path.starts_with(place)) {
            breaches.push(format!("{path}:{}: no `unsafe` here", number + 1));
        }
        let above = &lines[number.saturating_sub(SAFETY_LINES_ABOVE)..=number];
        if is_block && !above.iter().any(|line| line.contains("SAFETY:")) {
            breaches.push(format!("{path}:{}: `unsafe` without `SAFETY:`", number + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(path: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        check_file(path, text, &mut found);
        found
    }

    #[test]
    fn unsafe_is_known_by_place_and_by_its_reason() {
        let text = "//! M.\n// SAFETY: the slice is ours\nlet x = unsafe { y };\n";
        assert!(breaches("shell/os/src/map.rs", text).is_empty());
        assert_eq!(breaches("core/wal/src/a.rs", text), ["core/wal/src/a.rs:3: no `unsafe` here"]);
        assert_eq!(
            breaches("shell/os/src/map.rs", "//! M.\nlet x = unsafe { y };\n"),
            ["shell/os/src/map.rs:2: `unsafe` without `SAFETY:`"]
        );
        assert!(
            breaches("core/config/src/a.rs", "//! M.\nlet flag = \"unsafe-no-fsync\"; // unsafe {\n")
                .is_empty()
        );
    }

    #[test]
    fn tests_at_the_end_of_a_file_do_not_count() {
        let code = format!("//! M.\n{}", "let x = 1;\n".repeat(999));
        assert!(
            breaches("core/wal/src/a.rs", &format!("{code}#[cfg(test)]\nmod tests {{\n{code}}}\n"))
                .is_empty()
        );
        let found = breaches("core/wal/src/a.rs", &format!("{code}let y = 2;\n"));
        assert_eq!(found, ["core/wal/src/a.rs: 1001 lines, the limit is 1000; split it by subject"]);
    }

    #[test]
    fn notes_and_machine_paths_are_found_in_every_kind_of_file() {
        let note = ["# TO", "DO later"].concat();
        assert_eq!(breaches("deny.toml", &note).len(), 1);
        let path = ["//! See /wo", "rk/x"].concat();
        assert_eq!(breaches("core/wal/src/a.rs", &path).len(), 1);
    }

    #[test]
    fn a_module_opens_with_its_documentation() {
        assert_eq!(
            breaches("core/wal/src/a.rs", "use x;\n"),
            ["core/wal/src/a.rs: does not open with `//!`"]
        );
        assert!(breaches("core/wal/tests/a.rs", "use x;\n").is_empty());
    }
}
