//! The client listener: `/version` and `/health`.

use crate::cors::Cors;
use crate::reply::{TEXT, not_get, reply, version};
use grpc::{HttpRequest, HttpResponse, text_error};
use http::Method;
use proto::etcdserverpb::AlarmType;
use std::rc::Rc;
use std::sync::Arc;
use v3rpc::Local;

/// Answers a request on a client listener, for pages that `cors` lets call.
pub async fn handle(request: HttpRequest, local: Rc<Local>, cors: Arc<Cors>) -> HttpResponse {
    let mut response = answer(&request, &local).await;
    cors.allow(request.headers(), &mut response);
    response
}

async fn answer(request: &HttpRequest, local: &Local) -> HttpResponse {
    if request.method() == Method::OPTIONS {
        return HttpResponse::default();
    }
    let path = request.uri().path();
    if path != "/version" && path != "/health" {
        return text_error(404, "404 page not found");
    }
    if let Some(refusal) = not_get(request) {
        return refusal;
    }
    match path {
        "/version" => version(local.member().view().as_deref()),
        _ => health(request.uri().query().unwrap_or_default(), local).await,
    }
}

/// Alarms, then leader, then a read. `exclude=NOSPACE` or `CORRUPT` passes over that alarm; `serializable=true` asks
/// this member alone.
async fn health(query: &str, local: &Local) -> HttpResponse {
    let has =
        |name: &str, value: &str| query.split('&').any(|pair| pair.split_once('=') == Some((name, value)));
    match check(&has, local).await {
        Ok(()) => reply(200, TEXT, "{\"health\":\"true\",\"reason\":\"\"}"),
        Err(reason) => text_error(503, &format!("{{\"health\":\"false\",\"reason\":\"{reason}\"}}")),
    }
}

async fn check(has: &dyn Fn(&str, &str) -> bool, local: &Local) -> Result<(), String> {
    let no_leader = || "RAFT NO LEADER".to_owned();
    let view = local.member().view().ok_or_else(no_leader)?;
    for alarm in view.state.alarms.iter() {
        let name = match AlarmType::try_from(alarm.kind) {
            Ok(AlarmType::Nospace) => "NOSPACE",
            Ok(AlarmType::Corrupt) => "CORRUPT",
            Ok(AlarmType::None) | Err(_) => "UNKNOWN",
        };
        if !has("exclude", name) {
            return Err(format!("ALARM {name}"));
        }
    }
    if has("serializable", "true") {
        return Ok(());
    }
    view.leader.ok_or_else(no_leader)?;
    match local.linearizable_view().await {
        Ok(_) => Ok(()),
        Err(status) => Err(format!("RANGE ERROR:{}", status.message)),
    }
}
