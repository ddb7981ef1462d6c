//! Random bytes from the kernel.

use rustix::rand::{GetRandomFlags, getrandom};

/// Fills `buf` with bytes fit for secrets; waits, if need be, until the machine has gathered enough of them.
///
/// # Errors
/// What the kernel reports; it has no reason to after the first success.
pub fn fill(buf: &mut [u8]) -> std::io::Result<()> {
    let mut filled = 0;
    while filled < buf.len() {
        match getrandom(&mut buf[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// A random number, as a seed or an id.
///
/// # Errors
/// As [`fill`].
pub fn next_u64() -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_differ_and_long_buffers_are_filled() {
        assert_ne!(next_u64().unwrap(), next_u64().unwrap());
        let mut buf = vec![0; 1 << 20];
        fill(&mut buf).unwrap();
        assert!(buf[buf.len() - 64..].iter().any(|byte| *byte != 0));
    }
}
