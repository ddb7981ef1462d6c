//! Small parts that every layer needs and the standard library lacks. Depends on nothing.
//!
//! Layer: the lowest. Never touches clock, randomness, threads or files: what needs a seed takes one.

pub mod fnv;
pub mod hex;
pub mod json;
pub mod prng;
