//! Our `etcdctl` and `etcdutl` beside the reference: the same words give the same output.

use interop::{Outcome, Place, Programs, Scratch, ours};
use std::path::Path;

/// Command lines of `etcdctl`; the file says how they are written and what is not compared.
const CTL: &str = include_str!("../../../../shell/ctl/tests/commands.txt");

/// Command lines of `etcdutl`, with `$DB` for a database file; otherwise as in the other list.
const UTL: &str = include_str!("../../../../shell/utl/tests/commands.txt");

/// One line of a list.
struct Line<'a> {
    text: &'a str,
    words: Vec<String>,
    input: String,
}

/// The lines of a list, with `variable` replaced by `value`.
fn lines<'a>(list: &'a str, variable: &str, value: &str) -> Vec<Line<'a>> {
    let is_command = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let parse = |text: &'a str| {
        let (command, input) = text.split_once(" <<< ").unwrap_or((text, ""));
        let words = words(command).into_iter().map(|word| word.replace(variable, value)).collect();
        Line { text, words, input: unescape(input) }
    };
    list.lines().filter(is_command).map(parse).collect()
}

/// Words as a POSIX shell splits them: spaces, single quotes, double quotes.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in command.chars() {
        match quote {
            Some(open) if letter == open => quote = None,
            Some(_) => word.get_or_insert_default().push(letter),
            None if letter == '"' || letter == '\'' => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            None if letter == ' ' => words.extend(word.take()),
            None => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

fn unescape(text: &str) -> String {
    text.replace("\\\\", "\0").replace("\\n", "\n").replace('\0', "\\")
}

/// What is compared of an outcome.
fn comparable(outcome: &Outcome) -> String {
    let is_no_log = |line: &&str| !line.starts_with("{\"level\":");
    let stderr: String = outcome.stderr.split_inclusive('\n').filter(is_no_log).collect();
    let stderr = without_repeated_error(&stderr);
    let (stdout, stderr) = (without_descriptions(&outcome.stdout), without_descriptions(&stderr));
    without_revisions(&format!("exit {}\n--- stdout\n{stdout}\n--- stderr\n{stderr}", outcome.code()))
}

/// Without a last line that says what the first one said: the reference's etcdutl tells an error twice.
fn without_repeated_error(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    if lines.len() > 1 && lines.first() == lines.last() {
        lines.pop();
    }
    lines.join("\n")
}

/// Usage texts without what describes commands and flags.
fn without_descriptions(text: &str) -> String {
    if !["Usage:", "USAGE:"].iter().any(|word| text.contains(word)) {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut describes = false;
    for line in text.lines() {
        // A section of prose ends at the next heading.
        let is_heading = !line.is_empty() && !line.starts_with([' ', '\t']);
        if is_heading {
            describes = line == "DESCRIPTION:" || line == "NAME:";
        }
        let name = line.trim_start().split("  ").next().unwrap_or_default();
        let name = name.split('\t').next().unwrap_or_default();
        // The longest names of a list have but one blank behind them.
        let is_entry = line.starts_with(' ') && !name.starts_with(['-', 'e']);
        let name = if is_entry { name.split(' ').next().unwrap_or_default() } else { name };
        if (is_heading || !describes) && !name.is_empty() {
            kept.push_str(name.trim_end());
            kept.push('\n');
        }
    }
    kept
}

/// Numbers behind a word that ends in `revision` become `#`.
fn without_revisions(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(position) =
        ["evision\":", "evision\" : "].iter().filter_map(|name| Some(rest.find(name)? + name.len())).min()
    {
        kept.push_str(&rest[..position]);
        rest = rest[position..].trim_start_matches(|letter: char| letter.is_ascii_digit());
        kept.push('#');
    }
    kept + rest
}

/// Panics with all lines on which the outcomes differ.
fn compare(
    list: &[Line<'_>],
    mut theirs: impl FnMut(&Line<'_>) -> String,
    mut own: impl FnMut(&Line<'_>) -> String,
) {
    let mut differences = String::new();
    let mut count = 0;
    for line in list {
        let (theirs, own) = (theirs(line), own(line));
        if theirs != own {
            count += 1;
            differences.push_str(&format!("==== {}\n-- ours: {own}\n-- reference: {theirs}\n", line.text));
        }
    }
    assert!(count == 0, "{count} of {} command lines differ:\n{differences}", list.len());
}

#[test]
fn etcdctl_prints_what_the_reference_prints() {
    let Some(programs) = Programs::find(&["etcd", "etcdctl", "etcdctl-3.7", "probe"]) else { return };
    let place = Place::new("etcdctl");
    let server = place.start(&ours("etcd"), &[]);
    let endpoint = place.endpoint();
    let restock = || programs.probe(&["restock", "--endpoint", &endpoint]);
    let run = |program: &str, line: &Line<'_>| {
        restock();
        let words: Vec<&str> = line.words.iter().map(String::as_str).collect();
        let outcome = programs.run_with_input(program, &words, &line.input);
        format!("{}\n--- store\n{}", comparable(&outcome), restock())
    };
    let list = lines(CTL, "$E", &endpoint);
    compare(&list, |line| run("etcdctl-3.7", line), |line| run("etcdctl", line));
    server.stop();
}

#[test]
fn etcdutl_prints_what_the_reference_prints() {
    let Some(programs) = Programs::find(&["etcd", "etcdutl", "etcdutl-3.7", "probe"]) else { return };
    let place = Place::new("etcdutl");
    let server = place.start(&ours("etcd"), &[]);
    programs.probe(&["fill", "--endpoint", &place.endpoint(), "--seed", "5", "--compact"]);
    server.stop();
    let file = place.data().join("member/snap/db");
    // Each program works on a copy: a path is part of what is printed.
    let copy = Scratch::new("etcdutl-file");
    let path = copy.path().join("db");
    let list = lines(UTL, "$DB", path.to_str().expect("the path is text"));
    let run = |program: &str, line: &Line<'_>| {
        fresh(&file, &path);
        let words: Vec<&str> = line.words.iter().map(String::as_str).collect();
        comparable(&programs.run_with_input(program, &words, &line.input))
    };
    compare(&list, |line| run("etcdutl-3.7", line), |line| run("etcdutl", line));
}

fn fresh(file: &Path, copy: &Path) {
    std::fs::copy(file, copy).expect("the database file can be copied");
}
