//! The part of a stored record that the start needs, read without copying the value.

use prost::encoding::{WireType, decode_key, decode_varint};

/// Key and numbers of an encoded `mvccpb.KeyValue`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordHead<'a> {
    /// The key; empty in the record that a restore with a raised revision leaves.
    pub key: &'a [u8],
    /// Main revision of the put that created the key; 0 in a deletion.
    pub create_revision: i64,
    /// Puts since the creation; 0 in a deletion.
    pub version: i64,
    /// The lease, 0 for none.
    pub lease: i64,
}

impl<'a> RecordHead<'a> {
    /// Reads `value`; `None` if it is not a message of that kind.
    pub fn parse(mut value: &'a [u8]) -> Option<Self> {
        let mut head = Self::default();
        while !value.is_empty() {
            let (field, wire_type) = decode_key(&mut value).ok()?;
            match wire_type {
                WireType::Varint => {
                    let number = decode_varint(&mut value).ok()?.cast_signed();
                    match field {
                        2 => head.create_revision = number,
                        4 => head.version = number,
                        6 => head.lease = number,
                        _ => {}
                    }
                }
                WireType::LengthDelimited => {
                    let len = usize::try_from(decode_varint(&mut value).ok()?).ok()?;
                    let (bytes, rest) = value.split_at_checked(len)?;
                    value = rest;
                    if field == 1 {
                        head.key = bytes;
                    }
                }
                WireType::SixtyFourBit => value = value.split_at_checked(8)?.1,
                WireType::ThirtyTwoBit => value = value.split_at_checked(4)?.1,
                WireType::StartGroup | WireType::EndGroup => return None,
            }
        }
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use proto::mvccpb::KeyValue;

    #[test]
    fn agrees_with_the_full_decoder_and_survives_damage() {
        let pair = KeyValue {
            key: "k".into(),
            create_revision: 300,
            mod_revision: 301,
            version: 2,
            value: vec![7; 200].into(),
            lease: 9,
        };
        let bytes = pair.encode_to_vec();
        let head = RecordHead { key: b"k", create_revision: 300, version: 2, lease: 9 };
        assert_eq!(RecordHead::parse(&bytes), Some(head));
        assert_eq!(RecordHead::parse(b""), Some(RecordHead::default()));
        for end in 0..bytes.len() {
            let _ = RecordHead::parse(&bytes[..end]);
        }
        for position in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[position] ^= 0x80;
            let _ = RecordHead::parse(&flipped);
        }
    }
}
