//! From what the system reports to what `vfs` calls it.

use rustix::io::Errno;
use std::io;
use std::path::Path;
use vfs::{Error, ErrorKind};

/// The error of `operation` on `path` that failed with `cause`.
pub(crate) fn error(operation: &'static str, path: &Path, cause: impl Into<io::Error>) -> Error {
    let cause = cause.into();
    Error::new(operation, path, kind(&cause), words(&cause))
}

fn kind(cause: &io::Error) -> ErrorKind {
    match Errno::from_io_error(cause) {
        Some(Errno::NOENT) => ErrorKind::NotFound,
        Some(Errno::EXIST) => ErrorKind::AlreadyExists,
        Some(Errno::AGAIN) => ErrorKind::Locked,
        Some(Errno::NOSPC | Errno::DQUOT) => ErrorKind::NoSpace,
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => ErrorKind::PermissionDenied,
        _ => ErrorKind::Other,
    }
}

/// The system's words as Go's programs print them: in lower case and without the number.
pub fn words(cause: &io::Error) -> String {
    let text = cause.to_string();
    let text = text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words);
    let mut chars = text.chars();
    match chars.next() {
        // "RPC is bad" keeps its capitals, "No space" loses its one.
        Some(first) if !chars.as_str().starts_with(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_speak_as_go_does() {
        let check = |errno: Errno, kind, words: &str| {
            let error = error("open", Path::new("/a"), errno);
            assert_eq!((error.kind, error.detail.as_str()), (kind, words));
        };
        check(Errno::NOENT, ErrorKind::NotFound, "no such file or directory");
        check(Errno::NOSPC, ErrorKind::NoSpace, "no space left on device");
        check(Errno::ACCESS, ErrorKind::PermissionDenied, "permission denied");
        check(Errno::AGAIN, ErrorKind::Locked, "resource temporarily unavailable");
        check(Errno::ROFS, ErrorKind::PermissionDenied, "read-only file system");
        check(Errno::IO, ErrorKind::Other, "input/output error");
    }
}
