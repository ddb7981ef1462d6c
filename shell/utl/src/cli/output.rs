//! Writing what a command has to say.

use std::io::{ErrorKind, Write, stderr, stdout};

/// Writes to stdout, at once.
///
/// Ends the process quietly when nobody reads any more, as the originals do, which die of the pipe signal then.
pub fn print(bytes: impl AsRef<[u8]>) {
    let mut out = stdout().lock();
    check(out.write_all(bytes.as_ref()).and_then(|()| out.flush()));
}

/// Writes a line to stderr.
pub fn warn(line: impl AsRef<str>) {
    check(writeln!(stderr().lock(), "{}", line.as_ref()));
}

/// What a shell shows for a process that the pipe signal ended.
const PIPE_SIGNAL_STATUS: i32 = 128 + 13;

fn check(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() == ErrorKind::BrokenPipe
    {
        std::process::exit(PIPE_SIGNAL_STATUS);
    }
}
