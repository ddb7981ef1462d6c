//! Bytes as each text that says who is in a cluster: records of a backend, contexts of log entries, settings.
//!
//! The first byte of an input chooses what the rest is read as. What is accepted must be written in a form that reads
//! as the same.
#![no_main]

use fuzz::{Input, Outcome};
use membership::{Change, Cluster, Downgrade, InitialCluster, Member, V2Membership, V2Request};
use membership::{
    attributes_json, conf_state_from_json, conf_state_to_json, parse_member_id, parse_url, v2_snapshot,
};
use proto::raftpb::ConfChange;
use types::{MemberId, RequestId, Version};

fuzz::target!(run, seeds);

const READERS: [fn(&[u8]) -> Outcome; 9] =
    [member, conf_state, downgrade, cluster, v2_membership, v2_request, conf_change, initial_cluster, words];

fn run(input: &[u8]) -> Outcome {
    let Some((chosen, rest)) = input.split_first() else { return Outcome::Refused };
    READERS[usize::from(*chosen) % READERS.len()](rest)
}

fn member(json: &[u8]) -> Outcome {
    let Ok(member) = Member::from_json(json) else { return Outcome::Refused };
    check_member(&member);
    Outcome::Accepted
}

fn check_member(member: &Member) {
    assert_eq!(Member::from_json(member.to_json().as_bytes()).as_ref(), Ok(member));
    let attributes = attributes_json(&member.name, &member.client_urls);
    let read = Member::from_json(attributes.as_bytes()).expect("what was written is read");
    assert_eq!((&read.name, &read.client_urls), (&member.name, &member.client_urls));
}

fn conf_state(json: &[u8]) -> Outcome {
    let Ok(conf_state) = conf_state_from_json(json) else { return Outcome::Refused };
    let written = conf_state_to_json(&conf_state);
    assert_eq!(conf_state_from_json(written.as_bytes()), Ok(conf_state));
    Outcome::Accepted
}

fn downgrade(json: &[u8]) -> Outcome {
    let Ok(downgrade) = Downgrade::from_json(json) else { return Outcome::Refused };
    assert_eq!(Downgrade::from_json(downgrade.to_json().as_bytes()), Ok(downgrade));
    Outcome::Accepted
}

/// The pairs of the buckets, in pieces of the length that stands in front of each.
fn cluster(bytes: &[u8]) -> Outcome {
    let mut input = Input::new(bytes);
    let mut pairs: [Vec<(&[u8], &[u8])>; 3] = Default::default();
    while !input.is_at_end() {
        let bucket = usize::from(input.byte() % 3);
        pairs[bucket].push((input.short_bytes(), input.short_bytes()));
    }
    let [members, removed, state] = pairs;
    let Ok(mut cluster) = Cluster::load(members, removed.into_iter().map(|(key, _)| key), state) else {
        return Outcome::Refused;
    };
    cluster.members().for_each(check_member);
    check_snapshot(&cluster);
    let added = Member { id: MemberId(7), peer_urls: vec!["http://a:1".into()], ..Member::default() };
    for change in [Change::Add(added), Change::Promote(MemberId(7)), Change::Remove(MemberId(7))] {
        let expected = cluster.check(&change, 1);
        assert_eq!(cluster.apply(change, 1).map(drop), expected, "checked and carried out alike");
    }
    Outcome::Accepted
}

/// What snapshots for releases up to 3.6 say of a cluster is what it is.
fn check_snapshot(cluster: &Cluster) {
    let read = V2Membership::parse(v2_snapshot(cluster).as_bytes()).expect("what was written is read");
    for (read, written) in read.members.iter().zip(cluster.members()) {
        // A name without client URLs is left out, as in etcd.
        let name = if written.client_urls.is_empty() { "" } else { written.name.as_str() };
        assert_eq!(*read, Member { name: name.to_owned(), ..written.clone() });
    }
    assert_eq!(read.members.len(), cluster.members().len(), "all members are there");
    assert!(read.removed.into_iter().eq(cluster.removed()), "all that went are there");
    assert_eq!(read.version, cluster.version());
}

fn v2_membership(payload: &[u8]) -> Outcome {
    let Ok(read) = V2Membership::parse(payload) else { return Outcome::Refused };
    read.members.iter().for_each(check_member);
    Outcome::Accepted
}

/// Path and value, with a zero byte between them.
fn v2_request(bytes: &[u8]) -> Outcome {
    let Ok(text) = str::from_utf8(bytes) else { return Outcome::Refused };
    let (path, val) = text.split_once('\0').unwrap_or((text, ""));
    let Ok(request) = V2Request::parse("PUT", path, val) else { return Outcome::Refused };
    let message = request.to_message(RequestId(9));
    assert_eq!(V2Request::parse(&message.method, &message.path, &message.val), Ok(request));
    Outcome::Accepted
}

/// The type and the identity, and then the context.
fn conf_change(bytes: &[u8]) -> Outcome {
    let mut input = Input::new(bytes);
    let (kind, node_id) = (input.byte() % 5, input.small());
    let context = Some(input.rest().to_vec().into());
    let change = ConfChange { id: None, r#type: kind.into(), node_id, context };
    let Ok(parsed) = Change::from_conf_change(&change) else { return Outcome::Refused };
    let again = parsed.to_conf_change(None);
    assert_eq!((again.r#type, again.node_id), (change.r#type, node_id));
    assert_eq!(Change::from_conf_change(&again), Ok(parsed));
    Outcome::Accepted
}

fn initial_cluster(bytes: &[u8]) -> Outcome {
    let Ok(text) = str::from_utf8(bytes) else { return Outcome::Refused };
    let Ok(cluster) = InitialCluster::parse(text) else { return Outcome::Refused };
    assert_eq!(cluster.members("token"), cluster.members("token"), "made twice");
    // The form that is written cannot hold every URL that is taken: a comma ends it.
    if cluster.iter().all(|(_, urls)| urls.iter().all(|url| !url.contains(','))) {
        assert_eq!(InitialCluster::parse(&cluster.to_string()).as_ref(), Ok(&cluster));
    }
    Outcome::Accepted
}

/// A URL, an identity or a version.
fn words(bytes: &[u8]) -> Outcome {
    let id = parse_member_id(bytes);
    if let Ok(id) = id {
        assert_eq!(parse_member_id(id.to_string().as_bytes()), Ok(id));
    }
    let Ok(text) = str::from_utf8(bytes) else { return Outcome::of(id.is_ok()) };
    let url = parse_url(text);
    if let Ok(url) = &url {
        assert_eq!(parse_url(url).as_ref(), Ok(url));
    }
    let version = text.parse::<Version>();
    if let Ok(version) = version {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
    Outcome::of(id.is_ok() || url.is_ok() || version.is_ok())
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let whole = br#"{"id":7,"peerURLs":["http://a:1"],"isLearner":true,"name":"n\u003c","clientURLs":["http://b:2"]}"#;
    let state =
        br#"{"voters":[1,2],"learners":[3],"voters_outgoing":[4],"learners_next":[5],"auto_leave":true}"#;
    let piece = |bytes: &[u8]| [&[bytes.len() as u8], bytes].concat();
    let buckets = [
        &[0][..],
        &piece(b"7"),
        &piece(whole),
        &[1],
        &piece(b"a0"),
        &piece(b"removed"),
        &[2],
        &piece(b"clusterVersion"),
        &piece(b"3.7.0"),
        &[2],
        &piece(b"downgrade"),
        &piece(br#"{"target-version":"3.6.0","enabled":true}"#),
    ];
    let mut cluster = Cluster::default();
    let member = Member::from_json(whole).expect("a good member");
    cluster.apply(Change::Add(member), 1).expect("the first member");
    cluster.set_version(Version::new(3, 5, 0));
    let (buckets, snapshot) = (buckets.concat(), v2_snapshot(&cluster));
    let texts: [(u8, &[u8]); 14] = [
        (0, whole),
        (1, state),
        (2, br#"{"target-version":"3.6.0","enabled":true}"#),
        (3, &buckets),
        (4, snapshot.as_bytes()),
        (5, b"/0/version\x003.5.0"),
        (5, b"/0/members/7/attributes\0{\"name\":\"n\",\"clientURLs\":[\"u\"]}"),
        (6, &[&[3, 7][..], whole].concat()),
        (6, b"\x00\x07{\"id\":7,\"isPromote\":true}"),
        (7, b"n1=http://b:1,n2=https://[::1]:1,,n1=unix://a:1"),
        (8, b"https://user@[fe80::1]:2380?x#y"),
        (8, b"unix:///a/b"),
        (8, b"bdae9bbc11dd390d"),
        (8, b"3.5.0-pre"),
    ];
    let named = (0..)
        .zip(texts)
        .map(|(number, (reader, text))| (format!("{number:02}"), [&[reader][..], text].concat()));
    named.collect()
}
