//! Alarms: a set of (member, kind), kept in the backend.

use crate::answer::{Answer, Refusal, put_bytes};
use crate::applier::Applier;
use backend::{Bucket, Buffer};
use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb::{AlarmMember, AlarmRequest, AlarmType, alarm_request::AlarmAction};
use std::collections::BTreeSet;

/// The kinds that change what is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmKind {
    /// The quota is used up: writes that need space are refused.
    NoSpace,
    /// Members differ: reads through the log and all writes are refused.
    Corrupt,
}

/// One active alarm. `kind` is the number of `AlarmType`; unknown ones are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alarm {
    /// The member it is about.
    pub member: u64,
    /// Number of `AlarmType`.
    pub kind: i32,
}

impl Alarm {
    /// Reads the key of bucket `alarm`.
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let member = AlarmMember::decode(key).ok()?;
        Some(Self { member: member.member_id, kind: member.alarm })
    }

    /// Its kind as etcd writes it, as in `NOSPACE`.
    pub fn name(&self) -> &'static str {
        AlarmType::try_from(self.kind).map_or("UNKNOWN", |kind| kind.as_str_name())
    }

    fn encode(self) -> Bytes {
        AlarmMember { member_id: self.member, alarm: self.kind }.encode_to_vec().into()
    }
}

/// Whether an alarm of `kind` is active on any member.
pub(crate) fn is_active(alarms: &BTreeSet<Alarm>, kind: AlarmKind) -> bool {
    let number = match kind {
        AlarmKind::NoSpace => AlarmType::Nospace,
        AlarmKind::Corrupt => AlarmType::Corrupt,
    } as i32;
    alarms.iter().any(|alarm| alarm.kind == number)
}

impl Applier {
    pub(crate) fn alarm(&mut self, request: &AlarmRequest) -> Result<Answer, Refusal> {
        let wanted = Alarm { member: request.member_id, kind: request.alarm };
        let listed: Vec<Alarm> = match AlarmAction::try_from(request.action) {
            Ok(AlarmAction::Get) => self
                .alarms
                .iter()
                .filter(|alarm| request.alarm == AlarmType::None as i32 || alarm.kind == request.alarm)
                .copied()
                .collect(),
            Ok(AlarmAction::Activate) if request.alarm == AlarmType::None as i32 => Vec::new(),
            Ok(AlarmAction::Activate) => {
                activate(&mut self.alarms, &mut self.buffer, wanted);
                vec![wanted]
            }
            Ok(AlarmAction::Deactivate) if self.alarms.remove(&wanted) => {
                self.buffer.delete(Bucket::Alarm, wanted.encode());
                vec![wanted]
            }
            Ok(AlarmAction::Deactivate) => Vec::new(),
            Err(_) => return Err(Refusal::UnknownAlarmAction),
        };
        let mut body = Vec::new();
        listed.iter().for_each(|alarm| put_bytes(2, &alarm.encode(), &mut body));
        Ok(self.answer(body))
    }
}

fn activate(alarms: &mut BTreeSet<Alarm>, buffer: &mut Buffer, alarm: Alarm) {
    if alarms.insert(alarm) {
        buffer.put(Bucket::Alarm, alarm.encode(), Bytes::new());
    }
}
