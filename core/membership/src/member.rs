//! A member, and its JSON.

use crate::{Result, from_json};
use serde::Deserialize;
use stdx::json::{push_string, push_strings};
use types::MemberId;

/// What the cluster knows about one of its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its identity, never 0.
    pub id: MemberId,
    /// Where the other members reach it.
    pub peer_urls: Vec<String>,
    /// It receives the log but does not vote.
    pub is_learner: bool,
    /// The name that it has told; empty until it has started for the first time.
    pub name: String,
    /// Where clients reach it, as it has told.
    pub client_urls: Vec<String>,
}

/// Every field that Go writes about a member somewhere; all optional, as in Go.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct MemberJson {
    pub(crate) id: Option<u64>,
    #[serde(rename = "peerURLs")]
    peer_urls: Option<Vec<String>>,
    is_learner: Option<bool>,
    name: Option<String>,
    #[serde(rename = "clientURLs")]
    client_urls: Option<Vec<String>>,
    is_promote: Option<bool>,
}

impl MemberJson {
    /// The context of a promotion.
    pub(crate) fn is_promotion(&self) -> bool {
        self.is_promote.unwrap_or_default()
    }

    /// The member that this tells of; `id` if it does not say so itself.
    pub(crate) fn into_member(self, id: MemberId) -> Member {
        Member {
            id: self.id.map_or(id, MemberId),
            peer_urls: self.peer_urls.unwrap_or_default(),
            is_learner: self.is_learner.unwrap_or_default(),
            name: self.name.unwrap_or_default(),
            client_urls: self.client_urls.unwrap_or_default(),
        }
    }
}

impl Member {
    /// Whether the member has ever run: it has told its name then.
    pub fn is_started(&self) -> bool {
        !self.name.is_empty()
    }

    /// The member as the backend and the log hold it, byte for byte as Go writes it.
    pub fn to_json(&self) -> String {
        let mut out = format!("{{\"id\":{},", self.id.0);
        push_raft_attributes(&mut out, &self.peer_urls, self.is_learner);
        if !self.name.is_empty() || !self.client_urls.is_empty() {
            out.push(',');
            push_attributes(&mut out, &self.name, &self.client_urls);
        }
        out.push('}');
        out
    }

    /// Reads what [`Member::to_json`] and Go write; an absent identity is 0.
    ///
    /// # Errors
    /// [`Error::Json`](crate::Error::Json).
    pub fn from_json(json: &[u8]) -> Result<Self> {
        Ok(from_json::<MemberJson>("member", json)?.into_member(MemberId(0)))
    }

    /// The part that only configuration changes alter, as the store of the second API holds it.
    pub(crate) fn raft_attributes_json(&self) -> String {
        let mut out = String::from("{");
        push_raft_attributes(&mut out, &self.peer_urls, self.is_learner);
        out.push('}');
        out
    }
}

/// The part that a member tells about itself, as JSON: the value of the v2 request that sets it.
pub fn attributes_json(name: &str, client_urls: &[String]) -> String {
    let mut out = String::from("{");
    push_attributes(&mut out, name, client_urls);
    out.push('}');
    out
}

fn push_raft_attributes(out: &mut String, peer_urls: &[String], is_learner: bool) {
    out.push_str("\"peerURLs\":");
    if peer_urls.is_empty() {
        // Go has a nil slice here.
        out.push_str("null");
    } else {
        push_strings(out, peer_urls);
    }
    if is_learner {
        out.push_str(",\"isLearner\":true");
    }
}

fn push_attributes(out: &mut String, name: &str, client_urls: &[String]) {
    if !name.is_empty() {
        out.push_str("\"name\":");
        push_string(out, name);
    }
    if !client_urls.is_empty() {
        out.push_str(if name.is_empty() { "\"clientURLs\":" } else { ",\"clientURLs\":" });
        push_strings(out, client_urls);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(urls: &[&str]) -> Vec<String> {
        urls.iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn check(member: &Member, json: &str) {
        assert_eq!(member.to_json(), json);
        assert_eq!(Member::from_json(json.as_bytes()).as_ref(), Ok(member));
    }

    #[test]
    fn members_are_written_as_go_does() {
        let id = MemberId(13_668_033_151_171_901_709);
        let mut member = Member { id, peer_urls: urls(&["http://127.0.0.1:2380"]), ..Member::default() };
        check(&member, r#"{"id":13668033151171901709,"peerURLs":["http://127.0.0.1:2380"]}"#);
        member.is_learner = true;
        member.name = "n1".into();
        member.client_urls = urls(&["http://a:1", "http://b:2"]);
        check(
            &member,
            r#"{"id":13668033151171901709,"peerURLs":["http://127.0.0.1:2380"],"isLearner":true,"name":"n1","clientURLs":["http://a:1","http://b:2"]}"#,
        );
        let client_urls = urls(&["http://a:1"]);
        check(
            &Member { id: MemberId(1), client_urls, ..Member::default() },
            r#"{"id":1,"peerURLs":null,"clientURLs":["http://a:1"]}"#,
        );
        check(
            &Member { id: MemberId(1), name: "<&>\u{2028}".into(), ..Member::default() },
            r#"{"id":1,"peerURLs":null,"name":"\u003c\u0026\u003e\u2028"}"#,
        );
    }

    #[test]
    fn unknown_fields_order_and_nulls_do_not_matter() {
        let json = br#" {"name":"n","extra":[{}],"clientURLs":null,"id":7,"isLearner":null,"peerURLs":[]} "#;
        let expected = Member { id: MemberId(7), name: "n".into(), ..Member::default() };
        assert_eq!(Member::from_json(json), Ok(expected));
    }

    #[test]
    fn bad_json_is_an_error() {
        for bad in
            [&b""[..], b"{", b"[]", b"{\"id\":-1}", b"{\"id\":18446744073709551616}", b"{\"name\":\"\xff\"}"]
        {
            assert!(Member::from_json(bad).is_err(), "{bad:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(Member::from_json(format!("{{\"x\":{deep}").as_bytes()).is_err());
    }

    #[test]
    fn attributes_leave_out_what_is_empty() {
        assert_eq!(attributes_json("", &[]), "{}");
        assert_eq!(attributes_json("m1", &urls(&["u"])), r#"{"name":"m1","clientURLs":["u"]}"#);
    }
}
