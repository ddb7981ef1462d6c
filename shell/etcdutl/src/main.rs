//! The `etcdutl` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    utl::main()
}
