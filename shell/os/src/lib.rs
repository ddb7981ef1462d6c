//! The operating system: real disk, clocks, entropy, signals and what the process knows about itself.
//!
//! Layer: the lowest of the shell, above `vfs`. It decides nothing. The disk is [`RealDisk`], the one that the traits
//! of `vfs` were made for; contract C9 rules its mapped views. The rest are plain functions.
//!
//! Linux only. `unsafe` is confined to the modules that say so.

pub mod clock;
mod disk;
pub mod entropy;
mod lock;
mod map;
pub mod notify;
pub mod process;
mod sigbus;
pub mod signals;
mod words;

pub use disk::RealDisk;
pub use words::words;
