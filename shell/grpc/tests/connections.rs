//! Connections as wholes: the shared port, HTTP/1, floods, and the end of a server.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use common::{connected, exchange, listen, put, range, receive, request, start};
use grpc::{Limits, Protocols};

/// Sends `bytes` and reads until the server closes.
fn talk(address: std::net::SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => String::from_utf8_lossy(&answer).into_owned(),
    }
}

#[test]
fn http_is_served_on_the_same_port() {
    let fixture = start(Limits::default());
    let answer = talk(fixture.address, b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("{\"etcdserver\":\"3.7.1\"}"), "{answer}");
    let answer = talk(fixture.address, b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    assert!(answer.contains("Content-Type: text/plain; charset=utf-8\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n404 page not found\n"), "{answer}");
    connected(fixture.address, async |client| {
        assert_eq!(put(&client, "k", Bytes::new()).await.status().0, 0);
    });
}

#[test]
fn request_that_arrives_byte_by_byte_is_served() {
    let fixture = start(Limits::default());
    let mut socket = TcpStream::connect(fixture.address).unwrap();
    socket.set_nodelay(true).unwrap();
    // Begins as the preface of HTTP/2 does.
    for byte in b"PRI * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" {
        socket.write_all(&[*byte]).unwrap();
    }
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[test]
fn handler_of_http_sees_the_peer() {
    let fixture = start(Limits::default());
    let mut socket = TcpStream::connect(fixture.address).unwrap();
    socket.write_all(b"GET /peer HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with(&socket.local_addr().unwrap().to_string()), "{answer}");
}

#[test]
fn silent_connection_is_closed() {
    let fixture = start(Limits { first_bytes_timeout: Duration::from_millis(20), ..Limits::default() });
    assert_eq!(talk(fixture.address, b"PRI * HT"), "");
}

#[test]
fn listener_for_grpc_only_closes_on_http() {
    let fixture = start(Limits { protocols: Protocols::GrpcOnly, ..Limits::default() });
    assert_eq!(talk(fixture.address, b"GET /version HTTP/1.1\r\n\r\n"), "");
}

#[test]
fn broken_frames_end_their_connection_only() {
    let fixture = start(Limits::default());
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice();
    for garbage in [&[0xff; 64][..], b"\0\0\x05\x04\0\0\0\0\0abcde", b"\0\0\x01\x01\x05\0\0\0\x01\xff"] {
        talk(fixture.address, &[preface, garbage].concat());
    }
    connected(fixture.address, async |client| {
        assert_eq!(put(&client, "k", Bytes::new()).await.status().0, 0);
    });
}

#[test]
fn too_many_pings_are_told_so() {
    let fixture = start(Limits::default());
    let frames = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(),
        b"\0\0\0\x04\0\0\0\0\0",
        &b"\0\0\x08\x06\0\0\0\0\0pingping".repeat(4),
    ];
    let answer = talk(fixture.address, &frames.concat());
    assert!(answer.ends_with("too_many_pings"), "{answer:?}");
}

#[test]
fn flood_of_settings_is_ended() {
    let fixture = start(Limits::default());
    let mut socket = TcpStream::connect(fixture.address).unwrap();
    let settings = b"\0\0\0\x04\0\0\0\0\0".repeat(1000);
    let mut sent = socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    for _ in 0..100 {
        sent = sent.and_then(|()| socket.write_all(&settings));
    }
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    assert!(sent.is_err() || read.is_err() || text.ends_with("too_many_control_frames"), "{}", answer.len());
    connected(fixture.address, async |client| {
        assert_eq!(put(&client, "k", Bytes::new()).await.status().0, 0);
    });
}

#[test]
fn shutdown_lets_calls_in_flight_end_and_then_closes() {
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        let (response, mut stream) =
            client.clone().send_request(request("Put").body(()).unwrap(), false).unwrap();
        stream.send_data(Bytes::from_static(b"\0\0\0"), false).unwrap();
        // Answered after the call above has begun.
        assert_eq!(put(&client, "k", Bytes::new()).await.status().0, 0);
        let draining = fixture.server.shutdown(Duration::from_secs(30));
        let draining = std::thread::spawn(|| draining.wait());
        let refused = async || exchange(&client, request("Range"), range("ready", 0)).await;
        while refused().await.is_ok() {}
        stream.send_data(Bytes::from_static(b"\0\0"), true).unwrap();
        assert_eq!(receive(response).await.unwrap().status().0, 3);
        tokio::task::spawn_blocking(|| draining.join().unwrap()).await.unwrap();
    });
    assert_eq!(fixture.server.counters().open.load(Ordering::Relaxed), 0);
    assert_eq!(TcpStream::connect(fixture.address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn shutdown_does_not_wait_longer_than_its_grace() {
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        let call = request("Range").body(()).unwrap();
        let (response, mut stream) = client.clone().send_request(call, false).unwrap();
        stream.send_data(range("never", 0), true).unwrap();
        assert_eq!(put(&client, "k", Bytes::new()).await.status().0, 0);
        let silent = TcpStream::connect(fixture.address).unwrap();
        let draining = fixture.server.shutdown(Duration::from_millis(20));
        tokio::task::spawn_blocking(|| draining.wait()).await.unwrap();
        assert!(receive(response).await.is_err());
        drop(silent);
    });
}

#[test]
fn tls_that_is_not_there_is_refused() {
    let fixture = start(Limits::default());
    let (listener, address) = listen();
    let server = fixture.pool.refuse_tls(vec![listener]).unwrap();
    assert_eq!(talk(address, b"\x16\x03\x01"), "");
    server.shutdown(Duration::ZERO).wait();
}

#[test]
fn unix_socket_serves_and_replaces_a_stale_one() {
    let fixture = start(Limits::default());
    let path = std::env::temp_dir().join(format!("grpc-test-{}.sock", std::process::id()));
    for _ in 0..2 {
        let listener = grpc::Listener::unix(&path).unwrap();
        let limits = Limits::default();
        let server = fixture.pool.serve(vec![listener], limits, |_| Rc::new(common::services())).unwrap();
        let mut socket = std::os::unix::net::UnixStream::connect(&path).unwrap();
        socket.write_all(b"GET /version HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        server.shutdown(Duration::from_secs(30)).wait();
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn port_in_use_is_known_before_anything_is_served() {
    let (listener, address) = listen();
    let second = grpc::Listener::tcp(address, grpc::SocketOptions::default());
    assert_eq!(second.unwrap_err().kind(), ErrorKind::AddrInUse);
    drop(listener);
}
