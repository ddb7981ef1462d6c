//! Flags as given.

use super::command::{Command, Flag, HELP_FLAG, Kind};
use crate::format::{duration_text, parse_bool, parse_duration, parse_int, parse_uint, quote};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// A command with its flags and arguments.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The program and the names down to the command.
    pub path: Vec<&'static Command>,
    /// Its flags, global ones included.
    pub flags: Flags,
    /// Positional arguments: any bytes.
    pub args: Vec<Vec<u8>>,
}

impl Invocation {
    /// The command.
    pub fn command(&self) -> &'static Command {
        self.path.last().expect("a path begins with the program")
    }

    /// The words that select the command, the program's name included.
    pub fn name(&self) -> String {
        path_name(&self.path)
    }

    /// An argument as text, for numbers and file names.
    pub fn text(&self, position: usize) -> Option<Cow<'_, str>> {
        self.args.get(position).map(|arg| String::from_utf8_lossy(arg))
    }
}

pub(super) fn path_name(path: &[&Command]) -> String {
    path.iter().map(|command| command.name).collect::<Vec<_>>().join(" ")
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Text(String),
    List(Vec<String>),
    Duration(i64),
}

/// The flags in scope of a command and the values given for them.
#[derive(Clone, Debug)]
pub struct Flags {
    scope: Vec<&'static Flag>,
    given: BTreeMap<&'static str, Value>,
}

impl Flags {
    /// The flags in scope at the end of `path`.
    pub(super) fn of(path: &[&'static Command]) -> Self {
        let mut scope = vec![&HELP_FLAG];
        scope.extend(path.iter().flat_map(|command| command.shared_flags));
        scope.extend(path.last().into_iter().flat_map(|command| command.flags));
        Self { scope, given: BTreeMap::new() }
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&'static Flag> {
        self.scope.iter().copied().find(|flag| flag.name == name)
    }

    pub(super) fn by_short(&self, short: char) -> Option<&'static Flag> {
        self.scope.iter().copied().find(|flag| flag.short == Some(short))
    }

    /// Panics if a flag is there twice or a default is no value.
    pub(super) fn validate(&self) {
        for (position, flag) in self.scope.iter().enumerate() {
            let others = &self.scope[position + 1..];
            let is_twice = others
                .iter()
                .any(|other| other.name == flag.name || (other.short.is_some() && other.short == flag.short));
            assert!(!is_twice, "--{} is there twice", flag.name);
            assert!(parse(flag.kind, flag.default).is_ok(), "the default of --{} is no value", flag.name);
        }
    }

    /// Whether the flag was given.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// The value of a boolean flag.
    pub fn bool(&self, name: &str) -> bool {
        matches!(self.value(name), Value::Bool(true))
    }

    /// The value of a signed number.
    pub fn int(&self, name: &str) -> i64 {
        let Value::Int(value) = self.value(name) else { wrong_kind(name) };
        value
    }

    /// The value of an unsigned number.
    pub fn uint(&self, name: &str) -> u64 {
        let Value::Uint(value) = self.value(name) else { wrong_kind(name) };
        value
    }

    /// The value of a text.
    pub fn text(&self, name: &str) -> String {
        let Value::Text(value) = self.value(name) else { wrong_kind(name) };
        value
    }

    /// The values of a list.
    pub fn list(&self, name: &str) -> Vec<String> {
        let Value::List(value) = self.value(name) else { wrong_kind(name) };
        value
    }

    /// The value of a duration; a negative one is zero.
    pub fn duration(&self, name: &str) -> Duration {
        let Value::Duration(nanos) = self.value(name) else { wrong_kind(name) };
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    /// The value of any flag as the reference prints it.
    pub fn shown(&self, name: &str) -> String {
        match self.value(name) {
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Uint(value) => value.to_string(),
            Value::Text(value) => value,
            Value::List(values) => format!("[{}]", values.join(",")),
            Value::Duration(nanos) => duration_text(Duration::from_nanos(nanos.unsigned_abs())),
        }
    }

    /// Gives a flag a value, as if it stood on the command line; a list grows.
    ///
    /// # Errors
    /// Why the text is no value of its kind, in Go's words.
    ///
    /// # Panics
    /// If no such flag is in scope.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        let flag = self.by_name(name).unwrap_or_else(|| wrong_kind(name));
        let mut value = parse(flag.kind, text)?;
        if let (Value::List(new), Some(Value::List(old))) = (&mut value, self.given.get(flag.name)) {
            new.splice(0..0, old.iter().cloned());
        }
        self.given.insert(flag.name, value);
        Ok(())
    }

    /// Reads flags out of `args`; returns the positional arguments.
    pub(super) fn parse(&mut self, args: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, String> {
        let mut args = args.into_iter();
        let mut positional = Vec::new();
        while let Some(arg) = args.next() {
            match arg.as_slice() {
                b"--" => {
                    positional.extend(args);
                    break;
                }
                [b'-', b'-', ..] => self.parse_long(&String::from_utf8_lossy(&arg), &mut args)?,
                [b'-', _, ..] => self.parse_short(&String::from_utf8_lossy(&arg), &mut args)?,
                _ => positional.push(arg),
            }
        }
        Ok(positional)
    }

    fn parse_long(&mut self, arg: &str, args: &mut impl Iterator<Item = Vec<u8>>) -> Result<(), String> {
        let body = &arg[2..];
        if body.starts_with(['-', '=']) {
            return Err(format!("bad flag syntax: {arg}"));
        }
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let flag = self.by_name(name).ok_or_else(|| format!("unknown flag: --{name}"))?;
        let value = value
            .or_else(|| (flag.kind == Kind::Bool).then(|| "true".to_owned()))
            .or_else(|| args.next().map(into_text))
            .ok_or_else(|| format!("flag needs an argument: --{name}"))?;
        self.set_named(flag, &value)
    }

    fn parse_short(&mut self, arg: &str, args: &mut impl Iterator<Item = Vec<u8>>) -> Result<(), String> {
        let mut letters = &arg[1..];
        while let Some(letter) = letters.chars().next() {
            let rest = &letters[letter.len_utf8()..];
            let flag = self
                .by_short(letter)
                .ok_or_else(|| format!("unknown shorthand flag: '{letter}' in -{letters}"))?;
            let mut after = "";
            let value = match rest.strip_prefix('=') {
                Some(value) if !value.is_empty() => value.to_owned(),
                _ if flag.kind == Kind::Bool => {
                    after = rest;
                    "true".to_owned()
                }
                _ if !rest.is_empty() => rest.to_owned(),
                _ => args
                    .next()
                    .map(into_text)
                    .ok_or_else(|| format!("flag needs an argument: '{letter}' in -{letters}"))?,
            };
            self.set_named(flag, &value)?;
            letters = after;
        }
        Ok(())
    }

    fn set_named(&mut self, flag: &Flag, text: &str) -> Result<(), String> {
        self.set(flag.name, text).map_err(|error| {
            let name = match flag.short {
                Some(short) => format!("-{short}, --{}", flag.name),
                None => format!("--{}", flag.name),
            };
            format!("invalid argument {} for \"{name}\" flag: {error}", quote(text.as_bytes()))
        })
    }

    fn value(&self, name: &str) -> Value {
        match self.given.get(name) {
            Some(value) => value.clone(),
            None => {
                let flag = self.by_name(name).unwrap_or_else(|| wrong_kind(name));
                parse(flag.kind, flag.default).expect("defaults are values; checked by a test of each table")
            }
        }
    }
}

fn wrong_kind(name: &str) -> ! {
    panic!("the command's table has no flag --{name} of this kind")
}

fn into_text(arg: Vec<u8>) -> String {
    String::from_utf8_lossy(&arg).into_owned()
}

fn parse(kind: Kind, text: &str) -> Result<Value, String> {
    Ok(match kind {
        Kind::Bool => Value::Bool(parse_bool(text)?),
        Kind::Int => Value::Int(parse_int(text, 0)?),
        Kind::Uint => Value::Uint(parse_uint(text, 0)?),
        Kind::Text => Value::Text(text.to_owned()),
        Kind::List if text.is_empty() => Value::List(Vec::new()),
        Kind::List => Value::List(text.split(',').map(str::to_owned).collect()),
        Kind::Duration => Value::Duration(parse_duration(text)?),
    })
}
