//! Messages compressed with gzip, the one encoding that etcd's server takes.
//!
//! A request is decompressed where it is received: its size is bounded before anything is kept, so a small request
//! that would become a large message costs no more than a large one. Answers may be far larger, and compressing is slow:
//! beyond [`INLINE_BYTES_MAX`] it is done beside the net thread (contract C9).

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use http::HeaderValue;

use crate::frame::Frame;
use crate::status::{Code, Status, quote};

/// How the messages of a call are encoded. The answer has the encoding of its request, as in grpc-go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As they are.
    Identity,
    /// Each message by itself, where its format byte says so.
    Gzip,
}

impl Encoding {
    /// The encoding that the header `grpc-encoding` announces.
    ///
    /// # Errors
    /// UNIMPLEMENTED in the words of grpc-go.
    pub(crate) fn announced(header: Option<&HeaderValue>) -> Result<Encoding, Status> {
        match header.map_or(&b""[..], HeaderValue::as_bytes) {
            b"" | b"identity" => Ok(Encoding::Identity),
            b"gzip" => Ok(Encoding::Gzip),
            other => {
                let text = format!("grpc: Decompressor is not installed for grpc-encoding {}", quote(other));
                Err(Status::new(Code::Unimplemented, text))
            }
        }
    }
}

/// The message in `compressed`, if it has at most `message_max` bytes.
///
/// # Errors
/// The status grpc-go answers: RESOURCE_EXHAUSTED for a larger one, INTERNAL for what is no gzip.
pub(crate) fn decompress(compressed: &[u8], message_max: usize) -> Result<Bytes, Status> {
    let internal =
        |what: &str, why: &str| Err(Status::new(Code::Internal, format!("grpc: failed to {what}: {why}")));
    let decoder = MultiGzDecoder::new(compressed);
    if decoder.header().is_none() {
        let why = match compressed.len() {
            0 => "EOF",
            1..GZIP_HEADER_BYTES_MIN => "unexpected EOF",
            _ => "gzip: invalid header",
        };
        return internal("decompress the message", why);
    }
    let mut message = Vec::new();
    let limit = u64::try_from(message_max).unwrap_or(u64::MAX).saturating_add(1);
    if let Err(error) = decoder.take(limit).read_to_end(&mut message) {
        return internal("read decompressed data", reason(&error));
    }
    if message.len() > message_max {
        let text = format!("grpc: received message after decompression larger than max {message_max}");
        return Err(Status::new(Code::ResourceExhausted, text));
    }
    Ok(message.into())
}

/// What Go says of the same fault, as far as the decoder tells them apart.
fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "unexpected EOF",
        io::ErrorKind::InvalidInput if error.to_string().contains("checksum") => "gzip: invalid checksum",
        io::ErrorKind::InvalidInput if error.to_string().contains("header") => "gzip: invalid header",
        _ => "flate: corrupt input",
    }
}

/// `frame` with its message compressed; an empty message stays as it is, as in grpc-go.
///
/// # Errors
/// As [`Frame::encode`]; UNAVAILABLE when the runtime ends meanwhile.
pub(crate) async fn compress(frame: Frame) -> Result<Frame, Status> {
    if frame.message().is_empty() {
        return Ok(frame);
    }
    if frame.message().len() <= INLINE_BYTES_MAX {
        return compress_now(&frame);
    }
    let compressed = tokio::task::spawn_blocking(move || compress_now(&frame)).await;
    compressed.unwrap_or_else(|_| Err(Status::new(Code::Unavailable, "transport is closing")))
}

fn compress_now(frame: &Frame) -> Result<Frame, Status> {
    let mut encoder = GzEncoder::new(Frame::compressed_start(), Compression::default());
    let written = encoder.write_all(frame.message()).and_then(|()| encoder.finish());
    let buffer = written
        .map_err(|error| Status::new(Code::Internal, format!("grpc: error while compressing: {error}")))?;
    Frame::compressed(buffer)
}

/// Answers up to this size are compressed on the net thread: it takes a millisecond or two.
const INLINE_BYTES_MAX: usize = 64 * 1024;
/// A header without optional parts. Source: RFC 1952, section 2.3.
const GZIP_HEADER_BYTES_MIN: usize = 10;
