//! Unary calls as clients see them: messages, statuses, and the words of grpc-go.
#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{Fixture, connected, encode, exchange, put, range, receive, request, start};
use grpc::{Limits, Protocols};
use http::Request;
use proto::etcdserverpb::{PutRequest, PutResponse, RangeResponse};

#[test]
fn success_is_one_message_between_bare_headers_and_trailers() {
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        let answer = put(&client, "k", Bytes::from_static(b"value")).await;
        assert_eq!(answer.message::<PutResponse>().header.unwrap().revision, 5);
        let names: Vec<_> = answer.headers.iter().collect();
        assert_eq!(format!("{names:?}"), r#"[("content-type", "application/grpc")]"#);
        let trailers = answer.trailers.unwrap();
        assert_eq!((trailers.len(), trailers["grpc-status"].to_str().unwrap()), (1, "0"));
    });
}

#[test]
fn error_is_trailers_only_with_an_encoded_text() {
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        let answer = put(&client, "", Bytes::new()).await;
        assert_eq!(answer.trailers, None);
        assert_eq!(answer.headers["content-type"], "application/grpc");
        assert_eq!(answer.status(), (3, "etcdserver: key is not provided %E2%80%94 100%25".to_owned()));
    });
}

#[test]
fn handler_that_waits_is_answered_like_one_that_does_not() {
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        for key in ["ready", "later"] {
            let call = request("Range").header("hasleader", "true");
            let answer = exchange(&client, call, range(key, 3)).await.unwrap();
            let response: RangeResponse = answer.message();
            assert!(response.more);
            assert_eq!(response.kvs[0].value, "vvv");
        }
    });
}

#[test]
fn large_messages_pass_both_ways() {
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        let value = Bytes::from(vec![7; 2_000_000]);
        let response: PutResponse = put(&client, "k", value).await.message();
        assert_eq!(response.header.unwrap().revision, 2_000_000);
        let answer = exchange(&client, request("Range"), range("ready", 5_000_000)).await.unwrap();
        assert_eq!(answer.message::<RangeResponse>().kvs[0].value.len(), 5_000_000);
    });
}

/// Sends `call` with `body` and expects code and text.
fn refused(call: http::request::Builder, body: Bytes, code: u32, text: &str) {
    let fixture = start(Limits { message_received_max: 100, ..Limits::default() });
    connected(fixture.address, async |client| {
        let answer = exchange(&client, call, body).await.unwrap();
        assert_eq!((answer.status(), answer.trailers), ((code, text.to_owned()), None));
        // The connection serves on.
        assert_eq!(put(&client, "k", Bytes::new()).await.status().0, 0);
    });
}

#[test]
fn unknown_method_is_named() {
    refused(request("Nope"), Bytes::new(), 12, "unknown method Nope for service etcdserverpb.KV");
}

#[test]
fn unknown_service_is_named() {
    let call = Request::post("http://localhost/foo.Bar/Baz").header("content-type", "application/grpc");
    refused(call, Bytes::new(), 12, "unknown service foo.Bar");
}

#[test]
fn streaming_methods_are_unimplemented() {
    refused(request("RangeStream"), Bytes::new(), 12, "method RangeStream is not implemented yet");
}

#[test]
fn too_large_message_is_refused() {
    let message = PutRequest { value: Bytes::from(vec![0; 99]), ..Default::default() };
    refused(request("Put"), encode(&message), 8, "grpc: received message larger than max (101 vs. 100)");
}

#[test]
fn broken_message_is_internal() {
    let body = Bytes::from_static(b"\0\0\0\0\x02\x0a\xff");
    let text = "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data";
    refused(request("Put"), body, 13, text);
}

#[test]
fn broken_prefix_is_internal() {
    let body = Bytes::from_static(b"\x07\0\0\0\0");
    refused(request("Put"), body, 13, "grpc: received unexpected payload format 7");
}

#[test]
fn missing_message_is_unknown() {
    refused(request("Put"), Bytes::new(), 2, "EOF");
    refused(request("Put"), Bytes::from_static(b"\0\0\0\0\x02a"), 2, "unexpected EOF");
}

#[test]
fn timeout_ends_a_call_that_waits() {
    let call = request("Range").header("grpc-timeout", "20m");
    refused(call, range("never", 0), 4, "context deadline exceeded");
    let call = request("Range").header("grpc-timeout", "0n");
    refused(call, range("ready", 0), 4, "context deadline exceeded");
}

#[test]
fn timeout_ends_a_call_whose_message_does_not_arrive() {
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        let call = request("Put").header("grpc-timeout", "20m").body(()).unwrap();
        let (response, mut stream) = client.clone().send_request(call, false).unwrap();
        stream.send_data(Bytes::from_static(b"\0\0\0"), false).unwrap();
        assert_eq!(receive(response).await.unwrap().status(), (4, "context deadline exceeded".to_owned()));
    });
}

#[test]
fn requests_that_are_no_grpc_get_an_http_status_too() {
    let path = "http://localhost/etcdserverpb.KV/Put";
    let grpc = |builder: http::request::Builder| builder.header("content-type", "application/grpc");
    let cases = [
        (Request::post(path), 415, 3, r#"invalid gRPC request content-type """#),
        (
            Request::post(path).header("content-type", "text/html"),
            415,
            3,
            r#"invalid gRPC request content-type "text/html""#,
        ),
        (
            Request::post(path).header("content-type", "application/grpcx"),
            415,
            3,
            r#"invalid gRPC request content-type "application/grpcx""#,
        ),
        (
            grpc(Request::get(path)),
            405,
            13,
            r#"Received a HEADERS frame with :method "GET" which should be POST"#,
        ),
        (
            grpc(Request::post(path)).header("grpc-timeout", "5"),
            400,
            13,
            r#"malformed grpc-timeout: transport: timeout string is too short: "5""#,
        ),
    ];
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        for (call, http_status, code, text) in cases {
            let answer = exchange(&client, call, Bytes::new()).await.unwrap();
            assert_eq!((answer.http_status, answer.status()), (http_status, (code, text.to_owned())));
        }
    });
}

#[test]
fn content_subtype_comes_back() {
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        for (sent, returned) in [
            ("application/grpc+proto", "application/grpc+proto"),
            ("application/grpc;proto", "application/grpc+proto"),
            ("application/grpc+json", "application/grpc+json"),
            ("application/grpc;", "application/grpc"),
        ] {
            let call = Request::post("http://localhost/etcdserverpb.KV/Range").header("content-type", sent);
            let answer = exchange(&client, call, range("ready", 0)).await.unwrap();
            assert_eq!(answer.headers["content-type"], returned);
            assert_eq!(answer.status().0, 0);
        }
    });
}

#[test]
fn thousand_concurrent_calls_are_all_answered() {
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        let mut calls = Vec::new();
        for _ in 0..1000 {
            let (response, mut stream) =
                client.clone().send_request(request("Range").body(()).unwrap(), false).unwrap();
            stream.send_data(range("later", 100), true).unwrap();
            calls.push(response);
        }
        for call in calls {
            assert_eq!(receive(call).await.unwrap().message::<RangeResponse>().kvs[0].value.len(), 100);
        }
    });
}

#[test]
fn limit_of_concurrent_streams_is_announced() {
    let fixture = start(Limits { concurrent_streams_max: 3, ..Limits::default() });
    connected(fixture.address, async |client| {
        // The client learns the limit with the settings, which come before the first answer.
        assert_eq!(put(&client, "k", Bytes::new()).await.status().0, 0);
        assert_eq!(client.current_max_send_streams(), 3);
    });
}

#[test]
fn cancelled_calls_leave_nothing_behind_and_the_connection_lives() {
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        for _ in 0..20 {
            let mut opened = Vec::new();
            for _ in 0..1000 {
                let (response, mut stream) =
                    client.clone().send_request(request("Range").body(()).unwrap(), false).unwrap();
                stream.send_data(range("never", 0), true).unwrap();
                opened.push((response, stream));
            }
            for (_, stream) in &mut opened {
                stream.send_reset(h2::Reason::CANCEL);
            }
            drop(opened);
            // Answered after everything before it on the connection.
            assert_eq!(put(&client, "k", Bytes::new()).await.status().0, 0);
        }
        loop {
            let answer = exchange(&client, request("Range"), range("count", 0)).await.unwrap();
            if answer.message::<RangeResponse>().count == 0 {
                break;
            }
        }
    });
}

#[test]
fn listener_for_http_only_serves_no_grpc() {
    let Fixture { address, pool: _pool, .. } =
        start(Limits { protocols: Protocols::HttpOnly, ..Limits::default() });
    connected(address, async |client| {
        let call = request("Range");
        assert!(exchange(&client, call, range("ready", 0)).await.is_err());
    });
}
