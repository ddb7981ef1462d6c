//! What the black-box tests stand on: programs found, started, asked and ended.
//!
//! Layer: above everything. It knows our programs by their command lines, ports and files only; no crate of ours is
//! linked. `cargo xtask interop` builds what the tests start. A test whose programs are missing says so on standard
//! error and passes, unless the variable `CI` is `true`: then it fails.

mod directory;
mod place;
mod program;
mod server;

pub use directory::{Scratch, contents, copy};
pub use place::Place;
pub use program::{Outcome, Programs, ours, skip};
pub use server::Server;
