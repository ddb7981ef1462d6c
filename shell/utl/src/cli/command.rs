//! The tables: programs, commands, flags.

use super::failure::Failure;
use super::flags::{Flags, Invocation};

/// What a command does. It prints its own output; what it returns is printed as `Error: …`.
pub type Run = fn(&Invocation) -> Result<(), Failure>;

/// A program: its commands and the style of its help.
#[derive(Debug)]
pub struct Program {
    /// The program itself; its shared flags are the global ones.
    pub root: &'static Command,
    /// Whether help begins with the description of the command.
    pub has_titles: bool,
    /// Whether the global flags are left out of help.
    pub hides_global_flags: bool,
    /// The headings under which its commands are listed, in order; none for one list of all.
    pub groups: &'static [&'static str],
    /// The last line of help; empty for none.
    pub footer: &'static str,
}

/// One command or group of commands.
#[derive(Debug)]
pub struct Command {
    /// The word that selects it.
    pub name: &'static str,
    /// What follows the name in the usage line, `[flags]` excluded.
    pub usage: &'static str,
    /// One line for lists of commands.
    pub about: &'static str,
    /// The description in its own help; `about` if empty.
    pub details: &'static str,
    /// The heading under which the program lists it.
    pub group: &'static str,
    /// Its own flags.
    pub flags: &'static [Flag],
    /// Flags of it and of all commands below.
    pub shared_flags: &'static [Flag],
    /// Flags that must be given.
    pub required: &'static [&'static str],
    /// Which positional arguments are taken.
    pub arguments: Arguments,
    /// The commands below, sorted by name.
    pub commands: &'static [Command],
    /// `None` for a group.
    pub run: Option<Run>,
    /// Left out of lists: commands of older releases.
    pub is_hidden: bool,
}

impl Command {
    /// A group without anything, to be filled by struct update.
    pub const EMPTY: Self = Self {
        name: "",
        usage: "",
        about: "",
        details: "",
        group: "",
        flags: &[],
        shared_flags: &[],
        required: &[],
        arguments: Arguments::Any,
        commands: &[],
        run: None,
        is_hidden: false,
    };

    /// The command that shows the help of others.
    pub const fn help(group: &'static str) -> Self {
        Self { name: HELP, usage: "[command]", about: "Shows help of any command", group, ..Self::EMPTY }
    }

    /// Whether lists show it.
    pub(super) fn is_listed(&self) -> bool {
        !self.is_hidden
    }
}

pub(super) const HELP: &str = "help";

/// Which positional arguments a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// The command looks at them itself.
    Any,
    /// So many.
    Exactly(usize),
    /// One of these words; the usage does not speak of flags then.
    OneOf(&'static [&'static str]),
}

/// A flag.
#[derive(Debug)]
pub struct Flag {
    /// Its name, without dashes.
    pub name: &'static str,
    /// Its single letter.
    pub short: Option<char>,
    /// What it takes.
    pub kind: Kind,
    /// The value when it is not given, as it would be given; empty for a list means none.
    pub default: &'static str,
    /// What it is for.
    pub about: &'static str,
}

impl Flag {
    /// A boolean that is off unless given.
    pub const fn switch(name: &'static str, about: &'static str) -> Self {
        Self { name, short: None, kind: Kind::Bool, default: "false", about }
    }

    /// A signed number, 0 unless given.
    pub const fn int(name: &'static str, about: &'static str) -> Self {
        Self { name, short: None, kind: Kind::Int, default: "0", about }
    }

    /// An unsigned number, 0 unless given.
    pub const fn uint(name: &'static str, about: &'static str) -> Self {
        Self { name, short: None, kind: Kind::Uint, default: "0", about }
    }

    /// A text, empty unless given.
    pub const fn text(name: &'static str, about: &'static str) -> Self {
        Self { name, short: None, kind: Kind::Text, default: "", about }
    }

    /// A duration, given with its unit.
    pub const fn duration(name: &'static str, default: &'static str, about: &'static str) -> Self {
        Self { name, short: None, kind: Kind::Duration, default, about }
    }

    /// The flag with another default.
    #[must_use]
    pub const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    /// The flag with a single letter.
    #[must_use]
    pub const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }
}

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true`, `false` and their short forms; alone it means `true`.
    Bool,
    /// A signed 64-bit number.
    Int,
    /// An unsigned 64-bit number.
    Uint,
    /// Any text.
    Text,
    /// Texts separated by commas; the flag may be repeated.
    List,
    /// A duration such as `5s`.
    Duration,
}

/// Checks what the tables promise: commands sorted and each name once, no flag twice in a scope, defaults that are
/// values, required flags that exist. For tests.
///
/// # Panics
/// If something is wrong.
pub fn validate(program: &Program) {
    validate_below(&[program.root]);
}

fn validate_below(path: &[&'static Command]) {
    let command = path[path.len() - 1];
    let flags = Flags::of(path);
    flags.validate();
    for required in command.required {
        assert!(
            flags.by_name(required).is_some(),
            "{} requires --{required}, which it does not have",
            command.name
        );
    }
    let is_sorted = command.commands.is_sorted_by(|first, second| first.name < second.name);
    assert!(is_sorted, "the commands of {:?} are not sorted by name", command.name);
    for below in command.commands {
        validate_below(&[path, &[below]].concat());
    }
}

pub(super) static HELP_FLAG: Flag = Flag::switch(HELP, "").short('h');
