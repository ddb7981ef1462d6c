//! A member of three, whose messages the test carries.
#![allow(clippy::unwrap_used)]

mod common;

use common::config;
use membership::{Change, Member};
use node::{BootConfig, Booted, Input, Output, boot};
use proto::raftpb::{ConfState, Message, MessageType, Snapshot, SnapshotMetadata};
use std::sync::Arc;
use types::{LogIndex, MemberId};
use vfs::mem::MemDisk;
use vfs::{Disk, Job, drive};

/// A member, and the time at which it wants to be woken.
struct One {
    disk: MemDisk,
    member: node::Member,
    now: u64,
    wake_at: Option<u64>,
    sent: Vec<Message>,
}

impl One {
    fn boot() -> Self {
        Self::boot_with(&["default", "m2", "m3"])
    }

    fn boot_with(founders: &[&str]) -> Self {
        let cluster = founders.iter().map(|name| ((*name).into(), vec![format!("http://{name}:2380")]));
        let config = BootConfig { initial_cluster: cluster.collect(), serves_clusters: true, ..config() };
        let disk = MemDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let Booted { member, .. } =
            drive(&disk, Job::new(move |cx| async move { boot(&cx, shared, config).await })).unwrap();
        let mut one = Self { disk, member, now: 0, wake_at: None, sent: Vec::new() };
        one.run();
        one
    }

    fn run(&mut self) {
        while let Some(output) = self.member.poll_output(self.now) {
            match output {
                Output::PerformLog(effect) => {
                    let result = effect.perform(&self.disk);
                    self.member.handle(Input::LogPerformed(result));
                }
                Output::Send(messages) => self.sent.extend(messages),
                Output::WakeAt(at) => self.wake_at = Some(at),
                Output::Halt(reason) => panic!("{reason}"),
                _ => {}
            }
        }
    }

    /// Wakes the member whenever it wants, until `until`.
    fn pass_to(&mut self, until: u64) {
        while let Some(at) = self.wake_at.take_if(|at| *at <= until) {
            self.now = self.now.max(at);
            self.member.handle(Input::Wake);
            self.run();
        }
        self.now = until;
    }

    fn count(&mut self, kind: MessageType) -> usize {
        let sent = std::mem::take(&mut self.sent);
        sent.iter().filter(|message| message.r#type() == kind).count()
    }
}

const SECOND: u64 = 1_000_000_000;

fn member_id(name: &str) -> MemberId {
    membership::member_id(&[format!("http://{name}:2380")], "etcd-cluster", None)
}

#[test]
fn a_snapshot_that_comes_without_its_database_is_dropped() {
    let mut one = One::boot();
    let metadata = SnapshotMetadata {
        conf_state: ConfState { voters: vec![member_id("default").0], ..ConfState::default() },
        index: 100,
        term: 2,
    };
    let message = Message {
        r#type: MessageType::MsgSnap as i32,
        to: member_id("default").0,
        from: member_id("m2").0,
        term: 2,
        snapshot: Some(Snapshot { data: None, metadata }),
        ..Message::default()
    };
    one.member.handle(Input::Message(Box::new(message)));
    one.run();
    assert_eq!(one.member.status().commit, LogIndex(3), "only the first entries are there");
}

#[test]
fn a_sole_voter_with_a_learner_has_ticks() {
    let mut one = One::boot_with(&["default"]);
    let id = one.member.request_ids().next_id();
    let peer_urls = vec!["http://m2:2380".to_owned()];
    let learner = Member { id: MemberId(7), peer_urls, is_learner: true, ..Member::default() };
    one.member.handle(Input::ProposeChange { id, change: Box::new(Change::Add(learner)) });
    one.run();
    one.pass_to(2 * SECOND);
    let count = one.count(MessageType::MsgHeartbeat);
    assert!((15..=20).contains(&count), "{count} heartbeats in two seconds");
}

#[test]
fn a_member_without_a_leader_keeps_standing_for_election() {
    let mut one = One::boot();
    one.pass_to(60 * SECOND);
    let count = one.count(MessageType::MsgPreVote);
    assert!((2 * 30..=2 * 60).contains(&count), "{count} requests for a pre-vote in a minute");
}

#[test]
fn a_member_that_could_not_tell_its_attributes_keeps_standing_for_election() {
    let mut one = One::boot();
    let heartbeat = Message {
        r#type: MessageType::MsgHeartbeat as i32,
        to: member_id("default").0,
        from: member_id("m2").0,
        term: 2,
        commit: 3,
        ..Message::default()
    };
    one.member.handle(Input::Message(Box::new(heartbeat)));
    one.run();
    assert_eq!(one.count(MessageType::MsgProp), 1, "it tells its attributes");
    // The leader is never heard of again, and so there is nobody to tell them when it is time to try again.
    one.pass_to(60 * SECOND);
    let count = one.count(MessageType::MsgPreVote);
    assert!((2 * 30..=2 * 60).contains(&count), "{count} requests for a pre-vote in a minute");
}
