//! Messages that no correct member sends: they are dropped or stop the member with an error, and never panic.

use bytes::Bytes;
use proto::raftpb::{ConfState, Entry, HardState, Message, MessageType, Snapshot, SnapshotMetadata};
use raft::{Config, Raft, Restored};
use stdx::prng::Prng;
use types::{LogIndex, MemberId, Term};

const MESSAGES: usize = 300_000;

fn pick<T: Clone>(rng: &mut Prng, choices: &[T]) -> T {
    choices[usize::try_from(rng.below(choices.len() as u64)).expect("few choices")].clone()
}

/// Mostly near what is there, sometimes at the ends.
fn number(rng: &mut Prng) -> u64 {
    pick(rng, &[0, 1, 2, 3, 4, 5, 6, u64::MAX >> 1, u64::MAX - 1, u64::MAX])
}

fn ids(rng: &mut Prng) -> Vec<u64> {
    (0..rng.below(4)).map(|_| rng.below(5)).collect()
}

fn message(rng: &mut Prng) -> Message {
    let entries = (0..rng.below(4)).map(|_| {
        let data = pick(
            rng,
            &[
                None,
                Some(Bytes::new()),
                Some(Bytes::from_static(&[0x10, 1, 0x18, 2])),
                Some(Bytes::from_static(b"\xff")),
            ],
        );
        Entry { r#type: pick(rng, &[0, 0, 0, 1, 2, 9]), term: number(rng), index: number(rng), data }
    });
    let entries = entries.collect();
    let conf_state = ConfState {
        voters: ids(rng),
        learners: ids(rng),
        voters_outgoing: pick(rng, &[vec![], vec![], vec![1]]),
        ..ConfState::default()
    };
    let metadata = SnapshotMetadata { conf_state, index: number(rng), term: number(rng) };
    Message {
        r#type: i32::try_from(rng.below(26)).expect("a small number"),
        to: 1,
        from: rng.below(5),
        term: if rng.chance(1, 6) { number(rng) } else { pick(rng, &[0, 1, 2, 2, 3]) },
        log_term: number(rng),
        index: number(rng),
        entries,
        commit: number(rng),
        snapshot: rng.chance(1, 3).then_some(Snapshot { data: None, metadata }),
        reject: rng.chance(1, 2),
        reject_hint: number(rng),
        context: pick(rng, &[None, Some(Bytes::from_static(b"short")), Some(Bytes::from_static(&[9; 8]))]),
    }
}

fn member(rng: &mut Prng) -> Raft {
    let entry = |index| Entry { term: 1, index, ..Entry::default() };
    let restored = Restored {
        hard_state: HardState { term: 2, vote: 0, commit: 2 },
        conf_state: ConfState { voters: vec![1, 2, 3], learners: vec![4], ..ConfState::default() },
        snapshot: (Term(0), LogIndex(0)),
        entries: (1..=4).map(entry).collect(),
        applied: LogIndex(2),
    };
    let config = Config { has_pre_vote: rng.chance(1, 2), seed: rng.next_u64(), ..Config::new(MemberId(1)) };
    let mut raft = Raft::new(config, restored).expect("the log fits");
    if rng.chance(2, 3) {
        raft.campaign();
    }
    // Grants of whatever it asked for; without pre-votes it leads then.
    let persist = raft.take_persist();
    persist.map(|persist| raft.persisted(persist.completion)).transpose().expect("nothing is wrong yet");
    for kind in [MessageType::MsgPreVoteResp, MessageType::MsgVoteResp] {
        let grant = Message { r#type: kind as i32, to: 1, from: 2, term: 3, ..Message::default() };
        raft.step(grant).expect("a grant");
    }
    raft
}

#[test]
fn no_message_makes_a_member_panic() {
    let mut rng = Prng::new(1);
    let (mut raft, mut stopped, mut led) = (member(&mut rng), 0, 0);
    for number in 0..MESSAGES {
        let is_fatal = raft.step(message(&mut rng)).is_err_and(|error| error.is_fatal());
        if rng.chance(1, 4) {
            raft.tick();
        }
        led += usize::from(raft.status().role == raft::Role::Leader);
        let mut is_broken = is_fatal;
        if let Some(persist) = raft.take_persist() {
            is_broken |= raft.persisted(persist.completion).is_err();
        }
        let _ = (raft.take_messages(), raft.take_reads(), raft.describe().to_string());
        if let Some(last) = raft.take_committed().last() {
            raft.applied(LogIndex(last.index));
        }
        if let Some(read) = raft.take_disk_read() {
            is_broken |= raft.entries_read(&[]).is_err();
            assert!(read.from.0 > 0);
        }
        stopped += usize::from(is_broken);
        if is_broken || number % 50 == 0 {
            raft = member(&mut rng);
        }
    }
    assert!(stopped > 100 && led > MESSAGES / 20, "{stopped} stopped, led {led} times");
}
