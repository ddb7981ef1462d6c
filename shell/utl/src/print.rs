//! One record in the four output formats.

use crate::cli::{Failure, Flags};
use crate::format::Table;

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Simple,
    Json,
    Fields,
    Table,
    /// Known, but nothing here can be printed in it.
    Protobuf,
}

impl Format {
    /// The format that `--write-out` names.
    pub(crate) fn of(flags: &Flags) -> Result<Self, Failure> {
        match flags.text("write-out").as_str() {
            "simple" => Ok(Self::Simple),
            "json" => Ok(Self::Json),
            "fields" => Ok(Self::Fields),
            "table" => Ok(Self::Table),
            "protobuf" => Ok(Self::Protobuf),
            _ => Err(Failure::feature("unsupported output format")),
        }
    }
}

/// A value under the names that it has in the formats.
pub(crate) struct Field {
    /// Name in JSON.
    pub json_name: &'static str,
    /// Name in the format fields.
    pub name: &'static str,
    /// Heading of its column.
    pub heading: &'static str,
    /// The value as JSON.
    pub json: String,
    /// The value in the format fields.
    pub exact: String,
    /// The value for people.
    pub shown: String,
}

impl Field {
    /// A number, which is the same in all formats.
    pub(crate) fn number(
        json_name: &'static str,
        name: &'static str,
        heading: &'static str,
        value: i64,
    ) -> Self {
        let text = value.to_string();
        Self { json_name, name, heading, json: text.clone(), exact: text.clone(), shown: text }
    }
}

/// A line, or lines, with all of `fields`.
pub(crate) fn record(fields: &[Field], format: Format) -> Result<String, Failure> {
    let joined = |text: &dyn Fn(&Field) -> String, separator: &str| {
        fields.iter().map(text).collect::<Vec<_>>().join(separator)
    };
    match format {
        Format::Simple => Ok(joined(&|field| field.shown.clone(), ", ") + "\n"),
        Format::Json => {
            let pairs = joined(&|field| format!("\"{}\":{}", field.json_name, field.json), ",");
            Ok(format!("{{{pairs}}}\n"))
        }
        Format::Fields => Ok(joined(&|field| format!("\"{}\" : {}\n", field.name, field.exact), "")),
        Format::Table => {
            let headings: Vec<&str> = fields.iter().map(|field| field.heading).collect();
            let mut table = Table::new(&headings);
            table.push(fields.iter().map(|field| field.shown.clone()));
            Ok(table.draw())
        }
        Format::Protobuf => Err(Failure::feature("protobuf not supported as output format")),
    }
}
