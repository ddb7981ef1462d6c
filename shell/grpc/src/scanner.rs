//! Finds the frames of HTTP/2 in the bytes that pass by, however they are cut.

/// What the nine bytes in front of a frame say. Source: RFC 9113, section 4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) payload_bytes: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream_id: u32,
}

/// Reads one direction of a connection, after the preface.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    payload_left: usize,
}

impl Scanner {
    /// The next frame whose header ends in `bytes`, which becomes what follows it; none once `bytes` is used up.
    pub(crate) fn next_in(&mut self, bytes: &mut &[u8]) -> Option<FrameHeader> {
        while !bytes.is_empty() {
            let skipped = self.payload_left.min(bytes.len());
            self.payload_left -= skipped;
            *bytes = &bytes[skipped..];
            let taken = (HEADER_BYTES - self.header_bytes).min(bytes.len());
            self.header[self.header_bytes..self.header_bytes + taken].copy_from_slice(&bytes[..taken]);
            self.header_bytes += taken;
            *bytes = &bytes[taken..];
            if self.header_bytes == HEADER_BYTES {
                self.header_bytes = 0;
                let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = self.header;
                self.payload_left = u32::from_be_bytes([0, l0, l1, l2]) as usize;
                let stream_id = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
                return Some(FrameHeader { payload_bytes: self.payload_left, kind, flags, stream_id });
            }
        }
        None
    }
}

/// Types of frames. Source: RFC 9113, section 6.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GO_AWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
}

const HEADER_BYTES: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let headers = [&[0, 0, 20, kind::HEADERS, 4, 0x80, 0, 0, 7][..], &[9; 20]].concat();
        let data = [&[0, 1, 44, kind::DATA, 1, 0, 0, 0, 7][..], &[1; 300]].concat();
        let ping = [&[0, 0, 8, kind::PING, 0, 0, 0, 0, 0][..], &[6; 8]].concat();
        let bytes = [&headers[..], &data, &ping].concat().repeat(3);
        let expected = [(20, kind::HEADERS, 4, 7), (300, kind::DATA, 1, 7), (8, kind::PING, 0, 0)].repeat(3);
        for step in [1, 2, 8, 9, 10, 31, bytes.len()] {
            let mut scanner = Scanner::default();
            let mut found = Vec::new();
            for mut piece in bytes.chunks(step) {
                while let Some(FrameHeader { payload_bytes, kind, flags, stream_id }) =
                    scanner.next_in(&mut piece)
                {
                    found.push((payload_bytes, kind, flags, stream_id));
                }
            }
            assert_eq!(found, expected, "step {step}");
        }
    }
}
