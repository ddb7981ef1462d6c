//! Clients that want much and give little (contract C11), and honest ones that look alike.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use common::raw::{self, Piped, piped};
use common::{Client, connected, encode, range, receive, request, start};
use grpc::{Code, Limits};
use h2::client::ResponseFuture;
use proto::etcdserverpb::{PutRequest, RangeResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// As grpc-go's client measures a connection: a ping in each round trip while DATA flows.
#[test]
fn client_that_pings_while_data_flows_gets_its_large_answer() {
    let fixture = start(Limits::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = tokio::net::TcpStream::connect(fixture.address).await.unwrap();
        let (client, mut connection) = h2::client::handshake(socket).await.unwrap();
        let mut pings = connection.ping_pong().unwrap();
        let connection = tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let (response, mut stream) = client.send_request(request("Range").body(()).unwrap(), false).unwrap();
        stream.send_data(range("ready", 5_000_000), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let mut received = 0;
        while let Some(piece) = body.data().await {
            let piece = piece.unwrap();
            received += piece.len();
            pings.ping(h2::Ping::opaque()).await.unwrap();
            body.flow_control().release_capacity(piece.len()).unwrap();
        }
        assert!(received > 5_000_000);
        assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
        connection.abort();
    });
}

/// One byte on each of many streams that a higher number has closed: each makes the server send a reset.
fn data_on_closed_streams() -> impl Iterator<Item = Vec<u8>> {
    let first = [raw::GREETING, &raw::headers(1_000_001, "Range")].concat();
    std::iter::once(first).chain((1..200_000).map(|n| raw::frame(raw::DATA, 0, 2 * n - 1, b"x")))
}

#[test]
fn resets_provoked_without_reading_them_stop_the_reading() {
    piped(Limits::default(), async |mut client| {
        let taken = client.write_without_reading(data_on_closed_streams()).await;
        assert!(taken < 20_000, "{taken} frames were taken");
    });
}

#[test]
fn resets_provoked_and_read_are_a_flood() {
    piped(Limits::default(), async |Piped { pipe, server, .. }| {
        let (mut reading, mut writing) = tokio::io::split(pipe);
        let answer = tokio::task::spawn_local(async move {
            let mut answer = Vec::new();
            reading.read_to_end(&mut answer).await.unwrap();
            answer
        });
        for frame in data_on_closed_streams() {
            if writing.write_all(&frame).await.is_err() {
                break;
            }
        }
        // Refused if the server has ended already.
        let _refused = writing.shutdown().await;
        let answer = answer.await.unwrap();
        assert!(answer.ends_with(b"too_many_control_frames"), "{} bytes", answer.len());
        server.await.unwrap();
    });
}

#[test]
fn requests_of_a_client_that_does_not_read_stop_being_taken() {
    piped(Limits::default(), async |mut client| {
        let body = encode(&PutRequest { key: Bytes::from_static(b"k"), ..Default::default() });
        let calls = (0..100_000).map(|n| raw::call(2 * n + 1, "Put", &body));
        let taken = client.write_without_reading([raw::GREETING.to_vec()].into_iter().chain(calls)).await;
        assert!(taken < 10_000, "{taken} calls were taken");
    });
}

#[test]
fn half_closed_connection_whose_output_is_stuck_ends() {
    let limits = Limits { keepalive_timeout: Duration::from_millis(50), ..Limits::default() };
    piped(limits, async |mut client| {
        let call = raw::call(1, "Range", &range("ready", 50_000));
        client.pipe.write_all(&[raw::GREETING, &call].concat()).await.unwrap();
        while raw::handled(&client.services, "Range", Code::Ok) == 0 {
            tokio::task::yield_now().await;
        }
        client.pipe.shutdown().await.unwrap();
        client.server.await.unwrap();
    });
}

#[test]
fn calls_wait_while_many_bytes_of_answers_do() {
    piped(Limits::default(), async |Piped { pipe, services, .. }| {
        // Its windows are small, and grow only when the answers are read below.
        let (client, connection) = h2::client::handshake(pipe).await.unwrap();
        let connection = tokio::task::spawn_local(connection);
        let mut calls = Vec::new();
        for _ in 0..200 {
            let mut client = client.clone().ready().await.unwrap();
            let (response, mut stream) =
                client.send_request(request("Range").body(()).unwrap(), false).unwrap();
            stream.send_data(range("later", 1 << 20), true).unwrap();
            calls.push(response);
        }
        raw::settle().await;
        let answered = raw::handled(&services, "Range", Code::Ok);
        assert!((60..70).contains(&answered), "{answered} calls were answered");
        let calls: Vec<_> = calls.into_iter().map(|call| tokio::task::spawn_local(receive(call))).collect();
        for call in calls {
            let answer = call.await.unwrap().unwrap();
            assert_eq!(answer.message::<RangeResponse>().kvs[0].value.len(), 1 << 20);
        }
        connection.abort();
    });
}

/// Begins a Put of `message_bytes` and sends `sent_bytes` of them.
async fn begin_put(
    client: &Client,
    message_bytes: u32,
    sent_bytes: usize,
) -> (ResponseFuture, h2::SendStream<Bytes>) {
    let mut client = client.clone().ready().await.unwrap();
    let (response, mut stream) = client.send_request(request("Put").body(()).unwrap(), false).unwrap();
    let prefix = [&[0], &message_bytes.to_be_bytes()[..]].concat();
    let mut body = prefix;
    body.resize(5 + sent_bytes, b'x');
    stream.send_data(Bytes::from(body), false).unwrap();
    (response, stream)
}

#[test]
fn incomplete_requests_of_all_connections_have_one_budget() {
    let fixture = start(Limits { partial_bytes_max: 100_000, ..Limits::default() });
    let held = || fixture.server.counters().partial_bytes.load(Ordering::Relaxed);
    connected(fixture.address, async |first| {
        let (_response, mut stream) = begin_put(&first, 1_000_000, 60_000).await;
        while held() < 60_000 {
            tokio::task::yield_now().await;
        }
        // On another thread of the server, as connections go to the threads in turn.
        std::thread::scope(|scope| {
            let other = || {
                connected(fixture.address, async |second| {
                    let (response, _stream) = begin_put(&second, 1_000_000, 60_000).await;
                    let text = "too many bytes of incomplete requests on this server";
                    assert_eq!(receive(response).await.unwrap().status(), (8, text.to_owned()));
                    let whole = encode(&PutRequest {
                        key: Bytes::from_static(b"k"),
                        value: Bytes::from(vec![7; 10_000]),
                        ..Default::default()
                    });
                    let call = common::exchange(&second, request("Put"), whole).await.unwrap();
                    assert_eq!(call.status().0, 0);
                });
            };
            scope.spawn(other);
        });
        assert!((60_000..100_000).contains(&held()), "{}", held());
        stream.send_reset(h2::Reason::CANCEL);
        while held() > 0 {
            tokio::task::yield_now().await;
        }
    });
}
