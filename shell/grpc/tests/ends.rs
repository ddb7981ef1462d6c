//! How a call ends that waits: whatever the reason, nothing of it stays.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use common::raw::{self, Piped, piped};
use common::{Client, connected, range, receive, request, start};
use grpc::{Code, Limits, Phase};
use h2::client::ResponseFuture;

/// What becomes of a call that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Deadline,
    /// The client resets the stream.
    Cancel,
    /// The client is gone.
    Disconnect,
    /// The server stops, and does not wait for the call.
    Drain,
}

const ENDS: [End; 4] = [End::Deadline, End::Cancel, End::Disconnect, End::Drain];

/// Begins a call that will not be answered, and sends `body` of its request.
async fn begin(client: &Client, end: End, body: Bytes) -> (ResponseFuture, h2::SendStream<Bytes>) {
    let mut call = request("Range");
    if end == End::Deadline {
        call = call.header("grpc-timeout", "50m");
    }
    let mut client = client.clone().ready().await.unwrap();
    let (response, mut stream) = client.send_request(call.body(()).unwrap(), false).unwrap();
    stream.send_data(body, false).unwrap();
    (response, stream)
}

#[test]
fn handler_that_waits_is_dropped_and_counted_once() {
    for end in ENDS {
        piped(Limits::default(), async |client| {
            let Piped { pipe, server, services, waiters, drain } = client;
            let (client, connection) = h2::client::handshake(pipe).await.unwrap();
            let connection = tokio::task::spawn_local(connection);
            let (response, mut stream) = begin(&client, end, range("never", 0)).await;
            raw::settle().await;
            assert_eq!((waiters.len(), raw::in_flight(&services), drain.connections()), (1, 1, 1), "{end:?}");
            let code = match end {
                End::Deadline => {
                    assert_eq!(receive(response).await.unwrap().status().0, 4);
                    Code::DeadlineExceeded
                }
                End::Cancel => {
                    stream.send_reset(h2::Reason::CANCEL);
                    raw::settle().await;
                    Code::Cancelled
                }
                End::Disconnect => {
                    connection.abort();
                    server.await.unwrap();
                    Code::Cancelled
                }
                End::Drain => {
                    drain.advance(Phase::Draining);
                    raw::settle().await;
                    // It may still be answered.
                    assert_eq!((waiters.len(), raw::in_flight(&services)), (1, 1));
                    drain.advance(Phase::Closing);
                    server.await.unwrap();
                    Code::Cancelled
                }
            };
            raw::settle().await;
            assert_eq!((waiters.len(), raw::in_flight(&services)), (0, 0), "{end:?}");
            assert_eq!(raw::handled(&services, "Range", code), 1, "{end:?}");
            let connections = usize::from(matches!(end, End::Deadline | End::Cancel));
            assert_eq!(drain.connections(), connections, "{end:?}");
        });
    }
}

#[test]
fn bytes_of_a_request_that_never_completes_are_given_back() {
    for end in ENDS {
        let fixture = start(Limits::default());
        let counters = fixture.server.counters();
        connected(fixture.address, async |client| {
            let (response, mut stream) = begin(&client, end, Bytes::from_static(b"\0\0\0\0\x09abc")).await;
            while counters.partial_bytes.load(Ordering::Relaxed) != 8 {
                tokio::task::yield_now().await;
            }
            match end {
                End::Deadline => assert_eq!(receive(response).await.unwrap().status().0, 4),
                End::Cancel => stream.send_reset(h2::Reason::CANCEL),
                // With the end of this block.
                End::Disconnect => return,
                End::Drain => {
                    let draining = fixture.server.shutdown(Duration::from_millis(20));
                    tokio::task::spawn_blocking(|| draining.wait()).await.unwrap();
                    assert_eq!(counters.open.load(Ordering::Relaxed), 0);
                }
            }
            while counters.partial_bytes.load(Ordering::Relaxed) != 0 {
                tokio::task::yield_now().await;
            }
        });
        // The client is gone by now.
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        let left = || {
            counters.partial_bytes.load(Ordering::Relaxed) + counters.open.load(Ordering::Relaxed) as usize
        };
        while left() > 0 {
            assert!(std::time::Instant::now() < deadline, "{end:?}");
            std::thread::yield_now();
        }
    }
}
