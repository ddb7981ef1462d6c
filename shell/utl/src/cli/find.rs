//! Which command is meant.

use super::command::{Command, Kind};
use super::flags::{Flags, path_name};

/// The command that the words select, and the arguments without those words.
pub(super) struct Found {
    pub path: Vec<&'static Command>,
    pub args: Vec<Vec<u8>>,
    /// The first word that selects nothing below the command.
    pub unknown: Option<String>,
    /// Remarks for stderr.
    pub notes: Vec<String>,
}

/// Follows the words among `args` down from `root`.
pub(super) fn find(root: &'static Command, mut args: Vec<Vec<u8>>) -> Found {
    let mut path = vec![root];
    let mut notes = Vec::new();
    loop {
        let command = *path.last().expect("a path begins with the program");
        let Some(position) = first_word(&args, &Flags::of(&path)) else {
            return Found { path, args, unknown: None, notes };
        };
        let word = String::from_utf8_lossy(&args[position]).into_owned();
        if let Some(next) = select(command, &word) {
            args.remove(position);
            path.push(next);
        } else if path.len() > 1 && !command.commands.is_empty() && word == command.name {
            // `lease lease revoke` stands in books and scripts.
            notes.push(format!("Note: the word \"{word}\" is doubled in \"{} {word}\"", path_name(&path)));
            args.remove(position);
        } else {
            return Found { path, args, unknown: Some(word), notes };
        }
    }
}

/// Where the first argument stands that is neither a flag nor the value of one.
///
/// A flag that is not known counts as one with a value, and a flag with a value behind which only one argument stands
/// hides it: so the original does it.
fn first_word(args: &[Vec<u8>], flags: &Flags) -> Option<usize> {
    let mut position = 0;
    while position < args.len() {
        let arg = args[position].as_slice();
        let text = String::from_utf8_lossy(arg);
        let takes_value = match arg {
            b"--" => return None,
            [b'-', b'-', ..] => {
                !text.contains('=') && flags.by_name(&text[2..]).is_none_or(|flag| flag.kind != Kind::Bool)
            }
            [b'-', letter] => {
                *letter != b'='
                    && flags.by_short(char::from(*letter)).is_none_or(|flag| flag.kind != Kind::Bool)
            }
            [b'-', ..] | [] => false,
            _ => return Some(position),
        };
        if takes_value && args.len() - position <= 2 {
            return None;
        }
        position += if takes_value { 2 } else { 1 };
    }
    None
}

/// The command of that name, or the only one of which the word is a prefix; listed commands come first.
fn select(parent: &'static Command, word: &str) -> Option<&'static Command> {
    if let Some(command) = parent.commands.iter().find(|command| command.name == word) {
        return Some(command);
    }
    for is_listed in [true, false] {
        let mut matches = parent
            .commands
            .iter()
            .filter(|command| command.is_listed() == is_listed && command.name.starts_with(word));
        match (matches.next(), matches.next()) {
            (Some(command), None) => return Some(command),
            (Some(_), Some(_)) => return None,
            (None, _) => {}
        }
    }
    None
}

/// Names of commands that the operator may have meant.
pub(super) fn suggestions(parent: &Command, word: &str) -> Vec<&'static str> {
    let word = word.to_lowercase();
    let is_close =
        |name: &str| distance(&word, &name.to_lowercase()) <= DISTANCE_MAX || name.starts_with(&word);
    let listed = parent.commands.iter().filter(|command| command.is_listed());
    listed.map(|command| command.name).filter(|name| is_close(name)).collect()
}

const DISTANCE_MAX: usize = 2;

/// The number of letters to insert, remove or replace to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (position, from) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = position + 1;
        for (column, to) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_of_words() {
        for (from, to, expected) in
            [("", "abc", 3), ("gett", "get", 1), ("del", "put", 3), ("memer", "member", 1)]
        {
            assert_eq!(distance(from, to), expected);
            assert_eq!(distance(to, from), expected);
        }
    }
}
