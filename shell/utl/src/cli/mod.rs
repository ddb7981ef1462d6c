//! Command lines as etcd's tools take them: a table of commands and flags, and the rules around it.
//!
//! The rules are those that operators and scripts know from the originals: flags may stand anywhere, before or after
//! the command; a command may be shortened to any prefix that only it has; a group without a command shows its help and
//! succeeds; what cannot be parsed shows an error and the usage on stderr and ends with 1.

mod command;
mod failure;
mod find;
mod flags;
mod help;
mod output;
mod resolve;

pub use command::{Arguments, Command, Flag, Kind, Program, Run, validate};
pub use failure::{Failure, code};
pub use flags::{Flags, Invocation};
pub use help::{help, options, usage};
pub use output::{print, warn};
pub use resolve::{Resolved, perform, process_args, resolve};
