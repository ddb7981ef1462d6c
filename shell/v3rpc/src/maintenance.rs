//! Maintenance: Status, HashKV, Alarm.

use crate::local::Local;
use crate::reading::{Restarts, in_steps};
use api::Command;
use apply::Alarm;
use grpc::{Frame, Status};
use mvcc::HashRead;
use proto::etcdserverpb::{
    AlarmRequest, AlarmType, DowngradeInfo, HashKvRequest, HashKvResponse, StatusRequest, StatusResponse,
};
use std::rc::Rc;

/// Records that a hash handles before it gives way to other requests of its thread.
const STEP_RECORDS: usize = 1000;

pub(crate) async fn status(_: StatusRequest, local: Rc<Local>) -> Result<StatusResponse, Status> {
    let view = local.view()?;
    let file = view.state.store.data().file();
    let size = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let mut errors = Vec::new();
    if view.leader.is_none() {
        errors.push(api::error::NO_LEADER.text.to_owned());
    }
    errors.extend(view.state.alarms.iter().map(alarm_text));
    Ok(StatusResponse {
        header: Some(local.header().at(view.state.store.revision())),
        version: types::ETCD_VERSION.to_string(),
        db_size: size(file.size_bytes()),
        db_size_in_use: size(file.in_use_bytes),
        leader: view.leader.map_or(0, |leader| leader.0),
        raft_index: view.commit.0,
        raft_term: view.term.0,
        raft_applied_index: view.state.applied.0,
        errors,
        is_learner: false,
        storage_version: view.state.storage_version.map(|version| version.to_string()).unwrap_or_default(),
        db_size_quota: local.member().limits.quota.reported(),
        downgrade_info: Some(DowngradeInfo::default()),
    })
}

/// An `AlarmMember` as Go prints it: fields that are zero are left out.
fn alarm_text(alarm: &Alarm) -> String {
    let member = if alarm.member == 0 { String::new() } else { format!("memberID:{}", alarm.member) };
    let kind = match AlarmType::try_from(alarm.kind) {
        Ok(AlarmType::None) => String::new(),
        Ok(kind) => format!("alarm:{}", kind.as_str_name()),
        Err(_) => format!("alarm:{}", alarm.kind),
    };
    let separator = if member.is_empty() || kind.is_empty() { "" } else { " " };
    format!("{member}{separator}{kind}")
}

pub(crate) async fn hash_kv(request: HashKvRequest, local: Rc<Local>) -> Result<HashKvResponse, Status> {
    let mut restarts = Restarts::default();
    loop {
        let view = local.view()?;
        match run_hash(&local, &view, request.revision).await {
            Ok(answer) => {
                return Ok(HashKvResponse {
                    header: Some(local.header().at(view.state.store.revision())),
                    hash: answer.hash,
                    compact_revision: answer.compact_revision,
                    hash_revision: answer.hash_revision,
                });
            }
            Err(error) => restarts.after(error).await?,
        }
    }
}

async fn run_hash(local: &Local, view: &node::View, revision: i64) -> mvcc::Result<mvcc::HashAnswer> {
    let mut read = HashRead::new(view.state.store.clone(), revision)?;
    in_steps(local, view, || read.step(STEP_RECORDS)).await
}

pub(crate) async fn alarm(request: AlarmRequest, local: Rc<Local>) -> Result<Frame, Status> {
    let answer = local.propose(Command::Alarm, &request).await?;
    local.respond(&answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_are_printed_as_go_prints_messages() {
        let check = |member, kind, text: &str| assert_eq!(alarm_text(&Alarm { member, kind }), text);
        check(7, 1, "memberID:7 alarm:NOSPACE");
        check(0, 2, "alarm:CORRUPT");
        check(7, 5, "memberID:7 alarm:5");
    }
}
