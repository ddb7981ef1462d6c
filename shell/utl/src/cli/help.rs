//! Help and usage.

use super::command::{Arguments, Command, Flag, HELP, HELP_FLAG, Kind, Program};
use super::flags::path_name;
use crate::format::quote;

/// The help of the command at the end of `path`.
pub fn help(program: &Program, path: &[&Command]) -> String {
    let command = path.last().expect("a path begins with the program");
    let mut out = String::new();
    if program.has_titles {
        let title = if command.details.is_empty() { command.about } else { command.details };
        out.push_str(title.trim_end());
        out.push_str("\n\n");
    }
    out.push_str(&usage(program, path));
    if !program.footer.is_empty() {
        out.push_str(program.footer);
        out.push('\n');
    }
    out
}

/// The usage of the command at the end of `path`.
pub fn usage(program: &Program, path: &[&Command]) -> String {
    let command = path.last().expect("a path begins with the program");
    let name = path_name(path);
    let is_root = path.len() == 1;
    let has_commands = command.commands.iter().any(Command::is_listed);
    let mut out = String::from("Usage:");
    if command.run.is_some() || command.name == HELP {
        let separator = if command.usage.is_empty() { "" } else { " " };
        let flags = if matches!(command.arguments, Arguments::OneOf(_)) { "" } else { " [flags]" };
        out.push_str(&format!("\n  {name}{separator}{}{flags}", command.usage));
    }
    if has_commands {
        out.push_str(&format!("\n  {name} [command]"));
        push_commands(&mut out, command, if is_root { program.groups } else { &[] });
    }
    let mut own: Vec<(&Flag, String)> =
        command.flags.iter().map(|flag| (flag, flag.about.to_owned())).collect();
    if !(is_root && program.hides_global_flags) {
        own.extend(command.shared_flags.iter().map(|flag| (flag, flag.about.to_owned())));
        own.push((&HELP_FLAG, format!("help for {}", command.name)));
    }
    push_flags(&mut out, "Flags", own);
    let first_shown = usize::from(program.hides_global_flags);
    let above = path[..path.len() - 1].iter().skip(first_shown);
    let inherited = above.flat_map(|command| command.shared_flags).map(|flag| (flag, flag.about.to_owned()));
    push_flags(&mut out, "Global Flags", inherited.collect());
    if has_commands {
        out.push_str(&format!("\n\nUse \"{name} [command] --help\" for more information about a command."));
    }
    out.push('\n');
    out
}

/// The global flags, one a line.
pub fn options(program: &Program) -> String {
    let flags = program.root.shared_flags.iter().map(|flag| (flag, flag.about.to_owned())).collect();
    format!("{}\n", flag_lines(flags).join("\n"))
}

fn push_commands(out: &mut String, command: &Command, groups: &[&str]) {
    let listed = || command.commands.iter().filter(|command| command.is_listed());
    let width = listed().map(|command| command.name.len()).max().unwrap_or(0).max(NAME_WIDTH_MIN);
    let mut push = |title: &str, commands: Vec<&Command>| {
        out.push_str(&format!("\n\n{title}"));
        for command in commands {
            out.push_str(&format!("\n  {:width$} {}", command.name, command.about));
        }
    };
    if groups.is_empty() {
        push("Available Commands:", listed().collect());
    }
    for group in groups {
        push(group, listed().filter(|command| command.group == *group).collect());
    }
}

const NAME_WIDTH_MIN: usize = 11;

fn push_flags(out: &mut String, title: &str, flags: Vec<(&Flag, String)>) {
    if !flags.is_empty() {
        out.push_str(&format!("\n\n{title}:\n{}", flag_lines(flags).join("\n")));
    }
}

fn flag_lines(mut flags: Vec<(&Flag, String)>) -> Vec<String> {
    flags.sort_unstable_by_key(|(flag, _)| flag.name);
    let left: Vec<String> = flags.iter().map(|(flag, _)| flag_name(flag)).collect();
    let width = left.iter().map(String::len).max().unwrap_or(0);
    let with_about = |(left, (flag, about)): (&String, &(&Flag, String))| {
        format!("{left:width$}   {about}{}", shown_default(flag)).trim_end().to_owned()
    };
    left.iter().zip(&flags).map(with_about).collect()
}

fn flag_name(flag: &Flag) -> String {
    let name = match flag.short {
        Some(short) => format!("  -{short}, --{}", flag.name),
        None => format!("      --{}", flag.name),
    };
    match flag.kind {
        Kind::Bool => name,
        Kind::Int => name + " int",
        Kind::Uint => name + " uint",
        Kind::Text => name + " string",
        Kind::List => name + " strings",
        Kind::Duration => name + " duration",
    }
}

fn shown_default(flag: &Flag) -> String {
    match (flag.kind, flag.default) {
        (Kind::Bool, "false") | (Kind::Int | Kind::Uint, "0") | (_, "") | (Kind::Duration, "0s") => {
            String::new()
        }
        (Kind::Text, default) => format!(" (default {})", quote(default.as_bytes())),
        (Kind::List, default) => format!(" (default [{default}])"),
        (_, default) => format!(" (default {default})"),
    }
}
