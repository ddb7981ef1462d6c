//! The signals that stop the process.
#![allow(unsafe_code, reason = "signal masks and waits have no safe wrapper")]

use std::io;
use std::mem::MaybeUninit;

/// A signal that asks the process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, from a terminal.
    Interrupt,
    /// SIGTERM, from a service manager.
    Terminate,
}

impl Signal {
    /// Its number on Linux: 2 or 15.
    pub fn number(self) -> i32 {
        match self {
            Self::Interrupt => libc::SIGINT,
            Self::Terminate => libc::SIGTERM,
        }
    }

    /// As Go prints it in etcd's log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupt",
            Self::Terminate => "terminated",
        }
    }
}

/// Both signals blocked, to be waited for.
pub struct Signals {
    set: libc::sigset_t,
}

impl Signals {
    /// Blocks SIGINT and SIGTERM in this thread and in those it starts later, and ignores SIGUSR1 and SIGUSR2, as Go's
    /// programs do. Call it before starting any thread.
    ///
    /// # Errors
    /// What the system reports.
    pub fn block() -> io::Result<Self> {
        let set = set_of(&[Signal::Interrupt, Signal::Terminate]);
        change_mask(libc::SIG_BLOCK, &set)?;
        for ignored in [libc::SIGUSR1, libc::SIGUSR2] {
            // SAFETY: to ignore these signals is a valid action for them.
            unsafe { libc::signal(ignored, libc::SIG_IGN) };
        }
        Ok(Self { set })
    }

    /// Waits for one of them.
    ///
    /// # Errors
    /// What the system reports.
    pub fn wait(&self) -> io::Result<Signal> {
        loop {
            let mut number = 0;
            // SAFETY: the set was initialised by `set_of`, and `number` outlives the call.
            let code = unsafe { libc::sigwait(&raw const self.set, &raw mut number) };
            match (code, number) {
                (0, libc::SIGINT) => return Ok(Signal::Interrupt),
                (0, libc::SIGTERM) => return Ok(Signal::Terminate),
                (0 | libc::EINTR, _) => {}
                (code, _) => return Err(io::Error::from_raw_os_error(code)),
            }
        }
    }
}

/// Ends the process as `signal` does by default, so that its parent sees what ended it.
///
/// The first process of a container is not ended by default actions: it exits with code 0, as etcd does.
pub fn end_by(signal: Signal) -> ! {
    if std::process::id() != 1 {
        // SAFETY: the default action is a valid one for both signals.
        unsafe { libc::signal(signal.number(), libc::SIG_DFL) };
        // If the mask cannot be changed the signal stays pending, and the exit below ends the process.
        let _ = change_mask(libc::SIG_UNBLOCK, &set_of(&[signal]));
        // SAFETY: raising a signal that has its default action touches no memory of ours.
        unsafe { libc::raise(signal.number()) };
    }
    std::process::exit(0)
}

fn set_of(signals: &[Signal]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initialises the whole set, and the numbers added are valid, so that neither call fails.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal.number());
        }
        set.assume_init()
    }
}

fn change_mask(how: i32, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the set is initialised, and the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}
