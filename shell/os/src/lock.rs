//! The locks of a data directory.
#![allow(unsafe_code, reason = "open-file-description locks have no safe wrapper")]

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};
use vfs::LockKind;

/// Takes a lock without waiting; `EAGAIN` if another open file description has it.
pub(crate) fn try_lock(fd: BorrowedFd<'_>, kind: LockKind) -> Result<(), Errno> {
    match kind {
        LockKind::OpenFileDescription => match lock_description(fd) {
            // A kernel or file system without them: etcd falls back to the same.
            Err(Errno::INVAL) => flock(fd, FlockOperation::NonBlockingLockExclusive),
            // POSIX allows either number for a lock that another one holds.
            Err(Errno::ACCESS) => Err(Errno::AGAIN),
            other => other,
        },
        LockKind::FlockExclusive => flock(fd, FlockOperation::NonBlockingLockExclusive),
        LockKind::FlockShared => flock(fd, FlockOperation::NonBlockingLockShared),
    }
}

fn lock_description(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // Length 0: to the end of the file, wherever that comes to be.
    let whole_file = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open for the length of the call, and the kernel only reads the structure.
    let result = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, &raw const whole_file) };
    if result == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}
