//! Length-prefixed messages: the five bytes in front of each message, written and read.

use bytes::{BufMut, Bytes, BytesMut};

use crate::gzip::{self, Encoding};
use crate::status::{Code, Status};

/// One encoded message with its prefix in front, ready to be one DATA frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// Encodes `message`.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when it is larger than 2^31-1 bytes, as etcd sets it.
    pub fn encode(message: &impl prost::Message) -> Result<Frame, Status> {
        Frame::build(message.encoded_len(), |buffer| {
            message.encode_raw(buffer);
        })
    }

    /// Builds a message of `length` bytes by letting `write` append exactly that many; for those who splice encoded
    /// parts together instead of encoding a struct.
    ///
    /// # Errors
    /// As [`Frame::encode`].
    pub fn build(length: usize, write: impl FnOnce(&mut BytesMut)) -> Result<Frame, Status> {
        let prefix = announced_length(length)?;
        let mut buffer = BytesMut::with_capacity(PREFIX_BYTES + length);
        buffer.put_u8(PLAIN);
        buffer.put_u32(prefix);
        write(&mut buffer);
        assert_eq!(buffer.len(), PREFIX_BYTES + length, "a message has the length it announced");
        Ok(Frame(buffer.freeze()))
    }

    /// A buffer to append a compressed message to, for [`Frame::compressed`].
    pub(crate) fn compressed_start() -> Vec<u8> {
        vec![COMPRESSED, 0, 0, 0, 0]
    }

    /// The frame of a compressed message, which `buffer` has after [`Frame::compressed_start`].
    ///
    /// # Errors
    /// As [`Frame::encode`].
    pub(crate) fn compressed(mut buffer: Vec<u8>) -> Result<Frame, Status> {
        let length = announced_length(buffer.len() - PREFIX_BYTES)?;
        buffer[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
        Ok(Frame(buffer.into()))
    }

    /// The message without its prefix.
    pub fn message(&self) -> &[u8] {
        &self.0[PREFIX_BYTES..]
    }

    /// Prefix and message.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }
}

/// The length as the prefix has it.
fn announced_length(length: usize) -> Result<u32, Status> {
    u32::try_from(length).ok().filter(|_| length <= MESSAGE_SENT_MAX).ok_or_else(|| {
        let text = format!("trying to send message larger than max ({length} vs. {MESSAGE_SENT_MAX})");
        Status::new(Code::ResourceExhausted, text)
    })
}

/// What a handler may answer with: a message, or one that is encoded already.
pub trait Response {
    /// The answer as it goes out.
    ///
    /// # Errors
    /// As [`Frame::encode`].
    fn into_frame(self) -> Result<Frame, Status>;
}

impl<M: prost::Message> Response for M {
    fn into_frame(self) -> Result<Frame, Status> {
        Frame::encode(&self)
    }
}

impl Response for Frame {
    fn into_frame(self) -> Result<Frame, Status> {
        Ok(self)
    }
}

/// Collects the DATA of a request until its first message is complete.
///
/// It holds no more than what has arrived, and refuses a message by its prefix alone.
#[derive(Debug)]
pub(crate) struct Assembler {
    message_max: usize,
    encoding: Encoding,
    parts: BytesMut,
}

impl Assembler {
    /// An assembler for messages of at most `message_max` bytes, compressed or not.
    pub(crate) fn new(message_max: usize, encoding: Encoding) -> Assembler {
        Assembler { message_max, encoding, parts: BytesMut::new() }
    }

    /// Takes the next piece of the body. Returns the message once it is complete, decompressed; one that arrives in one
    /// piece and as it is is shared, not copied.
    ///
    /// # Errors
    /// The status grpc-go answers for a message that is too large, is not what its prefix says, or has a prefix unknown
    /// to it.
    pub(crate) fn push(&mut self, piece: Bytes) -> Result<Option<Bytes>, Status> {
        if self.parts.is_empty() {
            return match self.message_end(&piece)? {
                Some(end) if piece.len() >= end => self.message(piece.slice(..end)).map(Some),
                _ => {
                    self.parts.extend_from_slice(&piece);
                    Ok(None)
                }
            };
        }
        self.parts.extend_from_slice(&piece);
        match self.message_end(&self.parts)? {
            Some(end) if self.parts.len() >= end => {
                let parts = std::mem::take(&mut self.parts).freeze();
                self.message(parts.slice(..end)).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The message of a whole frame.
    fn message(&self, frame: Bytes) -> Result<Bytes, Status> {
        if frame[0] == COMPRESSED {
            return gzip::decompress(&frame[PREFIX_BYTES..], self.message_max);
        }
        Ok(frame.slice(PREFIX_BYTES..))
    }

    /// Bytes held so far.
    pub(crate) fn held_bytes(&self) -> usize {
        self.parts.len()
    }

    /// The status of a request whose body ended before its message did.
    pub(crate) fn ended(&self) -> Status {
        Status::new(Code::Unknown, if self.parts.is_empty() { "EOF" } else { "unexpected EOF" })
    }

    /// Where the first message in `bytes` ends, if its prefix is there.
    fn message_end(&self, bytes: &[u8]) -> Result<Option<usize>, Status> {
        let Some(&[format, a, b, c, d]) = bytes.first_chunk() else {
            return Ok(None);
        };
        let length = u64::from(u32::from_be_bytes([a, b, c, d]));
        match usize::try_from(length) {
            Ok(length) if length <= self.message_max => {
                check_format(format, self.encoding).map(|()| Some(PREFIX_BYTES + length))
            }
            _ => {
                let max = self.message_max;
                let text = format!("grpc: received message larger than max ({length} vs. {max})");
                Err(Status::new(Code::ResourceExhausted, text))
            }
        }
    }
}

/// Refuses a message that is compressed although no encoding was announced, or that has another form.
fn check_format(format: u8, encoding: Encoding) -> Result<(), Status> {
    match (format, encoding) {
        (PLAIN, _) | (COMPRESSED, Encoding::Gzip) => Ok(()),
        (COMPRESSED, Encoding::Identity) => {
            Err(Status::new(Code::Internal, "grpc: compressed flag set with identity or empty encoding"))
        }
        _ => Err(Status::new(Code::Internal, format!("grpc: received unexpected payload format {format}"))),
    }
}

/// Format bytes of messages as they are, and in the encoding of their call.
const PLAIN: u8 = 0;
const COMPRESSED: u8 = 1;
/// A format byte and a length of four bytes, big endian.
const PREFIX_BYTES: usize = 5;
/// The largest message sent, in bytes: as etcd sets it.
const MESSAGE_SENT_MAX: usize = i32::MAX as usize;

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixed(format: u8, length: u32, message: &[u8]) -> Vec<u8> {
        [&[format], length.to_be_bytes().as_slice(), message].concat()
    }

    /// Feeds `bytes` in pieces of `step` and returns what comes out first.
    fn assemble(bytes: &[u8], step: usize) -> Result<Option<Bytes>, Status> {
        let mut assembler = Assembler::new(10, Encoding::Identity);
        for piece in bytes.chunks(step) {
            if let Some(message) = assembler.push(Bytes::copy_from_slice(piece))? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    #[test]
    fn message_is_the_same_however_the_body_is_cut() {
        let body = prefixed(0, 10, b"0123456789and more");
        for step in 1..=body.len() {
            assert_eq!(assemble(&body, step).unwrap().unwrap(), "0123456789", "pieces of {step}");
        }
    }

    #[test]
    fn empty_message_is_a_message() {
        assert_eq!(assemble(&prefixed(0, 0, b""), 5).unwrap().unwrap(), "");
    }

    #[test]
    fn too_large_is_refused_by_the_prefix_alone() {
        for length in [11, u32::MAX] {
            let error = assemble(&prefixed(0, length, b""), 1).unwrap_err();
            assert_eq!(error.code, Code::ResourceExhausted);
            assert_eq!(error.message, format!("grpc: received message larger than max ({length} vs. 10)"));
        }
    }

    #[test]
    fn unknown_forms_are_refused() {
        let text = |format| assemble(&prefixed(format, 1, b"x"), 9).unwrap_err().message;
        assert_eq!(text(1), "grpc: compressed flag set with identity or empty encoding");
        assert_eq!(text(2), "grpc: received unexpected payload format 2");
    }

    #[test]
    fn body_that_ends_early_says_so() {
        let mut assembler = Assembler::new(10, Encoding::Identity);
        assert_eq!(assembler.ended().message, "EOF");
        assert_eq!(assembler.push(Bytes::from_static(b"\0\0\0")).unwrap(), None);
        assert_eq!(assembler.ended().message, "unexpected EOF");
        assert_eq!(assembler.held_bytes(), 3);
    }

    #[test]
    fn built_frame_has_prefix_and_message() {
        let frame = Frame::build(3, |buffer| buffer.put_slice(b"abc")).unwrap();
        assert_eq!(frame.message(), b"abc");
        assert_eq!(&frame.into_bytes()[..], b"\0\0\0\0\x03abc");
    }
}
