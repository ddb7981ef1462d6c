//! The disk as values and traits, and jobs that wait for it.
//!
//! Layer: above `stdx`. Everything in core that touches files does it through [`Disk`] and [`File`].
//! Two implementations exist: the real one in `shell/os`, and [`mem`], which can lose, tear and reorder whatever
//! was not synced.
//!
//! **Contract C1, split-phase.** Reads and writes take effect at once (in the cache of the operating system).
//! Durability points do not happen inside core: an operation that needs one is an `async fn` that takes a [`Cx`] and
//! awaits [`Cx::sync_data`] or [`Cx::sync_dir`]. A [`Job`] wraps such a function; whoever drives it calls
//! [`Job::step`], gets [`Step::Perform`] back, performs it (a blocking call on a thread, or a completion later in virtual
//! time, or never) and steps again with the result. So a crash or a stall can fall between any two steps.
//! [`Effect::perform`] is for drivers only. There is no runtime: the future is polled by `step` alone.

mod disk;
mod error;
mod job;
pub mod mem;

pub use disk::{Disk, File, LockKind, OpenMode, Page, View};
pub use error::{Error, ErrorKind, Result};
pub use job::{Cx, Effect, Job, Step, drive};
