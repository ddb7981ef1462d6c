//! Bytes from a client, cut into pieces as a connection may bring them: the message of a call, compressed or not, HTTP/2
//! frames, and headers.
//!
//! These parsers are private to `shell/grpc` and need nothing else of it, so their files are compiled in here.
#![no_main]

#[path = "../../shell/grpc/src/frame.rs"]
#[allow(dead_code, reason = "a part of it is under test")]
mod frame;
#[path = "../../shell/grpc/src/gzip.rs"]
mod gzip;
#[path = "../../shell/grpc/src/scanner.rs"]
#[allow(dead_code, reason = "a part of it is under test")]
mod scanner;
#[path = "../../shell/grpc/src/status.rs"]
#[allow(dead_code, reason = "a part of it is under test")]
mod status;
#[path = "../../shell/grpc/src/timeout.rs"]
mod timeout;

use bytes::Bytes;
use frame::{Assembler, Frame};
use fuzz::{Input, Outcome};
use gzip::Encoding;
use scanner::{FrameHeader, Scanner};
use std::future::Future;
use std::task::{Context, Poll, Waker};

fuzz::target!(run, seeds);

/// The largest message taken, in bytes.
const MESSAGE_MAX: usize = 4096;

fn run(bytes: &[u8]) -> Outcome {
    let mut input = Input::new(bytes);
    match input.byte() % 4 {
        0 => message(&mut input, Encoding::Identity),
        1 => message(&mut input, Encoding::Gzip),
        2 => frames(&mut input),
        _ => words(input.rest()),
    }
}

/// However the body of a request is cut, its message is the same.
fn message(input: &mut Input<'_>, encoding: Encoding) -> Outcome {
    let mut cuts = Input::new(input.short_bytes());
    let body = input.rest();
    let (whole, _) = assemble(std::iter::once(body), encoding);
    let mut rest = body;
    let pieces = std::iter::from_fn(|| {
        let (piece, left) = rest.split_at(rest.len().min(1 + usize::from(cuts.byte())));
        rest = left;
        (!piece.is_empty()).then_some(piece)
    });
    let (cut, held_max) = assemble(pieces, encoding);
    assert_eq!(cut, whole, "cut or whole it is the same");
    assert!(held_max <= body.len(), "no more is held than has arrived");
    let Ok(Some(message)) = whole else { return Outcome::Refused };
    assert!(message.len() <= MESSAGE_MAX, "what is taken is bounded");
    check_frame(&message, body[0] == 0, body);
    Outcome::Accepted
}

/// The message, or the refusal, and the most bytes held meanwhile.
fn assemble<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    encoding: Encoding,
) -> (Result<Option<Bytes>, status::Status>, usize) {
    let mut assembler = Assembler::new(MESSAGE_MAX, encoding);
    let mut held_max = 0;
    for piece in pieces {
        match assembler.push(Bytes::copy_from_slice(piece)) {
            Ok(None) => held_max = held_max.max(assembler.held_bytes()),
            other => return (other, held_max),
        }
    }
    (Ok(None), held_max)
}

/// Sent back as it is or compressed, it is the same message.
fn check_frame(message: &Bytes, is_plain: bool, body: &[u8]) {
    let plain =
        Frame::build(message.len(), |buffer| buffer.extend_from_slice(message)).expect("a small message");
    assert_eq!(plain.message(), message);
    if is_plain {
        assert_eq!(plain.clone().into_bytes(), body[..5 + message.len()], "the frame is what was sent");
    }
    let compressing = std::pin::pin!(gzip::compress(plain));
    let Poll::Ready(compressed) = compressing.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("small messages are compressed at once");
    };
    let compressed = compressed.expect("a small message").into_bytes();
    if compressed.len() <= MESSAGE_MAX {
        let (again, _) = assemble(std::iter::once(&compressed[..]), Encoding::Gzip);
        assert_eq!(again, Ok(Some(message.clone())), "compressed it is the same");
    }
}

/// However the bytes of a connection are cut, the same frames are found, and they are all of it.
fn frames(input: &mut Input<'_>) -> Outcome {
    let step = 1 + usize::from(input.byte());
    let bytes = input.rest();
    let whole = scan(std::iter::once(bytes));
    assert_eq!(whole, scan(bytes.chunks(step)), "cut or whole it is the same");
    let len: usize = whole.iter().map(|frame| 9 + frame.payload_bytes).sum();
    let last = whole.last().map_or(0, |frame| frame.payload_bytes);
    assert!(len - last <= bytes.len() && bytes.len() < len + 9, "frames are neither made up nor passed over");
    Outcome::of(!whole.is_empty())
}

fn scan<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<FrameHeader> {
    let mut scanner = Scanner::default();
    let mut found = Vec::new();
    for mut piece in pieces {
        found.extend(std::iter::from_fn(|| scanner.next_in(&mut piece)));
    }
    found
}

/// A header with a timeout or an encoding, or the text of a status.
fn words(bytes: &[u8]) -> Outcome {
    let quoted = status::quote(bytes);
    assert!(quoted.is_ascii() && quoted.len() <= 4 * bytes.len() + 2);
    if let Ok(text) = str::from_utf8(bytes) {
        let mut headers = http::HeaderMap::new();
        status::Status::new(status::Code::Internal, text.to_owned()).write_to(&mut headers);
        assert_eq!(headers.contains_key(status::GRPC_MESSAGE), !text.is_empty());
    }
    let encoding = http::HeaderValue::from_bytes(bytes).map(|header| Encoding::announced(Some(&header)));
    let is_known = matches!(encoding, Ok(Ok(_)));
    assert_eq!(is_known, matches!(bytes, b"" | b"identity" | b"gzip"));
    Outcome::of(is_known || timeout::parse(bytes).is_ok())
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let gzipped = [
        &[1, 2, 2, 1, 1, 0, 0, 0, 25][..],        // cuts, a prefix
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],    // a header without optional parts
        &[0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0], // "hello"
        &[0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0],    // its checksum and length
    ];
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let headers = [0, 0, 2, 1, 4, 0, 0, 0, 7, 0x82, 0x84];
    let data = [0, 0, 3, 0, 1, 0, 0, 0, 7, 1, 2, 3];
    vec![
        ("message".into(), b"\x00\x02\x02\x01\x00\x00\x00\x00\x05helloand more".to_vec()),
        ("empty".into(), b"\x00\x00\x00\x00\x00\x00\x00".to_vec()),
        ("gzipped".into(), gzipped.concat()),
        ("frames".into(), [&[2, 6][..], &headers, &data, &ping].concat()),
        ("timeout".into(), b"\x035000m".to_vec()),
        ("encoding".into(), b"\x03gzip".to_vec()),
    ]
}
