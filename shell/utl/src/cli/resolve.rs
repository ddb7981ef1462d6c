//! From a command line to what it asks for.

use super::command::{Arguments, Command, HELP, Program};
use super::failure::code;
use super::find::{Found, find, suggestions};
use super::flags::{Flags, Invocation, path_name};
use super::help::{help, usage};
use super::output::{print, warn};
use crate::format::quote;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

/// What a command line asks for.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// To run a command; the notes go to stderr first.
    Run {
        /// The command with flags and arguments.
        invocation: Invocation,
        /// Lines for stderr.
        notes: Vec<String>,
    },
    /// To show help.
    Help(String),
    /// Nothing that can be done.
    Refused {
        /// For stderr, line feeds included.
        text: String,
        /// The exit status.
        code: u8,
    },
}

/// Does what a command line asks for.
pub fn perform(resolved: Resolved) -> ExitCode {
    match resolved {
        Resolved::Help(text) => {
            print(text);
            ExitCode::SUCCESS
        }
        Resolved::Refused { text, code } => {
            warn(text.strip_suffix('\n').unwrap_or(&text));
            ExitCode::from(code)
        }
        Resolved::Run { invocation, notes } => {
            notes.iter().for_each(warn);
            let run = invocation.command().run.expect("only commands that run are resolved to run");
            match run(&invocation) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => {
                    if !failure.message.is_empty() {
                        warn(format!("Error: {failure}"));
                    }
                    ExitCode::from(failure.code)
                }
            }
        }
    }
}

/// The arguments of this process, the program's name excluded: any bytes.
pub fn process_args() -> Vec<Vec<u8>> {
    std::env::args_os().skip(1).map(OsString::into_vec).collect()
}

/// Finds out what `args`, the program's name excluded, ask for.
pub fn resolve(program: &'static Program, args: Vec<Vec<u8>>) -> Resolved {
    let Found { path, args, unknown, notes } = find(program.root, args);
    let command = *path.last().expect("a path begins with the program");
    if path.len() == 1
        && let Some(word) = unknown
    {
        return unknown_command(program.root, &word);
    }
    let refused = |message: &str| Resolved::Refused {
        text: format!("Error: {message}\n{}\n", usage(program, &path)),
        code: code::ERROR,
    };
    let mut flags = Flags::of(&path);
    let args = match flags.parse(args) {
        Ok(args) => args,
        Err(message) => return refused(&message),
    };
    if command.name == HELP && path.len() == 2 && !flags.bool(HELP) {
        return help_topic(program, args);
    }
    if flags.bool(HELP) || command.run.is_none() {
        return Resolved::Help(help(program, &path));
    }
    if let Err(message) = check_arguments(command, &path, &args) {
        return refused(&message);
    }
    let missing: Vec<String> = command
        .required
        .iter()
        .filter(|name| !flags.is_given(name))
        .map(|name| quote(name.as_bytes()))
        .collect();
    if !missing.is_empty() {
        return refused(&format!("required flag(s) {} not set", missing.join(", ")));
    }
    Resolved::Run { invocation: Invocation { path, flags, args }, notes }
}

fn unknown_command(root: &Command, word: &str) -> Resolved {
    let mut text = format!("Error: unknown command {} for \"{}\"\n", quote(word.as_bytes()), root.name);
    let suggestions = suggestions(root, word);
    if !suggestions.is_empty() {
        text.push_str("\nDid you mean this?\n");
        suggestions.iter().for_each(|name| text.push_str(&format!("\t{name}\n")));
        text.push('\n');
    }
    text.push_str(&format!("Run '{} --help' for usage.\n", root.name));
    Resolved::Refused { text, code: code::ERROR }
}

fn help_topic(program: &'static Program, words: Vec<Vec<u8>>) -> Resolved {
    let shown: Vec<String> =
        words.iter().map(|word| format!("`{}`", String::from_utf8_lossy(word))).collect();
    let found = find(program.root, words);
    if found.path.len() == 1 && found.unknown.is_some() {
        let usage = usage(program, &found.path);
        let text = format!("Unknown help topic [{}]\n{usage}", shown.join(" "));
        return Resolved::Refused { text, code: 0 };
    }
    Resolved::Help(help(program, &found.path))
}

fn check_arguments(command: &Command, path: &[&Command], args: &[Vec<u8>]) -> Result<(), String> {
    let wants = match command.arguments {
        Arguments::Any => return Ok(()),
        Arguments::Exactly(count) => count,
        Arguments::OneOf(_) => 1,
    };
    if args.len() != wants {
        return Err(format!("accepts {wants} arg(s), received {}", args.len()));
    }
    if let Arguments::OneOf(words) = command.arguments
        && let Some(other) =
            args.iter().find(|arg| !words.iter().any(|word| word.as_bytes() == arg.as_slice()))
    {
        return Err(format!("invalid argument {} for \"{}\"", quote(other), path_name(path)));
    }
    Ok(())
}
