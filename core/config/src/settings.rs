//! The value of every flag, and where it came from.

use std::collections::BTreeMap;

use types::Version;

use crate::flag::{Flag, Kind};
use crate::flags;
use crate::gates::Gates;
use crate::go::{self, GoDuration, NumberError, quote};
use crate::url::Url;

/// The value of a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Int`].
    Int(i64),
    /// Of [`Kind::Uint`] and [`Kind::Uint32`].
    Uint(u64),
    /// Of the kinds of durations.
    Duration(GoDuration),
    /// Of [`Kind::Text`], [`Kind::OneOf`], [`Kind::SomeOf`] and [`Kind::Anything`].
    Text(String),
    /// Of [`Kind::Urls`].
    Urls(Vec<Url>),
    /// Of [`Kind::List`], [`Kind::Set`] and [`Kind::Origins`].
    List(Vec<String>),
    /// Of [`Kind::Gates`].
    Gates(Gates),
    /// Of [`Kind::Level`].
    Level(Option<Version>),
}

impl Value {
    fn initial(flag: &Flag) -> Self {
        let nothing = match flag.kind {
            Kind::Urls => Self::Urls(Vec::new()),
            Kind::Gates => Self::Gates(Gates::default()),
            Kind::Set if flag.default.is_empty() => return Self::List(Vec::new()),
            _ => Self::Text(String::new()),
        };
        Self::parse(flag.kind, flag.default, &nothing).expect("the defaults of the table are valid")
    }

    /// Reads `text`, which comes after `current`: an empty list of URLs keeps that one, gates add to it.
    fn parse(kind: Kind, text: &str, current: &Self) -> Result<Self, String> {
        Ok(match kind {
            Kind::Bool => Self::Bool(go::parse_bool(text).ok_or("parse error")?),
            Kind::Int => Self::Int(go::parse_int(text).map_err(number_text)?),
            Kind::Uint => Self::Uint(go::parse_uint(text).map_err(number_text)?),
            Kind::Uint32 => Self::Uint(parse_uint32(text)?),
            Kind::DurationOrEmpty if text.is_empty() => Self::Duration(GoDuration(0)),
            Kind::Duration | Kind::DurationOrEmpty => {
                Self::Duration(GoDuration::parse(text).map_err(|_| "parse error")?)
            }
            Kind::Text | Kind::Anything => Self::Text(text.to_owned()),
            Kind::OneOf(words) if !words.contains(&text) => return Err("invalid value".to_owned()),
            Kind::OneOf(_) => Self::Text(text.to_owned()),
            Kind::SomeOf(words) => match text.split(',').find(|word| !words.contains(word)) {
                Some(bad) => return Err(format!("invalid value {}", quote(bad))),
                None => Self::Text(text.to_owned()),
            },
            Kind::Urls if text.is_empty() => current.clone(),
            Kind::Urls => Self::Urls(Url::parse_list(text)?),
            Kind::Origins if text.is_empty() || text == "*" => Self::List(vec![text.to_owned()]),
            Kind::Origins => Self::List(Url::parse_list(text)?.iter().map(Url::to_string).collect()),
            Kind::List if text.is_empty() => Self::List(Vec::new()),
            Kind::List => Self::List(text.split(',').map(str::to_owned).collect()),
            Kind::Set => {
                let mut words: Vec<_> = text.split(',').map(str::to_owned).collect();
                words.sort();
                words.dedup();
                Self::List(words)
            }
            Kind::Gates => {
                let mut gates =
                    if let Self::Gates(gates) = current { gates.clone() } else { Gates::default() };
                gates.add(text)?;
                Self::Gates(gates)
            }
            Kind::Level if text.is_empty() => Self::Level(None),
            Kind::Level => Self::Level(Some(parse_level(text)?)),
        })
    }
}

fn number_text(error: NumberError) -> String {
    match error {
        NumberError::Syntax => "parse error".to_owned(),
        NumberError::Range => "value out of range".to_owned(),
    }
}

fn parse_uint32(text: &str) -> Result<u64, String> {
    let why = match go::parse_uint(text) {
        Ok(value) if u32::try_from(value).is_ok() => return Ok(value),
        Ok(_) | Err(NumberError::Range) => "value out of range",
        Err(NumberError::Syntax) => "invalid syntax",
    };
    Err(format!("strconv.ParseUint: parsing {}: {why}", quote(text)))
}

fn parse_level(text: &str) -> Result<Version, String> {
    let level = (text.split('.').count() == 2).then(|| format!("{text}.0").parse::<Version>());
    level.and_then(Result::ok).ok_or_else(|| "must be of the form X.Y".to_owned())
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing was said.
    Default,
    /// The command line.
    CommandLine,
    /// The environment.
    Environment,
    /// An old flag that this one took over.
    OldFlag,
}

/// A flag with its value.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The entry of the table.
    pub flag: &'static Flag,
    /// The value in force.
    pub value: Value,
    /// The value as it was last given; the default's text if it never was.
    pub text: String,
    /// Where it came from.
    pub origin: Origin,
}

impl Setting {
    /// It was said, not left to the default.
    pub fn is_given(&self) -> bool {
        self.origin != Origin::Default
    }
}

/// Every flag of the table with its value, by name.
#[derive(Clone, Debug)]
pub struct Settings {
    by_name: BTreeMap<&'static str, Setting>,
}

impl Settings {
    /// Every flag at its default.
    pub fn defaults() -> Self {
        let setting = |flag: &'static Flag| Setting {
            flag,
            value: Value::initial(flag),
            text: flag.default.to_owned(),
            origin: Origin::Default,
        };
        Self { by_name: flags::all().map(|flag| (flag.name, setting(flag))).collect() }
    }

    /// Gives `flag` a value. The error is the text behind `invalid value "V" for flag -X: `.
    pub(crate) fn set(&mut self, flag: &'static Flag, text: &str, origin: Origin) -> Result<(), String> {
        let setting = self.by_name.get_mut(flag.name).expect("every flag of the table has a setting");
        setting.value = Value::parse(flag.kind, text, &setting.value)?;
        setting.text = text.to_owned();
        setting.origin = origin;
        Ok(())
    }

    /// Switches a gate, as its old flag says.
    pub(crate) fn set_gate(&mut self, name: &str, on: bool) -> Result<(), String> {
        let setting = self.by_name.get_mut("feature-gates").expect("every flag of the table has a setting");
        if let Value::Gates(gates) = &mut setting.value {
            gates.set(name, on)?;
            setting.text = gates.to_string();
            if setting.origin == Origin::Default {
                setting.origin = Origin::OldFlag;
            }
        }
        Ok(())
    }

    /// All settings in order of name.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.by_name.values()
    }

    /// The setting of the flag called `name`.
    ///
    /// # Panics
    /// When the table has no such flag: a bug in the caller, not in what was typed. So do the readers below, also when
    /// the flag is of another kind.
    pub fn get(&self, name: &str) -> &Setting {
        self.by_name.get(name).expect("the name is one of the table")
    }

    /// The flag called `name` was given a value.
    pub fn is_given(&self, name: &str) -> bool {
        self.get(name).is_given()
    }

    /// The value of a flag of [`Kind::Bool`].
    pub fn bool(&self, name: &str) -> bool {
        if let Value::Bool(value) = self.get(name).value { value } else { wrong_kind(name) }
    }

    /// The value of a flag of [`Kind::Int`].
    pub fn int(&self, name: &str) -> i64 {
        if let Value::Int(value) = self.get(name).value { value } else { wrong_kind(name) }
    }

    /// The value of a flag of [`Kind::Uint`] or [`Kind::Uint32`].
    pub fn uint(&self, name: &str) -> u64 {
        if let Value::Uint(value) = self.get(name).value { value } else { wrong_kind(name) }
    }

    /// The value of a flag of a kind of duration.
    pub fn duration(&self, name: &str) -> GoDuration {
        if let Value::Duration(value) = self.get(name).value { value } else { wrong_kind(name) }
    }

    /// The value of a flag of a kind of text.
    pub fn text(&self, name: &str) -> &str {
        if let Value::Text(value) = &self.get(name).value { value } else { wrong_kind(name) }
    }

    /// The value of a flag of [`Kind::Urls`].
    pub fn urls(&self, name: &str) -> &[Url] {
        if let Value::Urls(value) = &self.get(name).value { value } else { wrong_kind(name) }
    }

    /// The value of a flag of a kind of list.
    pub fn list(&self, name: &str) -> &[String] {
        if let Value::List(value) = &self.get(name).value { value } else { wrong_kind(name) }
    }

    /// The feature gates.
    pub fn gates(&self) -> &Gates {
        if let Value::Gates(value) = &self.get("feature-gates").value {
            value
        } else {
            wrong_kind("feature-gates")
        }
    }

    /// The value of a flag of [`Kind::Level`].
    pub fn level(&self, name: &str) -> Option<Version> {
        if let Value::Level(value) = self.get(name).value { value } else { wrong_kind(name) }
    }
}

fn wrong_kind(name: &str) -> ! {
    panic!("flag {name} is read as a kind that it is not")
}
