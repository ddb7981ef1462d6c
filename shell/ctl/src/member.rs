//! `member list`; the other commands about members are still missing.

use crate::get::is_serializable;
use crate::print::{
    Format, Object, Style, array, comma_lines, fields_header, fields_line, json_header, json_hex_header,
    json_strings, table,
};
use crate::session::{Session, block_on};
use prost::Message;
use proto::etcdserverpb as pb;
use utl::cli::{Command, Failure, Flag, Invocation, print};
use utl::format::quote;

pub(crate) const LIST: Command = Command {
    name: "list",
    about: "Shows the members of the cluster",
    flags: &[Flag::text("consistency", "linearizable (l) or serializable (s)").default("l")],
    run: Some(list),
    ..Command::EMPTY
};

fn list(invocation: &Invocation) -> Result<(), Failure> {
    let request = pb::MemberListRequest { linearizable: !is_serializable(&invocation.flags)? };
    let session = Session::new(invocation, &Format::ALL)?;
    let mut client = session.client()?;
    let response = block_on(client.member_list(request))?.map_err(Failure::error)?;
    print(list_text(&response, session.style));
    Ok(())
}

fn list_text(response: &pb::MemberListResponse, style: Style) -> Vec<u8> {
    match style.format {
        Format::Simple => comma_lines(&rows(response)).into_bytes(),
        Format::Table => {
            let headers = ["ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner"];
            table(&headers, &rows(response)).into_bytes()
        }
        Format::Fields => list_fields(response, style.is_hex).into_bytes(),
        Format::Json => (list_json(response, style.is_hex) + "\n").into_bytes(),
        Format::Protobuf => response.encode_to_vec(),
    }
}

fn rows(response: &pb::MemberListResponse) -> Vec<Vec<String>> {
    let row = |member: &pb::Member| {
        vec![
            format!("{:x}", member.id),
            if member.name.is_empty() { "unstarted" } else { "started" }.to_owned(),
            member.name.clone(),
            member.peer_ur_ls.join(","),
            member.client_ur_ls.join(","),
            member.is_learner.to_string(),
        ]
    };
    response.members.iter().map(row).collect()
}

fn list_fields(response: &pb::MemberListResponse, is_hex: bool) -> String {
    let mut out = fields_header(response.header, is_hex);
    for member in &response.members {
        let id = if is_hex { format!("{:x}", member.id) } else { member.id.to_string() };
        out += &fields_line("ID", id);
        out += &fields_line("Name", quote(member.name.as_bytes()));
        member.peer_ur_ls.iter().for_each(|url| out += &fields_line("PeerURL", quote(url.as_bytes())));
        member.client_ur_ls.iter().for_each(|url| out += &fields_line("ClientURL", quote(url.as_bytes())));
        out += &fields_line("IsLearner", member.is_learner);
        out.push('\n');
    }
    out
}

fn list_json(response: &pb::MemberListResponse, is_hex: bool) -> String {
    let member = |member: &pb::Member| {
        let object = if is_hex {
            Object::new().text("ID", &format!("{:x}", member.id))
        } else {
            Object::new().scalar("ID", member.id)
        };
        object
            .text_or_none("name", &member.name)
            .optional("peerURLs", json_strings(&member.peer_ur_ls))
            .optional("clientURLs", json_strings(&member.client_ur_ls))
            .scalar("isLearner", member.is_learner)
            .finish()
    };
    let header = if is_hex { json_hex_header } else { json_header };
    let members = array(response.members.iter().map(member));
    let has_members = is_hex || !response.members.is_empty();
    Object::new()
        .optional("header", response.header.as_ref().map(header))
        .optional("members", has_members.then_some(members))
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unstarted_learner_is_listed_as_the_reference_lists_it() {
        let response = pb::MemberListResponse {
            header: Some(pb::ResponseHeader {
                cluster_id: 0x34f2_7e83,
                member_id: 1,
                revision: 0,
                raft_term: 2,
            }),
            members: vec![pb::Member {
                id: 0x7dbb_a403_4f34_28cd,
                name: String::new(),
                peer_ur_ls: vec!["http://localhost:123".to_owned()],
                client_ur_ls: vec![],
                is_learner: true,
            }],
        };
        let text = |format, is_hex| {
            let style = Style { format, is_hex, is_value_only: false };
            String::from_utf8(list_text(&response, style)).unwrap()
        };
        assert_eq!(
            text(Format::Simple, false),
            "7dbba4034f3428cd, unstarted, , http://localhost:123, , true\n"
        );
        assert_eq!(
            text(Format::Json, false),
            "{\"header\":{\"cluster_id\":888307331,\"member_id\":1,\"raft_term\":2},\"members\":[{\"ID\":\
             9060015409506560205,\"peerURLs\":[\"http://localhost:123\"],\"isLearner\":true}]}\n"
        );
        assert_eq!(
            text(Format::Json, true),
            "{\"header\":{\"cluster_id\":\"34f27e83\",\"member_id\":\"1\",\"raft_term\":2},\"members\":[{\"ID\":\
             \"7dbba4034f3428cd\",\"peerURLs\":[\"http://localhost:123\"],\"isLearner\":true}]}\n"
        );
    }
}
