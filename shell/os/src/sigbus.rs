//! What happens when the disk fails under a mapping (contract C9).
//!
//! A read of a mapped page that the device cannot deliver, or that was cut off the file, is a signal and not an error
//! value. The handler looks the address up in a table of the mapped files, prints one line with file and offset, and
//! ends the process with code 1. It uses nothing but atomics and system calls, as a handler must.
#![allow(unsafe_code, reason = "signal handlers have no safe wrapper")]

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

/// Mappings beyond these are reported without the name of the file.
const SLOT_COUNT: usize = 32;
/// Longer paths are reported by their end.
const PATH_LEN_MAX: usize = 512;
const EXIT_CODE: i32 = 1;

struct Slot {
    taken: AtomicBool,
    start: AtomicUsize,
    /// 0 while the slot is being filled or is free.
    end: AtomicUsize,
    path_len: AtomicUsize,
    path: [AtomicU8; PATH_LEN_MAX],
}

impl Slot {
    const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            path_len: AtomicUsize::new(0),
            path: [const { AtomicU8::new(0) }; PATH_LEN_MAX],
        }
    }
}

static SLOTS: [Slot; SLOT_COUNT] = [const { Slot::new() }; SLOT_COUNT];
static INSTALL: Once = Once::new();

/// A mapped range in the table, until it is dropped.
pub(crate) struct Registration(Option<usize>);

/// Enters the addresses `start..start + len` as a mapping of the file `path` from its beginning.
pub(crate) fn register(path: &Path, start: usize, len: usize) -> Registration {
    INSTALL.call_once(install);
    let free = SLOTS.iter().position(|slot| !slot.taken.swap(true, Ordering::Acquire));
    let Some(index) = free else { return Registration(None) };
    let slot = &SLOTS[index];
    let bytes = path.as_os_str().as_bytes();
    let shown = &bytes[bytes.len().saturating_sub(PATH_LEN_MAX)..];
    for (cell, byte) in slot.path.iter().zip(shown) {
        cell.store(*byte, Ordering::Relaxed);
    }
    slot.path_len.store(shown.len(), Ordering::Relaxed);
    slot.start.store(start, Ordering::Relaxed);
    slot.end.store(start + len, Ordering::Release);
    Registration(Some(index))
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(index) = self.0 {
            SLOTS[index].end.store(0, Ordering::Relaxed);
            SLOTS[index].taken.store(false, Ordering::Release);
        }
    }
}

fn install() {
    // SAFETY: a zeroed `sigaction` is a valid one with an empty mask; the handler has the signature that SA_SIGINFO
    // asks for and is async-signal-safe. SA_ONSTACK uses the stack that the standard library gives each thread.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_bus_error as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut());
    }
}

extern "C" fn on_bus_error(_signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a valid structure, and for SIGBUS its address is set.
    let address = unsafe { (*info).si_addr() } as usize;
    for slot in &SLOTS {
        let (end, start) = (slot.end.load(Ordering::Acquire), slot.start.load(Ordering::Relaxed));
        if (start..end).contains(&address) {
            report(slot, address - start);
            // SAFETY: ends the process at once; nothing of ours runs after it.
            unsafe { libc::_exit(EXIT_CODE) };
        }
    }
    // Not one of our mappings: with the default action back, the same access ends the process as if nothing was here.
    // SAFETY: the default action is a valid one.
    unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
}

/// Prints the line; formats by hand because allocating or locking in a handler can hang.
fn report(slot: &Slot, offset: usize) {
    let mut line = Line { bytes: [0; PATH_LEN_MAX + 160], len: 0 };
    line.push(b"fatal: the disk failed under a mapped file, or the file was cut: ");
    for cell in slot.path.iter().take(slot.path_len.load(Ordering::Relaxed)) {
        line.push(&[cell.load(Ordering::Relaxed)]);
    }
    line.push(b" at offset ");
    line.push_number(offset);
    line.push(b"\n");
    // SAFETY: the bytes are initialised and outlive the call. A failed write cannot be reported anywhere.
    unsafe { libc::write(libc::STDERR_FILENO, line.bytes.as_ptr().cast(), line.len) };
}

struct Line {
    bytes: [u8; PATH_LEN_MAX + 160],
    len: usize,
}

impl Line {
    fn push(&mut self, text: &[u8]) {
        for byte in text {
            if let Some(cell) = self.bytes.get_mut(self.len) {
                *cell = *byte;
                self.len += 1;
            }
        }
    }

    fn push_number(&mut self, number: usize) {
        if number >= 10 {
            self.push_number(number / 10);
        }
        self.push(&[b'0' + (number % 10) as u8]);
    }
}
