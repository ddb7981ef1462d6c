//! Whether a change would leave the cluster without a working quorum: the checks of `--strict-reconfig-check`.
//!
//! They look at the connections of the member that is asked, so they come before the change is proposed; what every
//! member must agree on is checked when it is applied ([`Cluster::check`]).

use crate::{Change, Cluster};
use std::collections::BTreeSet;
use types::MemberId;

/// The connections of the member that is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// That member.
    pub own: MemberId,
    /// Members with any connection, itself not needed.
    pub connected: BTreeSet<MemberId>,
    /// Members whose connection has been up for more than 5 s, itself not needed.
    pub stable: BTreeSet<MemberId>,
}

/// Why a change is not even proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrictRefusal {
    /// Too many members of the new configuration have never started.
    #[error("re-configuration failed due to not enough started members")]
    NotEnoughStarted,
    /// Too few members are connected.
    #[error("unhealthy cluster")]
    Unhealthy,
}

impl Cluster {
    /// Tells whether `change` is safe as far as `connections` show.
    ///
    /// # Errors
    /// See [`StrictRefusal`]. A change of an unknown member passes here and is rejected when it is applied.
    pub fn check_strict(&self, change: &Change, connections: &Connections) -> Result<(), StrictRefusal> {
        let voters = self.voters().count();
        let stable = self
            .voters()
            .filter(|voter| voter.id == connections.own || connections.stable.contains(&voter.id))
            .count();
        match change {
            Change::Add(member) => {
                // A lone member may always get a second one: that is how a lost cluster is built up again.
                let may_grow =
                    (voters == 1 && self.started(None) == 1) || self.started(None) >= quorum(voters + 1);
                if !member.is_learner && !may_grow {
                    return Err(StrictRefusal::NotEnoughStarted);
                }
                if voters > 1 && stable < quorum(voters + 1) { Err(StrictRefusal::Unhealthy) } else { Ok(()) }
            }
            Change::Promote(_) if self.started(None) + 1 < quorum(voters + 1) => {
                Err(StrictRefusal::NotEnoughStarted)
            }
            Change::Remove(id) if self.member(*id).is_some_and(|member| !member.is_learner) => {
                let rest = voters - 1;
                if self.started(Some(*id)) < quorum(rest) {
                    return Err(StrictRefusal::NotEnoughStarted);
                }
                // A member that is down is no part of the quorum that works.
                let is_up = *id == connections.own || connections.connected.contains(id);
                if is_up && stable < 1 + quorum(rest) { Err(StrictRefusal::Unhealthy) } else { Ok(()) }
            }
            Change::Promote(_) | Change::Update { .. } | Change::Remove(_) => Ok(()),
        }
    }

    /// Number of voters that have started, without `except`.
    fn started(&self, except: Option<MemberId>) -> usize {
        self.voters().filter(|voter| voter.is_started() && Some(voter.id) != except).count()
    }
}

fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Member;

    /// Voters 1, 2, …, of which the first `started` have started.
    fn cluster(voters: u64, started: u64) -> Cluster {
        let mut cluster = Cluster::default();
        for id in 1..=voters {
            let name = if id <= started { format!("n{id}") } else { String::new() };
            let member =
                Member { id: MemberId(id), name, peer_urls: vec![format!("u{id}")], ..Member::default() };
            cluster.apply(Change::Add(member), 1).unwrap();
        }
        cluster
    }

    /// The connections of member 1 with members 2 to `stable`.
    fn connections(stable: u64) -> Connections {
        let peers: BTreeSet<MemberId> = (2..=stable).map(MemberId).collect();
        Connections { own: MemberId(1), connected: peers.clone(), stable: peers }
    }

    fn add(is_learner: bool) -> Change {
        Change::Add(Member { id: MemberId(99), is_learner, ..Member::default() })
    }

    #[test]
    fn a_voter_is_added_only_to_a_started_and_connected_quorum() {
        let check = |voters, started, stable| {
            cluster(voters, started).check_strict(&add(false), &connections(stable))
        };
        assert_eq!(check(1, 1, 1), Ok(()));
        assert_eq!(check(2, 1, 2), Err(StrictRefusal::NotEnoughStarted));
        assert_eq!(check(2, 2, 2), Ok(()));
        assert_eq!(check(3, 3, 3), Ok(()));
        assert_eq!(check(3, 3, 2), Err(StrictRefusal::Unhealthy));
        assert_eq!(check(3, 2, 3), Err(StrictRefusal::NotEnoughStarted));
        assert_eq!(check(4, 4, 3), Ok(()));
    }

    #[test]
    fn a_learner_needs_connections_only() {
        let check = |voters, stable| cluster(voters, 0).check_strict(&add(true), &connections(stable));
        // One of three down: refused; one of four, one of five: allowed; two of five: refused.
        assert_eq!(check(3, 2), Err(StrictRefusal::Unhealthy));
        assert_eq!((check(4, 3), check(5, 4)), (Ok(()), Ok(())));
        assert_eq!(check(5, 3), Err(StrictRefusal::Unhealthy));
        assert_eq!(check(1, 0), Ok(()));
    }

    #[test]
    fn a_member_that_is_down_may_go() {
        let check = |voters, stable, id| {
            cluster(voters, voters).check_strict(&Change::Remove(MemberId(id)), &connections(stable))
        };
        assert_eq!(check(3, 2, 3), Ok(()));
        assert_eq!(check(3, 2, 2), Err(StrictRefusal::Unhealthy));
        assert_eq!(check(3, 3, 2), Ok(()));
        assert_eq!(check(3, 2, 1), Err(StrictRefusal::Unhealthy));
        assert_eq!(check(1, 1, 1), Err(StrictRefusal::NotEnoughStarted));
        assert_eq!(check(1, 1, 7), Ok(()));
    }

    #[test]
    fn a_promotion_counts_the_learner_as_started() {
        let check = |voters, started| {
            cluster(voters, started).check_strict(&Change::Promote(MemberId(99)), &connections(1))
        };
        assert_eq!(check(1, 1), Ok(()));
        assert_eq!(check(2, 1), Ok(()));
        assert_eq!(check(3, 1), Err(StrictRefusal::NotEnoughStarted));
    }
}
