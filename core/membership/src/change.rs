//! Changes of the membership, as the log carries them.

use crate::member::MemberJson;
use crate::{Cluster, Error, Member, Result, Write, from_json};
use proto::raftpb::{ConfChange, ConfChangeType};
use types::{MemberId, RequestId};

/// One change of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A member comes, as a voter or as a learner.
    Add(Member),
    /// A learner becomes a voter.
    Promote(MemberId),
    /// A member moves to other peer URLs.
    Update {
        /// The member.
        id: MemberId,
        /// All its peer URLs from now on. etcd does not check them.
        peer_urls: Vec<String>,
    },
    /// A member goes for ever.
    Remove(MemberId),
}

/// Why a committed change is not carried out; the same on every member. Consensus then gets a change of member 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The identity was removed and cannot come back.
    #[error("the member id was removed from the cluster")]
    IdRemoved,
    /// The identity is a member already.
    #[error("the member id exists")]
    IdExists,
    /// There is no such member.
    #[error("member not found")]
    IdNotFound,
    /// Another member has one of the peer URLs.
    #[error("a peer url exists")]
    PeerUrlExists,
    /// The member to promote votes already.
    #[error("the member is not a learner")]
    NotLearner,
    /// There are as many learners as there may be.
    #[error("too many learner members in cluster")]
    TooManyLearners,
}

impl Change {
    /// The member that the change is about.
    pub fn id(&self) -> MemberId {
        match self {
            Self::Add(member) => member.id,
            Self::Promote(id) | Self::Update { id, .. } | Self::Remove(id) => *id,
        }
    }

    /// Reads a configuration change.
    ///
    /// # Errors
    /// For everything that makes Go etcd panic, and for a member that is added as a voter by its type and as a learner by
    /// its context, or the other way round.
    pub fn from_conf_change(change: &ConfChange) -> Result<Self> {
        use ConfChangeType as Type;
        let id = MemberId(change.node_id);
        let kind = Type::try_from(change.r#type).map_err(|_| Error::BadChange(change.r#type))?;
        if kind == Type::ConfChangeRemoveNode {
            return Ok(Self::Remove(id));
        }
        let context: MemberJson = from_json("context", change.context.as_deref().unwrap_or_default())?;
        let is_promotion = context.is_promotion();
        let member = context.into_member(MemberId(0));
        if member.id != id {
            return Err(Error::MemberIdMismatch { what: "the context", expected: id, found: member.id });
        }
        match kind {
            Type::ConfChangeUpdateNode => Ok(Self::Update { id, peer_urls: member.peer_urls }),
            Type::ConfChangeAddNode if is_promotion => Ok(Self::Promote(id)),
            Type::ConfChangeAddNode if !member.is_learner => Ok(Self::Add(member)),
            Type::ConfChangeAddLearnerNode if member.is_learner && !is_promotion => Ok(Self::Add(member)),
            _ => Err(Error::BadChange(change.r#type)),
        }
    }

    /// The change as it is proposed; `request` is `None` for the entries that a new cluster begins with.
    pub fn to_conf_change(&self, request: Option<RequestId>) -> ConfChange {
        use ConfChangeType as Type;
        let id = self.id();
        let bare = |peer_urls| Member { id, peer_urls, ..Member::default() };
        let (kind, context) = match self {
            Self::Add(member) if member.is_learner => {
                (Type::ConfChangeAddLearnerNode, Some(member.to_json()))
            }
            Self::Add(member) => (Type::ConfChangeAddNode, Some(member.to_json())),
            Self::Promote(_) => {
                let context = format!("{{\"id\":{},\"peerURLs\":null,\"isPromote\":true}}", id.0);
                (Type::ConfChangeAddNode, Some(context))
            }
            Self::Update { peer_urls, .. } => {
                (Type::ConfChangeUpdateNode, Some(bare(peer_urls.clone()).to_json()))
            }
            Self::Remove(_) => (Type::ConfChangeRemoveNode, None),
        };
        ConfChange {
            id: request.map(|request| request.0),
            r#type: kind.into(),
            node_id: id.0,
            context: context.map(Into::into),
        }
    }
}

impl Cluster {
    /// Carries out a committed change and returns what to write.
    ///
    /// # Errors
    /// A [`Rejection`]; nothing has changed then.
    ///
    /// Source: `docs/formats/raft-entries.md 3`.
    pub fn apply(
        &mut self,
        change: Change,
        max_learners: usize,
    ) -> std::result::Result<Vec<Write>, Rejection> {
        self.check(&change, max_learners)?;
        let written = match change {
            Change::Add(member) => {
                let id = member.id;
                self.members.entry(id).or_insert(member)
            }
            Change::Promote(id) => {
                let member = self.members.get_mut(&id).ok_or(Rejection::IdNotFound)?;
                member.is_learner = false;
                member
            }
            Change::Update { id, peer_urls } => {
                let member = self.members.get_mut(&id).ok_or(Rejection::IdNotFound)?;
                member.peer_urls = peer_urls;
                member
            }
            Change::Remove(id) => {
                self.members.remove(&id);
                self.removed.insert(id);
                return Ok(Write::removal(id).into());
            }
        };
        Ok(vec![Write::member(written)])
    }

    /// Tells whether [`Cluster::apply`] would carry out `change`. `max_learners` is `--max-learners`, which must be equal
    /// on all members.
    ///
    /// # Errors
    /// The first [`Rejection`] in etcd's order.
    pub fn check(&self, change: &Change, max_learners: usize) -> std::result::Result<(), Rejection> {
        let id = change.id();
        if self.is_removed(id) {
            return Err(Rejection::IdRemoved);
        }
        let known = self.member(id);
        match change {
            Change::Add(_) if known.is_some() => Err(Rejection::IdExists),
            Change::Add(member) if self.has_peer_url(&member.peer_urls, id) => Err(Rejection::PeerUrlExists),
            Change::Add(member) if member.is_learner && self.learners() >= max_learners => {
                Err(Rejection::TooManyLearners)
            }
            Change::Add(_) => Ok(()),
            _ if known.is_none() => Err(Rejection::IdNotFound),
            Change::Promote(_) if known.is_some_and(|member| !member.is_learner) => {
                Err(Rejection::NotLearner)
            }
            Change::Update { peer_urls, .. } if self.has_peer_url(peer_urls, id) => {
                Err(Rejection::PeerUrlExists)
            }
            Change::Promote(_) | Change::Update { .. } | Change::Remove(_) => Ok(()),
        }
    }

    fn learners(&self) -> usize {
        self.members().filter(|member| member.is_learner).count()
    }

    /// Whether a member other than `id` has one of `urls`.
    fn has_peer_url(&self, urls: &[String], id: MemberId) -> bool {
        let others = self.members().filter(|member| member.id != id);
        others.flat_map(|member| &member.peer_urls).any(|url| urls.contains(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backend::Bucket;

    fn member(id: u64, url: &str) -> Member {
        Member { id: MemberId(id), peer_urls: vec![url.into()], ..Member::default() }
    }

    fn learner(id: u64, url: &str) -> Member {
        Member { is_learner: true, ..member(id, url) }
    }

    /// Voters 1 and 2, learner 3, and 4, which is gone.
    fn cluster() -> Cluster {
        let mut cluster = Cluster::default();
        for member in [member(1, "u1"), member(2, "u2"), learner(3, "u3"), member(4, "u4")] {
            cluster.apply(Change::Add(member), 1).unwrap();
        }
        cluster.apply(Change::Remove(MemberId(4)), 1).unwrap();
        cluster
    }

    #[track_caller]
    fn check_form(change: &Change, kind: i32, context: Option<&str>) {
        let conf_change = change.to_conf_change(Some(RequestId(9)));
        assert_eq!((conf_change.id, conf_change.r#type, conf_change.node_id), (Some(9), kind, change.id().0));
        assert_eq!(conf_change.context.as_deref(), context.map(str::as_bytes));
        assert_eq!(Change::from_conf_change(&conf_change).as_ref(), Ok(change));
    }

    #[test]
    fn changes_travel_in_the_form_of_go() {
        check_form(&Change::Add(member(7, "u")), 0, Some(r#"{"id":7,"peerURLs":["u"]}"#));
        check_form(&Change::Add(learner(7, "u")), 3, Some(r#"{"id":7,"peerURLs":["u"],"isLearner":true}"#));
        check_form(&Change::Promote(MemberId(7)), 0, Some(r#"{"id":7,"peerURLs":null,"isPromote":true}"#));
        let (id, peer_urls) = (MemberId(7), vec!["u".to_owned()]);
        check_form(&Change::Update { id, peer_urls }, 2, Some(r#"{"id":7,"peerURLs":["u"]}"#));
        check_form(&Change::Remove(id), 1, None);
        assert_eq!(Change::Remove(id).to_conf_change(None).id, None);
    }

    #[test]
    fn contradictory_changes_are_errors() {
        let good = Change::Add(member(7, "u")).to_conf_change(None);
        assert!(Change::from_conf_change(&ConfChange { node_id: 8, ..good.clone() }).is_err());
        assert!(Change::from_conf_change(&ConfChange { r#type: 3, ..good.clone() }).is_err());
        assert!(Change::from_conf_change(&ConfChange { r#type: 4, ..good.clone() }).is_err());
        assert!(Change::from_conf_change(&ConfChange { context: None, ..good }).is_err());
        let learner = Change::Add(learner(7, "u")).to_conf_change(None);
        assert!(Change::from_conf_change(&ConfChange { r#type: 0, ..learner }).is_err());
    }

    #[test]
    fn rejections_come_in_the_order_of_etcd_and_change_nothing() {
        use Rejection as R;
        let update = |id, url: &str| Change::Update { id: MemberId(id), peer_urls: vec![url.into()] };
        for (change, rejection) in [
            (Change::Add(member(4, "u1")), R::IdRemoved),
            (Change::Add(member(1, "u2")), R::IdExists),
            (Change::Add(learner(5, "u1")), R::PeerUrlExists),
            (Change::Add(learner(5, "u5")), R::TooManyLearners),
            (Change::Promote(MemberId(5)), R::IdNotFound),
            (Change::Promote(MemberId(4)), R::IdRemoved),
            (Change::Promote(MemberId(1)), R::NotLearner),
            (update(5, "u1"), R::IdNotFound),
            (update(1, "u2"), R::PeerUrlExists),
            (Change::Remove(MemberId(5)), R::IdNotFound),
            (Change::Remove(MemberId(4)), R::IdRemoved),
        ] {
            let mut cluster = cluster();
            let before = cluster.clone();
            assert_eq!(cluster.apply(change.clone(), 1), Err(rejection), "{change:?}");
            assert_eq!(cluster, before);
        }
    }

    #[test]
    fn changes_write_the_records_of_their_member() {
        let mut cluster = cluster();
        let one = |writes: Vec<Write>| {
            assert_eq!((writes.len(), writes[0].bucket), (1, Bucket::Members));
            String::from_utf8(writes[0].value.clone().unwrap()).unwrap()
        };
        let update = Change::Update { id: MemberId(3), peer_urls: vec!["u3".into(), "u9".into()] };
        let written = one(cluster.apply(update, 1).unwrap());
        assert_eq!(written, r#"{"id":3,"peerURLs":["u3","u9"],"isLearner":true}"#);
        let written = one(cluster.apply(Change::Promote(MemberId(3)), 1).unwrap());
        assert_eq!(written, r#"{"id":3,"peerURLs":["u3","u9"]}"#);
        let written = one(cluster.apply(Change::Add(learner(0xa0, "u5")), 1).unwrap());
        assert_eq!(written, r#"{"id":160,"peerURLs":["u5"],"isLearner":true}"#);
        let writes = cluster.apply(Change::Remove(MemberId(0xa0)), 1).unwrap();
        let key = b"a0".to_vec();
        let expected = [
            Write { bucket: Bucket::Members, key: key.clone(), value: None },
            Write { bucket: Bucket::MembersRemoved, key, value: Some(b"removed".to_vec()) },
        ];
        assert_eq!(writes, expected);
        assert!(cluster.is_removed(MemberId(0xa0)) && cluster.member(MemberId(0xa0)).is_none());
    }
}
