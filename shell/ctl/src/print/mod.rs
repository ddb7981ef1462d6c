//! Answers in the five output formats.

mod fields;
mod json;
mod simple;

pub(crate) use fields::{header as fields_header, line as fields_line};
pub(crate) use json::{
    Object, array, header as json_header, hex_header as json_hex_header, strings as json_strings,
};

use prost::Message;
use proto::etcdserverpb::response_op::Response;
use utl::format::Table;

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Simple,
    /// One JSON document a line.
    Json,
    /// `"Name" : value` lines.
    Fields,
    /// A box.
    Table,
    /// The bytes of the answer.
    Protobuf,
}

impl Format {
    /// What commands about keys can print.
    pub(crate) const OF_KEYS: [Self; 4] = [Self::Simple, Self::Json, Self::Fields, Self::Protobuf];
    /// What commands about endpoints can print.
    pub(crate) const OF_ENDPOINTS: [Self; 4] = [Self::Simple, Self::Json, Self::Fields, Self::Table];
    /// For commands that print the same in all of them, and lists of members.
    pub(crate) const ALL: [Self; 5] = [Self::Simple, Self::Json, Self::Fields, Self::Table, Self::Protobuf];

    /// The format of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Its name in flags and messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Json => "json",
            Self::Fields => "fields",
            Self::Table => "table",
            Self::Protobuf => "protobuf",
        }
    }
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// The format.
    pub format: Format,
    /// Keys, values or identities in hexadecimal, as the format has it.
    pub is_hex: bool,
    /// Values without their keys, in the format simple.
    pub is_value_only: bool,
}

/// An answer about keys, line feeds included.
///
/// # Panics
/// If the format is not one of [`Format::OF_KEYS`].
pub(crate) fn answer(response: &Response, style: Style) -> Vec<u8> {
    match style.format {
        Format::Simple => simple::answer(response, style),
        Format::Fields => fields::answer(response, style.is_hex).into_bytes(),
        Format::Json => (json::answer(response) + "\n").into_bytes(),
        Format::Protobuf => match response {
            Response::ResponseRange(response) => response.encode_to_vec(),
            Response::ResponsePut(response) => response.encode_to_vec(),
            Response::ResponseDeleteRange(response) => response.encode_to_vec(),
            Response::ResponseTxn(response) => response.encode_to_vec(),
        },
        Format::Table => panic!("the command has not refused the format table"),
    }
}

/// Rows one a line, cells separated by commas.
pub(crate) fn comma_lines(rows: &[Vec<String>]) -> String {
    rows.iter().map(|row| row.join(", ") + "\n").collect()
}

/// Rows in a box.
pub(crate) fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new(headers);
    rows.iter().for_each(|row| table.push(row.iter().cloned()));
    table.draw()
}
