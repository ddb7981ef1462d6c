//! Encoded messages inside others, put together without copying them at every level.

use crate::answer::put_key_len;
use prost::encoding::encoded_len_varint;

/// The fields of a message in pieces; written into one run of bytes at the end.
#[derive(Default)]
pub(crate) struct Rope {
    pieces: Vec<Piece>,
    len: usize,
}

enum Piece {
    Bytes(Vec<u8>),
    Inner(Rope),
}

impl From<Vec<u8>> for Rope {
    fn from(bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        Self { pieces: vec![Piece::Bytes(bytes)], len }
    }
}

impl Rope {
    /// Appends `inner` as the message in field `path[0]`, or as the one in field `path[1]` of the one in `path[0]`, and
    /// so on.
    pub fn put(&mut self, path: &[u32], inner: Self) {
        let mut len = inner.len;
        let mut lens = Vec::with_capacity(path.len());
        for number in path.iter().rev() {
            lens.push((*number, len));
            // Numbers below 16 take one byte.
            len += 1 + encoded_len_varint(len as u64);
        }
        self.len += len;
        let tail = self.tail();
        for (number, len) in lens.into_iter().rev() {
            put_key_len(number, len, tail);
        }
        match inner.pieces.as_slice() {
            [Piece::Bytes(bytes)] if bytes.len() <= COPIED_BYTES_MAX => tail.extend_from_slice(bytes),
            _ => self.pieces.push(Piece::Inner(inner)),
        }
    }

    /// All of it in one piece.
    pub fn into_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len);
        self.write(&mut out);
        out
    }

    fn write(self, out: &mut Vec<u8>) {
        for piece in self.pieces {
            match piece {
                Piece::Bytes(bytes) => out.extend_from_slice(&bytes),
                Piece::Inner(inner) => inner.write(out),
            }
        }
    }

    /// The piece that small things are appended to.
    fn tail(&mut self) -> &mut Vec<u8> {
        if !matches!(self.pieces.last(), Some(Piece::Bytes(_))) {
            self.pieces.push(Piece::Bytes(Vec::new()));
        }
        match self.pieces.last_mut() {
            Some(Piece::Bytes(bytes)) => bytes,
            _ => unreachable!("pushed above"),
        }
    }
}

/// Messages up to this length are copied rather than kept as a piece of their own.
const COPIED_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::put_bytes;
    use stdx::prng::Prng;

    /// The same message as a rope and in plain bytes.
    fn any(rng: &mut Prng, levels: u64) -> (Rope, Vec<u8>) {
        let length = if rng.chance(1, 10) { 2 * COPIED_BYTES_MAX } else { rng.below(200) as usize };
        let mut plain = vec![levels as u8; length];
        let mut rope = Rope::from(plain.clone());
        for _ in 0..rng.below(4) {
            let (inner, inner_plain) =
                if levels > 0 { any(rng, levels - 1) } else { (Rope::default(), Vec::new()) };
            let mut middle = Vec::new();
            put_bytes(4, &inner_plain, &mut middle);
            put_bytes(3, &middle, &mut plain);
            rope.put(&[3, 4], inner);
        }
        (rope, plain)
    }

    #[test]
    fn a_rope_is_the_message_that_copying_makes() {
        let mut rng = Prng::new(1);
        for _ in 0..300 {
            let (rope, plain) = any(&mut rng, 5);
            assert_eq!(rope.len, plain.len());
            assert_eq!(rope.into_bytes(), plain);
        }
    }
}
