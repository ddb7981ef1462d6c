//! Just enough HTTP/2 to make unary gRPC calls at the least cost: header blocks are constant bytes, and the server's are
//! not decoded. A call that has a message has succeeded; a failed one consists of trailers only.
//!
//! Sources: RFC 9113 (frames), RFC 7541 (header blocks).

use anyhow::{Context, bail, ensure};

/// Writes what a client sends first: preface, settings, and a connection window that never closes.
pub(crate) fn open(out: &mut Vec<u8>) {
    out.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    header(out, 6, SETTINGS, 0, 0);
    out.extend_from_slice(&SETTING_INITIAL_WINDOW_SIZE.to_be_bytes());
    out.extend_from_slice(&STREAM_WINDOW_BYTES.to_be_bytes());
    window_update(out, (1 << 31) - 1 - WINDOW_BYTES_DEFAULT);
}

/// Widens the connection window by `bytes`.
pub(crate) fn window_update(out: &mut Vec<u8>, bytes: u32) {
    header(out, 4, WINDOW_UPDATE, 0, 0);
    out.extend_from_slice(&bytes.to_be_bytes());
}

/// Header blocks for calls of one method on one connection.
///
/// The first call puts its headers into the server's table, later ones refer to them, as every client does.
pub(crate) struct Headers {
    block: Vec<u8>,
}

impl Headers {
    /// Headers of `path` at `authority`, each shorter than 127 bytes.
    pub(crate) fn new(path: &str, authority: &str) -> anyhow::Result<Headers> {
        let mut block = vec![INDEXED | STATIC_METHOD_POST, INDEXED | STATIC_SCHEME_HTTP];
        let fields = [
            (STATIC_PATH, path),
            (STATIC_AUTHORITY, authority),
            (STATIC_CONTENT_TYPE, "application/grpc"),
            (STATIC_USER_AGENT, "bench"),
        ];
        for (name, value) in fields {
            block.push(INSERTED | name);
            literal(&mut block, value)?;
        }
        block.push(INSERTED);
        literal(&mut block, "te")?;
        literal(&mut block, "trailers")?;
        Ok(Headers { block })
    }

    /// Writes a call with `message` on a stream.
    pub(crate) fn call(&mut self, out: &mut Vec<u8>, stream_id: u32, message: &[u8]) {
        header(out, self.block.len(), HEADERS, FLAG_END_HEADERS, stream_id);
        out.extend_from_slice(&self.block);
        // Newest first: te is 62, the path 66.
        let repeated =
            [INDEXED | STATIC_METHOD_POST, INDEXED | STATIC_SCHEME_HTTP, 0xc2, 0xc1, 0xc0, 0xbf, 0xbe];
        self.block.clear();
        self.block.extend_from_slice(&repeated);
        header(out, PREFIX_BYTES + message.len(), DATA, FLAG_END_STREAM, stream_id);
        out.push(0);
        out.extend_from_slice(&u32::try_from(message.len()).expect("messages are small").to_be_bytes());
        out.extend_from_slice(message);
    }
}

/// What a frame from the server means to a loader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A piece of a message.
    Data { stream_id: u32, bytes: u32, is_end: bool },
    /// Headers or trailers.
    Headers { stream_id: u32, is_end: bool },
    /// We may send that much more on the connection.
    Window { bytes: u32 },
    /// Nothing to do, or done already.
    Nothing,
}

/// Takes one whole frame off `bytes`, if it is there: its length and meaning. Acknowledgements are written to `out`.
pub(crate) fn next(bytes: &[u8], out: &mut Vec<u8>) -> anyhow::Result<Option<(usize, Event)>> {
    let Some(&[l0, l1, l2, kind, flags, s0, s1, s2, s3]) = bytes.first_chunk() else {
        return Ok(None);
    };
    let payload_bytes = u32::from_be_bytes([0, l0, l1, l2]);
    let length = HEADER_BYTES + usize::try_from(payload_bytes)?;
    let Some(payload) = bytes.get(HEADER_BYTES..length) else {
        return Ok(None);
    };
    let stream_id = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
    let is_end = flags & FLAG_END_STREAM != 0;
    let event = match kind {
        DATA => Event::Data { stream_id, bytes: payload_bytes, is_end },
        HEADERS => Event::Headers { stream_id, is_end },
        SETTINGS if flags & FLAG_ACK == 0 => {
            check_settings(payload)?;
            header(out, 0, SETTINGS, FLAG_ACK, 0);
            Event::Nothing
        }
        PING if flags & FLAG_ACK == 0 => {
            header(out, payload.len(), PING, FLAG_ACK, 0);
            out.extend_from_slice(payload);
            Event::Nothing
        }
        WINDOW_UPDATE if stream_id == 0 => {
            let increment = payload.first_chunk().context("short window update")?;
            Event::Window { bytes: u32::from_be_bytes(*increment) }
        }
        RST_STREAM => bail!("server reset a stream: {payload:?}"),
        GO_AWAY => bail!("server ends the connection: {}", String::from_utf8_lossy(payload)),
        _ => Event::Nothing,
    };
    Ok(Some((length, event)))
}

/// The constant header blocks and small messages rely on defaults: refuse a server that asks for less.
fn check_settings(payload: &[u8]) -> anyhow::Result<()> {
    for setting in payload.chunks_exact(6) {
        let id = u16::from_be_bytes([setting[0], setting[1]]);
        let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
        let least = match id {
            SETTING_HEADER_TABLE_SIZE => 4096,
            SETTING_INITIAL_WINDOW_SIZE => WINDOW_BYTES_DEFAULT,
            _ => 0,
        };
        ensure!(value >= least, "server sets {id} to {value}, this loader needs {least}");
    }
    Ok(())
}

fn header(out: &mut Vec<u8>, payload_bytes: usize, kind: u8, flags: u8, stream_id: u32) {
    let length = u32::try_from(payload_bytes).expect("frames are small").to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream_id.to_be_bytes());
}

fn literal(block: &mut Vec<u8>, text: &str) -> anyhow::Result<()> {
    let length =
        u8::try_from(text.len()).ok().filter(|&length| length < 127).context("header value is too long")?;
    block.push(length);
    block.extend_from_slice(text.as_bytes());
    Ok(())
}

/// The window a connection and each stream begin with.
pub(crate) const WINDOW_BYTES_DEFAULT: u32 = 65_535;
const STREAM_WINDOW_BYTES: u32 = 1 << 24;
const PREFIX_BYTES: usize = 5;
const HEADER_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const FLAG_END_STREAM: u8 = 1;
const FLAG_ACK: u8 = 1;
const FLAG_END_HEADERS: u8 = 4;
const SETTING_HEADER_TABLE_SIZE: u16 = 1;
const SETTING_INITIAL_WINDOW_SIZE: u16 = 4;
/// Forms of a field, and positions in the static table.
const INDEXED: u8 = 0x80;
const INSERTED: u8 = 0x40;
const STATIC_AUTHORITY: u8 = 1;
const STATIC_METHOD_POST: u8 = 3;
const STATIC_PATH: u8 = 4;
const STATIC_SCHEME_HTTP: u8 = 6;
const STATIC_CONTENT_TYPE: u8 = 31;
const STATIC_USER_AGENT: u8 = 58;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_only_whole() {
        let mut frame = Vec::new();
        header(&mut frame, 3, DATA, FLAG_END_STREAM, 7);
        frame.extend_from_slice(b"abc");
        let mut out = Vec::new();
        for end in 0..frame.len() {
            assert_eq!(next(&frame[..end], &mut out).unwrap(), None);
        }
        let data = Event::Data { stream_id: 7, bytes: 3, is_end: true };
        assert_eq!(next(&frame, &mut out).unwrap(), Some((12, data)));
        assert!(out.is_empty());
    }

    #[test]
    fn ping_is_answered_with_its_bytes() {
        let mut frame = Vec::new();
        header(&mut frame, 8, PING, 0, 0);
        frame.extend_from_slice(b"pingping");
        let mut out = Vec::new();
        assert_eq!(next(&frame, &mut out).unwrap(), Some((17, Event::Nothing)));
        frame[4] = FLAG_ACK;
        assert_eq!(out, frame);
    }
}
