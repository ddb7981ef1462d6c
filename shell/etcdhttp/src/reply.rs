//! Building responses as Go's HTTP server writes them.

use bytes::Bytes;
use grpc::HttpResponse;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request, Response};

pub(crate) fn reply(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> HttpResponse {
    let mut response = Response::new(http_body_util::Full::new(body.into()));
    *response.status_mut() = http::StatusCode::from_u16(status).expect("a status of ours is a valid one");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(crate) const JSON: &str = "application/json";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// The answer to a method other than GET, if the request has one.
pub(crate) fn not_get<B>(request: &Request<B>) -> Option<HttpResponse> {
    if request.method() == Method::GET {
        return None;
    }
    let mut response = grpc::text_error(405, "Method Not Allowed");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    Some(response)
}

/// `/version`: what this release is, and what the cluster and its storage are at.
pub(crate) fn version(view: Option<&node::View>) -> HttpResponse {
    let cluster = view.and_then(|view| view.state.cluster.version());
    let storage = view.and_then(|view| view.state.storage_version);
    let or = |version: Option<types::Version>, word: &str| {
        version.map_or(word.to_owned(), |known| known.to_string())
    };
    let body = format!(
        "{{\"etcdserver\":\"{}\",\"etcdcluster\":\"{}\",\"storage\":\"{}\"}}",
        types::ETCD_VERSION,
        or(cluster, "not_decided"),
        or(storage, "unknown")
    );
    reply(200, JSON, body)
}

pub(crate) const CLUSTER_ID: HeaderName = HeaderName::from_static("x-etcd-cluster-id");
