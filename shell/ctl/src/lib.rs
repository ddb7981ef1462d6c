//! `etcdctl`: the command line of a running cluster.
//!
//! Layer: shell, above `client` (which makes the calls) and `utl` (which knows command lines, number formats and
//! offline files). Every command of the original is in its table (`tree`); those that do not work yet say so and end with 1.
//! Output is byte for byte that of etcdctl 3.7.1; the deliberate differences are in `docs/compat.md`.

mod compaction;
mod del;
mod endpoint;
mod get;
mod legacy;
mod member;
mod print;
mod put;
mod session;
mod tree;
mod txn;
mod version;

use std::process::ExitCode;
use utl::cli;

/// Runs the command that the arguments of this process ask for.
pub fn main() -> ExitCode {
    let args = cli::process_args();
    if args == [b"--version"] {
        version::print_all();
        return ExitCode::SUCCESS;
    }
    let resolved = cli::resolve(&tree::PROGRAM, args.clone());
    cli::perform(legacy::with_hint(resolved, &args))
}
