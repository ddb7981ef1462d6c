//! The peer listener: `/version`, `/members`, `/raft/probing`. Streams and snapshots come with clusters.

use crate::reply::{CLUSTER_ID, JSON, TEXT, not_get, reply, version};
use grpc::{HttpRequest, HttpResponse, text_error};
use http::HeaderValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use v3rpc::Member;

/// Answers a request on a peer listener.
pub fn handle(request: &HttpRequest, member: &Member) -> HttpResponse {
    let view = member.view();
    match request.uri().path() {
        "/version" => not_get(request).unwrap_or_else(|| version(view.as_deref())),
        "/members" => not_get(request).unwrap_or_else(|| members(member, view.as_deref())),
        // Asked by other members to see whether this one is reachable; the body is not looked at.
        "/raft/probing" => reply(200, TEXT, probing()),
        _ => text_error(404, "404 page not found"),
    }
}

fn members(member: &Member, view: Option<&node::View>) -> HttpResponse {
    let mut body = String::from("[");
    for (position, known) in view.iter().flat_map(|view| view.state.cluster.members()).enumerate() {
        if position > 0 {
            body.push(',');
        }
        body.push_str(&known.to_json());
    }
    body.push_str("]\n");
    let mut response = reply(200, JSON, body);
    let id = HeaderValue::from_str(&member.cluster.to_string()).expect("hex digits are a header value");
    response.headers_mut().insert(CLUSTER_ID, id);
    response
}

/// What a prober reads: that all is well, and the clock, which it compares with its own.
fn probing() -> String {
    let now = i128::from(os::clock::wall_ns());
    let now = OffsetDateTime::from_unix_timestamp_nanos(now).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let now = now.format(&Rfc3339).unwrap_or_default();
    format!("{{\"OK\":true,\"Now\":\"{now}\"}}\n")
}
