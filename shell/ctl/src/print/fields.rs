//! The format `"Name" : value`.

use proto::etcdserverpb::ResponseHeader;
use proto::etcdserverpb::response_op::Response;
use proto::mvccpb::KeyValue;
use std::fmt::Display;
use utl::format::quote;

pub(super) fn answer(response: &Response, is_hex: bool) -> String {
    match response {
        Response::ResponseRange(range) => {
            let pairs: String = range.kvs.iter().map(|kv| pair("", kv, is_hex)).collect();
            let ending = line("More", range.more) + &line("Count", range.count);
            header(range.header, is_hex) + &pairs + &ending
        }
        Response::ResponsePut(put) => {
            let previous: String = put.prev_kv.iter().map(|kv| pair("Prev", kv, is_hex)).collect();
            header(put.header, is_hex) + &previous
        }
        Response::ResponseDeleteRange(delete) => {
            let previous: String = delete.prev_kvs.iter().map(|kv| pair("Prev", kv, is_hex)).collect();
            header(delete.header, is_hex) + &line("Deleted", delete.deleted) + &previous
        }
        Response::ResponseTxn(txn) => {
            let responses = txn.responses.iter().filter_map(|op| op.response.as_ref());
            let answers: String = responses.map(|response| answer(response, is_hex)).collect();
            header(txn.header, is_hex) + &line("Succeeded", txn.succeeded) + &answers
        }
    }
}

/// The lines of a header; an absent one counts as all zero.
pub(crate) fn header(header: Option<ResponseHeader>, is_hex: bool) -> String {
    let header = header.unwrap_or_default();
    let id = |name, id: u64| if is_hex { line(name, format_args!("{id:x}")) } else { line(name, id) };
    let revision = if header.revision > 0 { line("Revision", header.revision) } else { String::new() };
    id("ClusterID", header.cluster_id)
        + &id("MemberID", header.member_id)
        + &revision
        + &line("RaftTerm", header.raft_term)
}

/// One line.
pub(crate) fn line(name: &str, value: impl Display) -> String {
    format!("\"{name}\" : {value}\n")
}

fn pair(prefix: &str, kv: &KeyValue, is_hex: bool) -> String {
    let line = |name: &str, value: String| line(&format!("{prefix}{name}"), value);
    line("Key", quote(&kv.key))
        + &line("CreateRevision", kv.create_revision.to_string())
        + &line("ModRevision", kv.mod_revision.to_string())
        + &line("Version", kv.version.to_string())
        + &line("Value", quote(&kv.value))
        + &line("Lease", if is_hex { format!("{:016x}", kv.lease) } else { kv.lease.to_string() })
}
