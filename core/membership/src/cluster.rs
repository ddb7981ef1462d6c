//! The replicated state: members, identities that are gone, cluster version, downgrade.

use crate::member::MemberJson;
use crate::{Error, Member, Result, from_json, parse_member_id};
use backend::Bucket;
use proto::raftpb::ConfState;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use stdx::json::push_string;
use types::{MemberId, Version};

/// The cluster as the applied entries have left it.
///
/// # Invariants
/// * An identity that was removed is no member and never comes back; a backend that says otherwise is read as it is.
/// * Every change returns what must be written to the backend, in the same batch as the entry's consistent index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    pub(crate) members: BTreeMap<MemberId, Member>,
    pub(crate) removed: BTreeSet<MemberId>,
    version: Option<Version>,
    downgrade: Downgrade,
}

/// A downgrade that is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Downgrade {
    /// The version that the cluster goes down to; `None` if no downgrade is under way.
    pub target: Option<Version>,
}

/// One change of the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub bucket: Bucket,
    /// The key.
    pub key: Vec<u8>,
    /// The new value; `None` deletes the key.
    pub value: Option<Vec<u8>>,
}

impl Cluster {
    /// Reads the state from the pairs of the buckets `members` and `cluster` and the keys of `members_removed`.
    ///
    /// # Errors
    /// For every pair that etcd would not start with, and for a member whose key and identity differ.
    pub fn load<'a>(
        members: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        removed: impl IntoIterator<Item = &'a [u8]>,
        cluster: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self> {
        let mut state = Self::default();
        for (key, json) in members {
            let id = parse_member_id(key)?;
            let member = from_json::<MemberJson>("member", json)?.into_member(id);
            if member.id != id {
                return Err(Error::MemberIdMismatch { what: "the record", expected: id, found: member.id });
            }
            state.members.insert(id, member);
        }
        for key in removed {
            state.removed.insert(parse_member_id(key)?);
        }
        for (key, value) in cluster {
            match key {
                backend::CLUSTER_VERSION => state.version = Some(String::from_utf8_lossy(value).parse()?),
                backend::CLUSTER_DOWNGRADE => state.downgrade = Downgrade::from_json(value)?,
                _ => {}
            }
        }
        Ok(state)
    }

    /// The members, in the order of their identities.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }

    /// The members that vote.
    pub fn voters(&self) -> impl Iterator<Item = &Member> {
        self.members().filter(|member| !member.is_learner)
    }

    /// The member `id`.
    pub fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.get(&id)
    }

    /// Whether `id` was a member once and is not any more.
    pub fn is_removed(&self, id: MemberId) -> bool {
        self.removed.contains(&id)
    }

    /// The identities that are gone, ascending.
    pub fn removed(&self) -> impl ExactSizeIterator<Item = MemberId> {
        self.removed.iter().copied()
    }

    /// The cluster version; `None` until the first leader has set it.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// The downgrade that is under way, if any.
    pub fn downgrade(&self) -> Downgrade {
        self.downgrade
    }

    /// Whether a downgrade is under way.
    pub fn downgrade_is_enabled(&self) -> bool {
        self.downgrade.target.is_some()
    }

    /// Voters and learners as consensus needs them, both ascending.
    pub fn conf_state(&self) -> ConfState {
        let ids = |is_learner| {
            self.members()
                .filter(|member| member.is_learner == is_learner)
                .map(|member| member.id.0)
                .collect()
        };
        ConfState { voters: ids(false), learners: ids(true), ..ConfState::default() }
    }

    /// Takes what member `id` tells about itself. Returns nothing to write if it was removed meanwhile.
    ///
    /// # Errors
    /// [`Error::UnknownMember`] if it never was a member: no etcd can go on from there.
    pub fn set_attributes(
        &mut self,
        id: MemberId,
        name: String,
        client_urls: Vec<String>,
    ) -> Result<Option<Write>> {
        match self.members.get_mut(&id) {
            Some(member) => {
                member.name = name;
                member.client_urls = client_urls;
                Ok(Some(Write::member(member)))
            }
            None if self.removed.contains(&id) => Ok(None),
            None => Err(Error::UnknownMember(id)),
        }
    }

    /// Sets the cluster version. That it is not above our own is for the caller to check.
    pub fn set_version(&mut self, version: Version) -> Write {
        self.version = Some(version);
        let value = Some(version.to_string().into_bytes());
        Write { bucket: Bucket::Cluster, key: backend::CLUSTER_VERSION.to_vec(), value }
    }

    /// Begins a downgrade, or ends the one that is under way.
    pub fn set_downgrade(&mut self, downgrade: Downgrade) -> Write {
        self.downgrade = downgrade;
        let value = Some(downgrade.to_json().into_bytes());
        Write { bucket: Bucket::Cluster, key: backend::CLUSTER_DOWNGRADE.to_vec(), value }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct DowngradeJson {
    target_version: Option<String>,
    enabled: Option<bool>,
}

impl Downgrade {
    /// The value of `downgrade` in the bucket `cluster`.
    pub fn to_json(self) -> String {
        let target = self.target.map(|version| version.to_string()).unwrap_or_default();
        let mut out = String::from("{\"target-version\":");
        push_string(&mut out, &target);
        out.push_str(if self.target.is_some() { ",\"enabled\":true}" } else { ",\"enabled\":false}" });
        out
    }

    /// Reads that value. The target of a downgrade that is not enabled does not matter.
    ///
    /// # Errors
    /// [`Error::Json`], [`Error::Version`].
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let read: DowngradeJson = from_json("downgrade", json)?;
        if !read.enabled.unwrap_or_default() {
            return Ok(Self::default());
        }
        Ok(Self { target: Some(read.target_version.unwrap_or_default().parse()?) })
    }
}

impl Write {
    /// The record of a member.
    pub(crate) fn member(member: &Member) -> Self {
        let value = Some(member.to_json().into_bytes());
        Self { bucket: Bucket::Members, key: member.id.to_string().into_bytes(), value }
    }

    /// The records that member `id` leaves when it goes.
    pub(crate) fn removal(id: MemberId) -> [Self; 2] {
        let key = id.to_string().into_bytes();
        let mark = Some(b"removed".to_vec());
        [
            Self { bucket: Bucket::Members, key: key.clone(), value: None },
            Self { bucket: Bucket::MembersRemoved, key, value: mark },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pair = (&'static [u8], &'static [u8]);
    const N1: Pair =
        (b"bdae9bbc11dd390d", br#"{"id":13668033151171901709,"peerURLs":["http://a:1"],"name":"n1"}"#);

    fn load(members: &[Pair], removed: &[&'static [u8]], cluster: &[Pair]) -> Result<Cluster> {
        Cluster::load(members.iter().copied(), removed.iter().copied(), cluster.iter().copied())
    }

    #[test]
    fn the_buckets_of_go_are_read() {
        let learner: Pair = (b"1", br#"{"id":1,"peerURLs":["http://b:1"],"isLearner":true}"#);
        let downgrade: Pair = (b"downgrade", br#"{"target-version":"3.6.0","enabled":true}"#);
        let other: Pair = (b"other", b"\xff");
        let cluster =
            load(&[learner, N1], &[b"2"], &[(b"clusterVersion", b"3.7.0"), downgrade, other]).unwrap();
        assert_eq!(cluster.version(), Some(Version::new(3, 7, 0)));
        assert_eq!(cluster.downgrade().target, Some(Version::new(3, 6, 0)));
        assert!(cluster.is_removed(MemberId(2)) && !cluster.is_removed(MemberId(1)));
        assert_eq!(cluster.member(MemberId(0xbdae_9bbc_11dd_390d)).unwrap().name, "n1");
        let conf_state = cluster.conf_state();
        assert_eq!((conf_state.voters, conf_state.learners), (vec![0xbdae_9bbc_11dd_390d], vec![1]));
    }

    #[test]
    fn damaged_buckets_are_errors() {
        assert!(load(&[(b"x", N1.1)], &[], &[]).is_err());
        assert!(matches!(load(&[(b"7", N1.1)], &[], &[]), Err(Error::MemberIdMismatch { .. })));
        assert!(load(&[(N1.0, b"{")], &[], &[]).is_err());
        assert!(load(&[], &[b""], &[]).is_err());
        assert!(load(&[], &[], &[(b"clusterVersion", b"\xff")]).is_err());
        assert!(load(&[], &[], &[(b"downgrade", br#"{"enabled":true}"#)]).is_err());
        assert_eq!(load(&[], &[], &[]), Ok(Cluster::default()));
    }

    #[test]
    fn attributes_rewrite_the_record_of_the_member() {
        let mut cluster = load(&[N1], &[b"2"], &[]).unwrap();
        let id = MemberId(0xbdae_9bbc_11dd_390d);
        let write = cluster.set_attributes(id, "x".into(), vec!["http://c:1".into()]).unwrap().unwrap();
        assert_eq!((write.bucket, write.key.as_slice()), (Bucket::Members, N1.0));
        assert_eq!(
            write.value.unwrap(),
            br#"{"id":13668033151171901709,"peerURLs":["http://a:1"],"name":"x","clientURLs":["http://c:1"]}"#
        );
        assert_eq!(cluster.set_attributes(MemberId(2), "x".into(), vec![]), Ok(None));
        assert_eq!(
            cluster.set_attributes(MemberId(3), "x".into(), vec![]),
            Err(Error::UnknownMember(MemberId(3)))
        );
    }

    #[test]
    fn versions_are_written_as_go_does() {
        let mut cluster = Cluster::default();
        let value = |write: Write| (write.key, String::from_utf8(write.value.unwrap()).unwrap());
        let version = Version::new(3, 6, 0);
        assert_eq!(value(cluster.set_version(version)), (b"clusterVersion".to_vec(), "3.6.0".into()));
        assert_eq!(
            value(cluster.set_downgrade(Downgrade { target: Some(version) })).1,
            r#"{"target-version":"3.6.0","enabled":true}"#
        );
        assert!(cluster.downgrade_is_enabled());
        assert_eq!(
            value(cluster.set_downgrade(Downgrade::default())),
            (b"downgrade".to_vec(), r#"{"target-version":"","enabled":false}"#.into())
        );
    }
}
