//! The members, what a leader knows of each, and who won a count.

use crate::Error;
use crate::progress::{InflightLimits, Progress};
use proto::raftpb::{ConfChange, ConfChangeType, ConfState};

/// The outcome of a count of votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VoteResult {
    Pending,
    Won,
    Lost,
}

/// The members of the group, ascending by id.
///
/// Invariants: `progress` has exactly the voters and learners, each once; no member is both.
#[derive(Debug)]
pub(crate) struct Tracker {
    voters: Vec<u64>,
    learners: Vec<u64>,
    progress: Vec<Progress>,
    votes: Vec<(u64, bool)>,
    limits: InflightLimits,
}

impl Tracker {
    /// The members of a configuration; the last entry of the log is `last`.
    ///
    /// # Errors
    /// [`Error::Configuration`] if it has no voter, is joint, or names a member twice.
    pub fn new(conf_state: &ConfState, last: u64, limits: InflightLimits) -> Result<Self, Error> {
        let ConfState { voters, learners, voters_outgoing, learners_next, auto_leave: _ } = conf_state;
        if !voters_outgoing.is_empty() || !learners_next.is_empty() {
            return Err(Error::Configuration("joint configurations are not supported".into()));
        }
        let mut tracker = Self {
            voters: sorted(voters),
            learners: sorted(learners),
            progress: Vec::new(),
            votes: Vec::new(),
            limits,
        };
        let ids = sorted(&[voters.as_slice(), learners].concat());
        if ids.len() != voters.len() + learners.len() || ids.contains(&0) {
            return Err(Error::Configuration(format!("voters {voters:x?} and learners {learners:x?}")));
        }
        tracker.progress = ids.into_iter().map(|id| tracker.joining(id, last)).collect();
        Ok(tracker)
    }

    /// A member that has just joined: the first message looks at the end of the log.
    fn joining(&self, id: u64, last: u64) -> Progress {
        let mut progress = Progress::new(id, last.max(1), self.limits);
        progress.is_learner = self.learners.binary_search(&id).is_ok();
        // Else the next check of the quorum could depose a leader before the newcomer had a chance to speak.
        progress.is_recently_active = true;
        progress
    }

    /// Changes the configuration; the last entry of the log is `last`. A change without a member (id 0) is one that
    /// was refused when it was applied, and changes nothing.
    ///
    /// # Errors
    /// [`Error::Configuration`] if nobody would have a vote, or the kind is unknown.
    pub fn apply(&mut self, change: &ConfChange, last: u64) -> Result<(), Error> {
        let id = change.node_id;
        let kind = ConfChangeType::try_from(change.r#type)
            .map_err(|_| Error::Configuration(format!("unknown kind {} of change", change.r#type)))?;
        let (mut voters, mut learners) = (self.voters.clone(), self.learners.clone());
        let is_known = self.progress(id).is_some();
        match kind {
            _ if id == 0 => {}
            ConfChangeType::ConfChangeAddNode => {
                remove(&mut learners, id);
                insert(&mut voters, id);
            }
            ConfChangeType::ConfChangeAddLearnerNode => {
                remove(&mut voters, id);
                insert(&mut learners, id);
            }
            ConfChangeType::ConfChangeRemoveNode => {
                remove(&mut voters, id);
                remove(&mut learners, id);
            }
            ConfChangeType::ConfChangeUpdateNode => {}
        }
        if voters.is_empty() {
            return Err(Error::Configuration("a change would leave no voter".into()));
        }
        (self.voters, self.learners) = (voters, learners);
        let is_learner = self.learners.binary_search(&id).is_ok();
        let is_member = is_learner || self.is_voter(id);
        match self.position(id) {
            Ok(position) if is_member => self.progress[position].is_learner = is_learner,
            Ok(position) => drop(self.progress.remove(position)),
            Err(position) if is_member && !is_known => {
                let joining = self.joining(id, last);
                self.progress.insert(position, joining);
            }
            Err(_) => {}
        }
        Ok(())
    }

    pub fn conf_state(&self) -> ConfState {
        ConfState { voters: self.voters.clone(), learners: self.learners.clone(), ..ConfState::default() }
    }

    pub fn voters(&self) -> &[u64] {
        &self.voters
    }

    pub fn is_voter(&self, id: u64) -> bool {
        self.voters.binary_search(&id).is_ok()
    }

    /// Whether the one voter is the one member that counts.
    pub fn has_sole_voter(&self) -> bool {
        self.voters.len() == 1
    }

    pub fn members(&self) -> &[Progress] {
        &self.progress
    }

    pub fn members_mut(&mut self) -> &mut [Progress] {
        &mut self.progress
    }

    fn position(&self, id: u64) -> Result<usize, usize> {
        self.progress.binary_search_by_key(&id, |progress| progress.id)
    }

    pub fn progress(&self, id: u64) -> Option<&Progress> {
        self.position(id).ok().map(|position| &self.progress[position])
    }

    pub fn progress_mut(&mut self, id: u64) -> Option<&mut Progress> {
        self.position(id).ok().map(|position| &mut self.progress[position])
    }

    /// Forgets what was known of each member; the log ends at `last`, and `own` has all of it.
    pub fn reset(&mut self, own: u64, last: u64) {
        let limits = self.limits;
        for progress in &mut self.progress {
            let fresh = Progress::new(progress.id, last + 1, limits);
            *progress = Progress { is_learner: progress.is_learner, ..fresh };
            if progress.id == own {
                progress.matched = last;
            }
        }
    }

    /// The greatest value that a majority of the voters has reached; none if there is no voter.
    pub fn majority(&self, reached: impl Fn(u64) -> u64) -> u64 {
        const INLINE: usize = 9;
        let count = self.voters.len();
        let rank = count / 2;
        if count <= INLINE {
            let mut values = [0; INLINE];
            for (value, id) in values.iter_mut().zip(&self.voters) {
                *value = reached(*id);
            }
            values[..count].sort_unstable_by(|a, b| b.cmp(a));
            return values[rank];
        }
        let mut values: Vec<u64> = self.voters.iter().map(|id| reached(*id)).collect();
        values.sort_unstable_by(|a, b| b.cmp(a));
        values[rank]
    }

    /// The last index that a majority of the voters holds.
    pub fn committed(&self) -> u64 {
        self.majority(|id| self.progress(id).map_or(0, |progress| progress.matched))
    }

    /// Whether a majority of the voters was heard from.
    pub fn is_quorum_active(&self) -> bool {
        self.count(|id| self.progress(id).map(|progress| progress.is_recently_active)) == VoteResult::Won
    }

    pub fn forget_votes(&mut self) {
        self.votes.clear();
    }

    /// Counts a vote; the first of each member stands.
    pub fn record_vote(&mut self, id: u64, is_granted: bool) -> VoteResult {
        if self.votes.iter().all(|(voter, _)| *voter != id) {
            self.votes.push((id, is_granted));
        }
        self.count(|id| self.votes.iter().find(|(voter, _)| *voter == id).map(|(_, granted)| *granted))
    }

    fn count(&self, vote: impl Fn(u64) -> Option<bool>) -> VoteResult {
        let (mut granted, mut missing) = (0, 0);
        for id in &self.voters {
            match vote(*id) {
                Some(true) => granted += 1,
                Some(false) => {}
                None => missing += 1,
            }
        }
        let quorum = self.voters.len() / 2 + 1;
        if granted >= quorum {
            VoteResult::Won
        } else if granted + missing >= quorum {
            VoteResult::Pending
        } else {
            VoteResult::Lost
        }
    }
}

fn sorted(ids: &[u64]) -> Vec<u64> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn insert(ids: &mut Vec<u64>, id: u64) {
    if let Err(position) = ids.binary_search(&id) {
        ids.insert(position, id);
    }
}

fn remove(ids: &mut Vec<u64>, id: u64) {
    if let Ok(position) = ids.binary_search(&id) {
        ids.remove(position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: InflightLimits = InflightLimits { messages: 4, bytes: 0 };

    fn tracker(voters: &[u64], learners: &[u64]) -> Tracker {
        let conf_state =
            ConfState { voters: voters.into(), learners: learners.into(), ..ConfState::default() };
        Tracker::new(&conf_state, 5, LIMITS).unwrap()
    }

    fn change(kind: ConfChangeType, node_id: u64) -> ConfChange {
        ConfChange { r#type: kind as i32, node_id, ..ConfChange::default() }
    }

    #[test]
    fn a_majority_is_more_than_half() {
        let reached = |values: &'static [u64]| move |id: u64| values[usize::try_from(id).unwrap() - 1];
        for (values, expected) in
            [(&[7][..], 7), (&[7, 3], 3), (&[7, 3, 5], 5), (&[7, 3, 5, 9], 5), (&[1, 2, 3, 4, 5], 3)]
        {
            let ids: Vec<u64> = (1..=values.len() as u64).collect();
            assert_eq!(tracker(&ids, &[]).majority(reached(values)), expected, "{values:?}");
        }
        let ids: Vec<u64> = (1..=13).collect();
        assert_eq!(tracker(&ids, &[]).majority(|id| id), 7);
    }

    #[test]
    fn a_vote_counts_once_and_only_of_voters() {
        let mut tracker = tracker(&[1, 2, 3], &[4]);
        assert_eq!(tracker.record_vote(1, true), VoteResult::Pending);
        assert_eq!(tracker.record_vote(4, true), VoteResult::Pending);
        assert_eq!(tracker.record_vote(2, false), VoteResult::Pending);
        assert_eq!(tracker.record_vote(2, true), VoteResult::Pending, "the first vote stands");
        assert_eq!(tracker.record_vote(3, false), VoteResult::Lost);
    }

    #[test]
    fn changes_move_members_and_keep_what_is_known_of_them() {
        let mut tracker = tracker(&[1], &[]);
        tracker.apply(&change(ConfChangeType::ConfChangeAddLearnerNode, 3), 9).unwrap();
        assert!(tracker.progress(3).is_some_and(|progress| progress.is_learner && progress.next == 9));
        tracker.progress_mut(3).unwrap().acknowledge(8);
        tracker.apply(&change(ConfChangeType::ConfChangeAddNode, 3), 12).unwrap();
        assert!(tracker.progress(3).is_some_and(|progress| !progress.is_learner && progress.matched == 8));
        tracker.apply(&change(ConfChangeType::ConfChangeUpdateNode, 3), 12).unwrap();
        tracker.apply(&change(ConfChangeType::ConfChangeAddNode, 0), 12).unwrap();
        assert_eq!(tracker.conf_state().voters, [1, 3]);
        tracker.apply(&change(ConfChangeType::ConfChangeRemoveNode, 1), 12).unwrap();
        assert!(tracker.progress(1).is_none());
        let sole = tracker.apply(&change(ConfChangeType::ConfChangeRemoveNode, 3), 12);
        assert!(matches!(sole, Err(Error::Configuration(_))));
        assert_eq!(tracker.conf_state().voters, [3], "a refused change changes nothing");
        let unknown = ConfChange { r#type: 9, node_id: 5, ..ConfChange::default() };
        assert!(tracker.apply(&unknown, 12).is_err());
    }

    #[test]
    fn configurations_that_cannot_be_are_refused() {
        for (voters, learners) in [(&[1, 1][..], &[][..]), (&[1, 2], &[2]), (&[0], &[])] {
            let conf_state =
                ConfState { voters: voters.into(), learners: learners.into(), ..ConfState::default() };
            assert!(Tracker::new(&conf_state, 5, LIMITS).is_err(), "{conf_state:?}");
        }
        let joint = ConfState { voters: vec![1], voters_outgoing: vec![2], ..ConfState::default() };
        assert!(Tracker::new(&joint, 5, LIMITS).is_err());
    }
}
