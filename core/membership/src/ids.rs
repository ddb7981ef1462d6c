//! Identities of members and clusters: the first eight bytes of a SHA-1.

use crate::{Error, Result};
use sha1::{Digest, Sha1};
use types::{ClusterId, MemberId};

/// The identity of a member with these peer URLs.
///
/// A member of a new cluster is identified by the cluster's token and no time; one that is added later by an empty
/// token and the time of the request in seconds since 1970.
/// Source: `docs/formats/raft-entries.md 4`.
pub fn member_id(peer_urls: &[String], token: &str, unix_seconds: Option<u64>) -> MemberId {
    let mut sorted: Vec<&String> = peer_urls.iter().collect();
    sorted.sort_unstable();
    let mut hash = Sha1::new();
    for url in sorted {
        hash.update(url);
    }
    hash.update(token);
    if let Some(seconds) = unix_seconds {
        hash.update(seconds.to_string());
    }
    MemberId(first_eight(hash))
}

/// The identity of the cluster that begins with these members. It stays when members change.
pub fn cluster_id(members: &[MemberId]) -> ClusterId {
    let mut sorted = members.to_vec();
    sorted.sort_unstable();
    let mut hash = Sha1::new();
    for member in sorted {
        hash.update(member.0.to_be_bytes());
    }
    ClusterId(first_eight(hash))
}

/// Reads a member's identity from its key: 1 to 16 hexadecimal digits.
///
/// # Errors
/// [`Error::BadMemberId`].
pub fn parse_member_id(key: &[u8]) -> Result<MemberId> {
    let text = str::from_utf8(key).unwrap_or_default();
    let is_hex = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u64::from_str_radix(text, 16) {
        Ok(id) if is_hex => Ok(MemberId(id)),
        _ => Err(Error::BadMemberId(String::from_utf8_lossy(&key[..key.len().min(64)]).into_owned())),
    }
}

fn first_eight(hash: Sha1) -> u64 {
    let digest = hash.finalize();
    digest[..8].iter().fold(0, |id, byte| id << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(url: &str, token: &str) -> MemberId {
        member_id(&[url.to_owned()], token, None)
    }

    #[test]
    fn ids_are_those_of_go() {
        let member = id("http://127.0.0.1:23801", "etcd-cluster");
        assert_eq!(member.to_string(), "bdae9bbc11dd390d");
        assert_eq!(cluster_id(&[member]).to_string(), "d1cfaf999eb97a2a");
        let three = [24001, 24002, 24003].map(|port| id(&format!("http://127.0.0.1:{port}"), "tok1"));
        let texts = three.map(|member| member.to_string());
        assert_eq!(texts, ["e24e0fe45756a42b", "88523ac4561eb232", "8805c588d8778134"]);
        assert_eq!(cluster_id(&three).to_string(), "4554d8ad65f6c66");
    }

    #[test]
    fn the_order_of_urls_and_members_does_not_matter() {
        let (a, b) = ("http://a:1".to_owned(), "http://b:1".to_owned());
        let time = Some(1_700_000_000);
        assert_eq!(member_id(&[a.clone(), b.clone()], "", time), member_id(&[b, a], "", time));
        assert_ne!(id("http://a:1", ""), member_id(&["http://a:1".to_owned()], "", time));
        assert_eq!(cluster_id(&[MemberId(1), MemberId(2)]), cluster_id(&[MemberId(2), MemberId(1)]));
    }

    #[test]
    fn only_hex_digits_are_a_member_id() {
        assert_eq!(parse_member_id(b"2943212f5e2cf73"), Ok(MemberId(0x0294_3212_f5e2_cf73)));
        assert_eq!(parse_member_id(b"FFFFFFFFFFFFFFFF"), Ok(MemberId(u64::MAX)));
        for bad in [&b""[..], b"+1", b"-1", b"g", b"\xff", b"00000000000000001", b" 1"] {
            assert!(parse_member_id(bad).is_err(), "{bad:?}");
        }
    }
}
