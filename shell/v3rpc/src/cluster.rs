//! Cluster: MemberList.

use crate::local::Local;
use grpc::Status;
use proto::etcdserverpb::{Member, MemberListRequest, MemberListResponse};
use std::rc::Rc;

pub(crate) async fn member_list(
    request: MemberListRequest,
    local: Rc<Local>,
) -> Result<MemberListResponse, Status> {
    let view = if request.linearizable { local.linearizable_view().await? } else { local.view()? };
    let members = view.state.cluster.members().map(|member| Member {
        id: member.id.0,
        name: member.name.clone(),
        peer_ur_ls: member.peer_urls.clone(),
        client_ur_ls: member.client_urls.clone(),
        is_learner: member.is_learner,
    });
    // Answers of this service carry no revision.
    Ok(MemberListResponse { header: Some(local.header().at(0)), members: members.collect() })
}
