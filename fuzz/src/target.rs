//! How a target starts, and the bound on its memory.

use cap::Cap;
use std::alloc::System;
use std::path::Path;

/// Whether the code under test took the input for a good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did, and all that is checked of such an input was checked.
    Accepted,
    /// It gave an error.
    Refused,
}

impl Outcome {
    /// `Accepted` if `is_accepted`.
    pub fn of(is_accepted: bool) -> Self {
        if is_accepted { Self::Accepted } else { Self::Refused }
    }
}

/// Counts what is allocated. An allocation beyond the limit fails, which ends the process: the fuzzer reports the input.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// What an input may take whatever its length, in bytes: buffers of a fixed size and the disk in memory.
const ALLOWANCE_BYTES: usize = 4 << 20;
/// What it may take beyond that, per byte: a message of two bytes can be a value of some hundred.
const ALLOWANCE_PER_INPUT_BYTE: usize = 1024;

/// The variable that names a directory to write the seeds to instead of fuzzing.
const SEEDS_VARIABLE: &str = "FUZZ_SEEDS";

/// Runs one input within the bound on memory.
pub fn run(target: fn(&[u8]) -> Outcome, input: &[u8]) -> Outcome {
    let allowance = ALLOWANCE_BYTES + ALLOWANCE_PER_INPUT_BYTE * input.len();
    ALLOCATOR.set_limit(ALLOCATOR.allocated() + allowance).expect("the limit is above what is allocated");
    let outcome = target(input);
    ALLOCATOR.set_limit(usize::MAX).expect("there is no higher limit");
    outcome
}

/// Writes the seeds and ends the process if that is asked for; else returns, and fuzzing starts.
///
/// # Panics
/// If a seed is refused, for it leads nowhere then, or cannot be written.
pub fn initialize(target: fn(&[u8]) -> Outcome, seeds: fn() -> Vec<(String, Vec<u8>)>) {
    lift_the_bound_in_a_panic();
    let Some(directory) = std::env::var_os(SEEDS_VARIABLE) else { return };
    for (name, input) in seeds() {
        assert_eq!(run(target, &input), Outcome::Accepted, "seed {name}");
        let path = Path::new(&directory).join(&name);
        std::fs::write(&path, input).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
    }
    std::process::exit(0);
}

/// Describing a panic takes memory too.
fn lift_the_bound_in_a_panic() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // It fails only below what is allocated.
        let _ = ALLOCATOR.set_limit(usize::MAX);
        hook(panic);
    }));
}
