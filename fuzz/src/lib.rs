//! What the fuzz targets share: how they start, how much memory an input may take, and the disk they work on.
//!
//! A target is a program in `targets/` that gives bytes nobody vouches for to the parts that read them: files found on
//! a disk, messages from a network. It must not panic, hang or take memory out of proportion to the input, and what it
//! accepts must hold together: read twice it is the same, and it can be gone on with. `cargo xtask fuzz` builds and
//! runs the targets.
//!
//! Layer: above everything; nothing depends on it. No target touches a real disk or a socket.

mod disk;
mod input;
mod target;

pub use disk::{contents_of, disk_with, drive_job};
pub use input::Input;
pub use target::{Outcome, initialize, run};

/// Makes a fuzz target of `run`, which takes an input and says whether the code under test accepted it, and `seeds`,
/// which returns inputs that it accepts, by name.
#[macro_export]
macro_rules! target {
    ($run:path, $seeds:path) => {
        libfuzzer_sys::fuzz_target!(init: $crate::initialize($run, $seeds), |input: &[u8]| {
            $crate::run($run, input);
        });
    };
}
