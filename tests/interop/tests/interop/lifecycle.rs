//! Starting with the flags that etcd's own tests pass, and ending by signals.

use interop::{Place, Programs, ours};
use rustix::process::Signal;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

/// The first bytes of a TLS handshake: a record of type 22.
const CLIENT_HELLO: &[u8] = &[22, 3, 1, 0, 5, 1, 0, 0, 1, 3];

/// etcd's own suites start every server like this (one member, TLS between peers, plain clients).
#[test]
fn peers_over_tls_are_bound_and_their_handshakes_refused() {
    let Some(programs) = Programs::find(&["etcd", "etcdctl-3.7"]) else { return };
    let place = Place::new("tls");
    let peer = format!("https://{}", place.peer());
    let command = place.command(
        &ours("etcd"),
        &[
            &format!("--listen-peer-urls={peer}"),
            &format!("--initial-advertise-peer-urls={peer}"),
            &format!("--initial-cluster=m1={peer}"),
            "--peer-auto-tls",
            "--feature-gates=InitialCorruptCheck=true",
        ],
    );
    let server = interop::Server::start(command, place.path());
    let mut connection = TcpStream::connect(place.peer()).expect("the peer port is bound");
    connection.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
    connection.write_all(CLIENT_HELLO).expect("the server takes the first bytes");
    let mut rest = Vec::new();
    // A reset is a refusal as well.
    let _ = connection.read_to_end(&mut rest);
    assert!(rest.is_empty(), "no handshake goes on: {rest:?}");
    let endpoint = format!("--endpoints={}", place.endpoint());
    assert_eq!(programs.run("etcdctl-3.7", &[&endpoint, "put", "foo", "bar"]).expect_success(), "OK\n");
    let (_, log) = server.end_with(Signal::TERM);
    assert!(log.contains("refused a TLS handshake"), "{log}");
    assert!(log.contains("flag has no effect yet"), "the feature gate is named:\n{log}");
}

#[test]
fn a_signal_stops_the_server_in_order_and_ends_it() {
    let Some(_) = Programs::find(&["etcd"]) else { return };
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2)] {
        let place = Place::new("signal");
        let server = place.start(&ours("etcd"), &[]);
        let (status, log) = server.end_with(signal);
        assert_eq!(status.signal(), Some(number), "{status}");
        for line in ["received signal; shutting down", "closing etcd server", "closed etcd server"] {
            assert!(log.contains(line), "no {line:?} in\n{log}");
        }
    }
}

/// etcd ignores it and waits for calls in flight, here a client that never ends its request.
#[test]
fn a_second_signal_ends_it_at_once() {
    let Some(_) = Programs::find(&["etcd"]) else { return };
    let place = Place::new("second");
    let mut server = place.start(&ours("etcd"), &[]);
    let mut client = TcpStream::connect(place.endpoint()).expect("the client port is bound");
    // The preface of HTTP/2, empty settings, and the headers of a put whose body never comes.
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("the preface is taken");
    let path = b"/etcdserverpb.KV/Put";
    let mut headers = vec![0x83, 0x86, 0x41, 1, b'x', 0x44, 20];
    headers.extend_from_slice(path);
    headers.extend_from_slice(&[0x5f, 16]);
    headers.extend_from_slice(b"application/grpc");
    let mut frame = vec![0, 0, u8::try_from(headers.len()).expect("short"), 1, 4, 0, 0, 0, 1];
    frame.extend_from_slice(&headers);
    client.write_all(&frame).expect("the headers are taken");
    let mut first = [0; 9];
    client.read_exact(&mut first).expect("the server answers with its settings");
    server.signal(Signal::TERM);
    server.wait_for("received signal; shutting down");
    // At once it is the same wish, as when a process and its group are signalled.
    server.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(1100)); // what makes it another wish is the time
    assert!(!server.log().contains("second signal"), "{}", server.log());
    server.signal(Signal::TERM);
    let status = server.wait();
    assert_eq!(status.signal(), Some(15), "{status}");
    assert!(server.log().contains("second signal"), "{}", server.log());
}

#[test]
fn user_signals_are_ignored() {
    let Some(_) = Programs::find(&["etcd"]) else { return };
    let place = Place::new("user-signals");
    let server = place.start(&ours("etcd"), &[]);
    server.signal(Signal::USR1);
    server.signal(Signal::USR2);
    assert_eq!(server.stop().signal(), Some(15));
}

#[test]
fn flags_are_taken_as_etcd_takes_them() {
    let Some(programs) = Programs::find(&["etcd"]) else { return };
    let outcome = programs.run("etcd", &["--no-such-flag"]);
    assert_eq!(outcome.code(), 2, "{outcome:?}");
    assert!(outcome.stderr.contains("flag provided but not defined: -no-such-flag"), "{outcome:?}");
    let place = Place::new("flags");
    let client = format!("--listen-client-urls=http://{}", place.endpoint());
    // The last one wins.
    let server = place.start(
        &ours("etcd"),
        &["--listen-client-urls=http://127.0.0.1:1", &client, "--auth-token=simple", "-max-wals", "3"],
    );
    server.stop();
}
