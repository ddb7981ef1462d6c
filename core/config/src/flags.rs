//! The one table of flags, a file for each section.
//!
//! It holds every flag of etcd 3.7.1, every flag of 3.3 to 3.6 that later releases dropped, the names that etcd accepts
//! and forgets, and our own. Parsing, environment, help text and checks all read this table.

mod clustering;
mod features;
mod logging;
mod member;
mod monitoring;
mod old;
mod security;

use crate::flag::Flag;

const TABLES: [&[Flag]; 9] = [
    member::FLAGS,
    clustering::FLAGS,
    security::FLAGS,
    monitoring::FLAGS,
    logging::FLAGS,
    features::FLAGS,
    old::DEPRECATED,
    old::RETIRED,
    old::IGNORED,
];

/// Every flag, section by section.
pub fn all() -> impl Iterator<Item = &'static Flag> {
    TABLES.into_iter().flatten()
}

/// Every flag in order of name, the order in which the environment is read.
pub(crate) fn by_name() -> Vec<&'static Flag> {
    let mut flags: Vec<_> = all().collect();
    flags.sort_by_key(|flag| flag.name);
    flags
}

/// The flag called `name` (without dashes).
pub fn find(name: &str) -> Option<&'static Flag> {
    all().find(|flag| flag.name == name)
}
