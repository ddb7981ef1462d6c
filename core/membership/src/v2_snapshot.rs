//! The store of etcd's second API inside snapshots: the membership as releases up to 3.5 read it.
//!
//! Such a payload is a tree of nodes as JSON. Only the part below `/0` is about the cluster; the rest, the history of
//! events above all, is left out when writing and skipped when reading. Go etcd 3.4 to 3.7 starts from this form.
//! Source: `docs/formats/snap.md 4`.

use crate::member::MemberJson;
use crate::{Cluster, Error, Member, Result, from_json, parse_member_id};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use stdx::json::push_string;
use types::{MemberId, Version};

/// The payload of a snapshot of `cluster`.
pub fn v2_snapshot(cluster: &Cluster) -> String {
    let mut store = StoreWriter::default();
    let mut members = Children::default();
    for member in cluster.members() {
        let mut parts = Children::default();
        // A member that has told nothing yet has no attributes.
        if !member.client_urls.is_empty() {
            parts.push("attributes", store.file(&crate::attributes_json(&member.name, &member.client_urls)));
        }
        parts.push("raftAttributes", store.file(&member.raft_attributes_json()));
        members.push(&member.id.to_string(), Node::Directory(parts));
    }
    let mut removed = Children::default();
    for id in cluster.removed() {
        removed.push(&id.to_string(), store.file(""));
    }
    let mut own = Children::default();
    own.push("members", Node::Directory(members));
    if !removed.0.is_empty() {
        own.push("removed_members", Node::Directory(removed));
    }
    if let Some(version) = cluster.version() {
        own.push("version", store.file(&version.to_string()));
    }
    let mut root = Children::default();
    root.push("0", Node::Directory(own));
    root.push("1", Node::Directory(Children::default()));
    let mut out = String::from("{\"Root\":");
    Node::Directory(root).write("/", "", &mut out);
    // 2 is the version of the store's form, not of etcd.
    out.push_str(&format!(",\"CurrentIndex\":{},\"CurrentVersion\":2}}", store.index));
    out
}

/// Numbers the files in the order in which they are made, as if each had been a request.
#[derive(Default)]
struct StoreWriter {
    index: u64,
}

impl StoreWriter {
    fn file(&mut self, value: &str) -> Node {
        self.index += 1;
        Node::File { index: self.index, value: value.to_owned() }
    }
}

enum Node {
    File { index: u64, value: String },
    Directory(Children),
}

/// Nodes in the order of their names.
#[derive(Default)]
struct Children(BTreeMap<String, Node>);

impl Children {
    fn push(&mut self, name: &str, node: Node) {
        self.0.insert(name.to_owned(), node);
    }
}

impl Node {
    /// The index of a file, and of a directory that of the file it was made for.
    fn index(&self) -> u64 {
        match self {
            Self::File { index, .. } => *index,
            Self::Directory(children) => children.0.values().map(Self::index).min().unwrap_or(0),
        }
    }

    /// `path` is the node's own, `parent` that of its parent without a slash at the end. The depth is fixed: 5.
    fn write(&self, path: &str, parent: &str, out: &mut String) {
        // The uppermost directories are older than any request.
        let index = if parent.is_empty() { 0 } else { self.index() };
        out.push_str("{\"Path\":");
        push_string(out, path);
        out.push_str(&format!(
            ",\"CreatedIndex\":{index},\"ModifiedIndex\":{index},\"ExpireTime\":\"0001-01-01T00:00:00Z\",\"Value\":"
        ));
        match self {
            Self::File { value, .. } => {
                push_string(out, value);
                out.push_str(",\"Children\":null}");
            }
            Self::Directory(children) => {
                out.push_str("\"\",\"Children\":{");
                let prefix = path.trim_end_matches('/');
                for (position, (name, child)) in children.0.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    push_string(out, name);
                    out.push(':');
                    child.write(&format!("{prefix}/{name}"), prefix, out);
                }
                out.push_str("}}");
            }
        }
    }
}

/// What a payload says about the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct V2Membership {
    /// Members, in the order of their identities.
    pub members: Vec<Member>,
    /// Identities that are gone.
    pub removed: BTreeSet<MemberId>,
    /// The cluster version, if it was decided.
    pub version: Option<Version>,
}

#[derive(Deserialize)]
struct Store {
    #[serde(rename = "Root", default)]
    root: Parent<Top>,
}

/// A directory whose children are known by name.
#[derive(Default, Deserialize)]
#[serde(bound = "T: Default + Deserialize<'de>")]
struct Parent<T> {
    #[serde(rename = "Children", default)]
    children: Option<T>,
}

#[derive(Default, Deserialize)]
struct Top {
    #[serde(rename = "0", default)]
    own: Parent<Own>,
}

#[derive(Default, Deserialize)]
struct Own {
    #[serde(default)]
    members: Parent<BTreeMap<String, Parent<Parts>>>,
    #[serde(default)]
    removed_members: Parent<BTreeMap<String, File>>,
    version: Option<File>,
}

#[derive(Default, Deserialize)]
struct Parts {
    attributes: Option<File>,
    #[serde(rename = "raftAttributes")]
    raft_attributes: Option<File>,
}

#[derive(Default, Deserialize)]
struct File {
    #[serde(rename = "Value", default)]
    value: String,
}

impl V2Membership {
    /// Longest payload that is read, in bytes. Real ones have some thousands; with much data of the second API in a
    /// directory of 3.4 they are longer.
    pub const SIZE_BYTES_MAX: usize = 1 << 30;

    /// Reads a payload.
    ///
    /// # Errors
    /// [`Error::Json`], also for one longer than [`V2Membership::SIZE_BYTES_MAX`] or nested too deeply, and whatever is
    /// wrong with a member or the version.
    pub fn parse(payload: &[u8]) -> Result<Self> {
        if payload.len() > Self::SIZE_BYTES_MAX {
            let reason = format!("{} bytes long", payload.len());
            return Err(Error::Json { what: "v2 store", reason });
        }
        let store: Store = from_json("v2 store", payload)?;
        let own = store.root.children.unwrap_or_default().own.children.unwrap_or_default();
        let mut members = BTreeMap::new();
        for (key, parts) in own.members.children.unwrap_or_default() {
            let id = parse_member_id(key.as_bytes())?;
            members.insert(id, member(id, parts.children.unwrap_or_default())?);
        }
        let removed = own.removed_members.children.unwrap_or_default();
        let removed = removed.keys().map(|key| parse_member_id(key.as_bytes())).collect::<Result<_>>()?;
        let version = own.version.map(|file| file.value).filter(|text| !text.is_empty());
        let version = version.map(|text| text.parse()).transpose()?;
        Ok(Self { members: members.into_values().collect(), removed, version })
    }
}

fn member(id: MemberId, parts: Parts) -> Result<Member> {
    let read = |what, file: Option<File>| -> Result<Member> {
        let json: MemberJson =
            file.map_or(Ok(MemberJson::default()), |file| from_json(what, file.value.as_bytes()))?;
        Ok(json.into_member(id))
    };
    if parts.raft_attributes.is_none() {
        let reason = format!("member {id} has no raftAttributes");
        return Err(Error::Json { what: "v2 store", reason });
    }
    let raft = read("raftAttributes", parts.raft_attributes)?;
    let own = read("attributes", parts.attributes)?;
    let (peer_urls, is_learner) = (raft.peer_urls, raft.is_learner);
    Ok(Member { id, peer_urls, is_learner, name: own.name, client_urls: own.client_urls })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Change;

    /// As 3.4 writes it, but for the length of the history.
    const REAL: &str = concat!(
        r#"{"Root":{"Path":"/","CreatedIndex":0,"ModifiedIndex":0,"ExpireTime":"0001-01-01T00:00:00Z","Value":"","Children":{"#,
        r#""0":{"Path":"/0","CreatedIndex":0,"ModifiedIndex":0,"ExpireTime":"0001-01-01T00:00:00Z","Value":"","Children":{"#,
        r#""members":{"Path":"/0/members","CreatedIndex":1,"ModifiedIndex":1,"ExpireTime":"0001-01-01T00:00:00Z","Value":"","Children":{"#,
        r#""bdae9bbc11dd390d":{"Path":"/0/members/bdae9bbc11dd390d","CreatedIndex":1,"ModifiedIndex":1,"ExpireTime":"0001-01-01T00:00:00Z","Value":"","Children":{"#,
        r#""attributes":{"Path":"/0/members/bdae9bbc11dd390d/attributes","CreatedIndex":2,"ModifiedIndex":2,"ExpireTime":"0001-01-01T00:00:00Z","Value":"{\"name\":\"n1\",\"clientURLs\":[\"http://127.0.0.1:23791\"]}","Children":null},"#,
        r#""raftAttributes":{"Path":"/0/members/bdae9bbc11dd390d/raftAttributes","CreatedIndex":1,"ModifiedIndex":1,"ExpireTime":"0001-01-01T00:00:00Z","Value":"{\"peerURLs\":[\"http://127.0.0.1:23801\"]}","Children":null}}}}},"#,
        r#""version":{"Path":"/0/version","CreatedIndex":3,"ModifiedIndex":3,"ExpireTime":"0001-01-01T00:00:00Z","Value":"3.4.0","Children":null}}},"#,
        r#""1":{"Path":"/1","CreatedIndex":0,"ModifiedIndex":0,"ExpireTime":"0001-01-01T00:00:00Z","Value":"","Children":{}}}},"#,
        r#""WatcherHub":{"EventHistory":{"Queue":{"Events":[{"action":"create","node":{"key":"/0/members","value":"x","modifiedIndex":1,"createdIndex":1}},null],"Size":3,"Front":0,"Back":3,"Capacity":1000},"StartIndex":1,"LastIndex":3}},"#,
        r#""CurrentIndex":3,"Stats":{"getsSuccess":0,"watchers":0},"CurrentVersion":2}"#,
    );

    fn cluster() -> Cluster {
        let mut cluster = Cluster::default();
        let urls = |url: &str| vec![url.to_owned()];
        for (id, is_learner) in [(0xab, false), (0x1b, true), (0xdead, false)] {
            let (id, peer_urls) = (MemberId(id), urls(&format!("http://h{id}:1")));
            let member = Member { id, peer_urls, is_learner, ..Member::default() };
            cluster.apply(Change::Add(member), 1).unwrap();
        }
        cluster.set_attributes(MemberId(0xab), "\"n\"<".into(), urls("http://c:1")).unwrap();
        cluster.apply(Change::Remove(MemberId(0xdead)), 1).unwrap();
        cluster.set_version(Version::new(3, 5, 0));
        cluster
    }

    #[test]
    fn the_payload_of_go_is_read() {
        let read = V2Membership::parse(REAL.as_bytes()).unwrap();
        let expected = Member {
            id: MemberId(0xbdae_9bbc_11dd_390d),
            peer_urls: vec!["http://127.0.0.1:23801".into()],
            is_learner: false,
            name: "n1".into(),
            client_urls: vec!["http://127.0.0.1:23791".into()],
        };
        assert_eq!(read.members, [expected]);
        assert_eq!((read.version, read.removed.len()), (Some(Version::new(3, 4, 0)), 0));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let cluster = cluster();
        let read = V2Membership::parse(v2_snapshot(&cluster).as_bytes()).unwrap();
        assert_eq!(read.members, cluster.members().cloned().collect::<Vec<_>>());
        assert_eq!((read.removed, read.version), ([MemberId(0xdead)].into(), cluster.version()));
        let empty = V2Membership::parse(v2_snapshot(&Cluster::default()).as_bytes());
        assert_eq!(empty, Ok(V2Membership::default()));
    }

    #[test]
    fn nodes_are_written_as_go_does() {
        let (members, version) = (&REAL[REAL.find("\"0\":").unwrap()..], "3.4.0".parse().unwrap());
        let mut cluster = Cluster::default();
        let id = MemberId(0xbdae_9bbc_11dd_390d);
        let peer_urls = vec!["http://127.0.0.1:23801".into()];
        cluster.apply(Change::Add(Member { id, peer_urls, ..Member::default() }), 1).unwrap();
        cluster.set_attributes(id, "n1".into(), vec!["http://127.0.0.1:23791".into()]).unwrap();
        cluster.set_version(version);
        let written = v2_snapshot(&cluster);
        // Numbers aside, and the history that is left out.
        let plain = |text: &str| text.replace(|ch: char| ch.is_ascii_digit(), "");
        let end = members.find(",\"WatcherHub\"").unwrap();
        let written = &written[written.find("\"0\":").unwrap()..];
        assert_eq!(plain(&written[..end]), plain(&members[..end]));
        assert_eq!(&written[end..], ",\"CurrentIndex\":3,\"CurrentVersion\":2}");
    }

    #[test]
    fn payloads_without_a_membership_are_empty() {
        for payload in ["{}", r#"{"Root":{"Path":"/","Children":{}}}"#, r#"{"Root":{"Children":null}}"#] {
            assert_eq!(V2Membership::parse(payload.as_bytes()), Ok(V2Membership::default()), "{payload}");
        }
        let undecided = r#"{"Root":{"Children":{"0":{"Children":{"version":{"Value":""}}}}}}"#;
        assert_eq!(V2Membership::parse(undecided.as_bytes()), Ok(V2Membership::default()));
    }

    #[test]
    fn damaged_payloads_are_errors_or_other_payloads_but_never_a_panic() {
        for end in 0..REAL.len() {
            assert!(V2Membership::parse(&REAL.as_bytes()[..end]).is_err());
        }
        let mut bytes = REAL.as_bytes().to_vec();
        for position in 0..bytes.len() {
            for bit in 0..8 {
                bytes[position] ^= 1 << bit;
                let _ = V2Membership::parse(&bytes);
                bytes[position] ^= 1 << bit;
            }
        }
        let deep = format!("{{\"Root\":{}", "{\"Children\":{\"x\":".repeat(100_000));
        assert!(V2Membership::parse(deep.as_bytes()).is_err());
    }
}
