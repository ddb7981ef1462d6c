//! Compressed calls, compared with what etcd 3.7.1 answers to the same bytes.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};

use bytes::Bytes;
use common::{connected, encode, exchange, put, range, request, start};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use grpc::Limits;
use http::Request;
use prost::Message;
use proto::etcdserverpb::{PutRequest, PutResponse, RangeRequest, RangeResponse};

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

/// A frame that says it is compressed.
fn framed(compressed: &[u8]) -> Bytes {
    let length = u32::try_from(compressed.len()).unwrap().to_be_bytes();
    [&[1], &length[..], compressed].concat().into()
}

fn compressed_call(method: &str) -> http::request::Builder {
    request(method).header("grpc-encoding", "gzip")
}

#[test]
fn compressed_request_is_answered_compressed() {
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        // The last one is compressed beside the net thread.
        for (key, limit) in [("ready", 10), ("later", 50_000), ("ready", 5_000_000)] {
            let range = RangeRequest { key: key.into(), limit, ..Default::default() };
            let body = framed(&gzip(&range.encode_to_vec()));
            let answer = exchange(&client, compressed_call("Range"), body).await.unwrap();
            assert_eq!(answer.status(), (0, String::new()));
            assert_eq!(answer.headers["grpc-encoding"], "gzip");
            assert_eq!(answer.body[..5], [&[1], &(answer.body.len() as u32 - 5).to_be_bytes()[..]].concat());
            let mut message = Vec::new();
            GzDecoder::new(&answer.body[5..]).read_to_end(&mut message).unwrap();
            let response = RangeResponse::decode(&message[..]).unwrap();
            assert_eq!(response.kvs[0].value.len(), usize::try_from(limit).unwrap());
        }
    });
}

#[test]
fn message_of_a_compressed_call_may_be_as_it_is() {
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        let answer = exchange(&client, compressed_call("Range"), range("ready", 10)).await.unwrap();
        assert_eq!((answer.status().0, answer.body[0]), (0, 1));
        assert_eq!(answer.headers["grpc-encoding"], "gzip");
        // And an error has nothing to compress.
        let put = exchange(&client, compressed_call("Put"), encode(&PutRequest::default())).await.unwrap();
        assert_eq!((put.status().0, put.headers.get("grpc-encoding")), (3, None));
    });
}

#[test]
fn uncompressed_request_is_answered_uncompressed() {
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        let call = request("Range").header("grpc-accept-encoding", "gzip");
        let answer = exchange(&client, call, range("ready", 10_000)).await.unwrap();
        assert_eq!((answer.headers.get("grpc-encoding"), answer.body[0]), (None, 0));
    });
}

#[test]
fn parts_that_were_compressed_one_by_one_are_one_message() {
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        let message = PutRequest { key: "k".into(), value: "value".into(), ..Default::default() };
        let message = message.encode_to_vec();
        let body = framed(&[gzip(&message[..3]), gzip(&message[3..])].concat());
        let answer = exchange(&client, compressed_call("Put"), body).await.unwrap();
        let mut response = Vec::new();
        GzDecoder::new(&answer.body[5..]).read_to_end(&mut response).unwrap();
        assert_eq!(PutResponse::decode(&response[..]).unwrap().header.unwrap().revision, 5);
    });
}

/// Sends `body` in a call that says gzip and expects code and text.
fn refused(body: Bytes, code: u32, text: &str) {
    let fixture = start(Limits { message_received_max: 1000, ..Limits::default() });
    connected(fixture.address, async |client| {
        let answer = exchange(&client, compressed_call("Put"), body).await.unwrap();
        assert_eq!((answer.status(), answer.trailers), ((code, text.to_owned()), None));
        assert_eq!(answer.headers.get("grpc-encoding"), None);
        // The connection serves on.
        assert_eq!(put(&client, "k", Bytes::new()).await.status().0, 0);
    });
}

#[test]
fn small_message_that_becomes_a_large_one_is_refused() {
    let bomb = gzip(&vec![0; 500_000]);
    assert!(bomb.len() < 1000);
    let text = "grpc: received message after decompression larger than max 1000";
    refused(framed(&bomb), 8, text);
    let mut exact = gzip(&PutRequest { value: vec![0; 1000].into(), ..Default::default() }.encode_to_vec());
    refused(framed(&exact), 8, text);
    exact.resize(1001, 0);
    refused(framed(&exact), 8, "grpc: received message larger than max (1001 vs. 1000)");
}

#[test]
fn what_is_no_gzip_is_internal() {
    let message = gzip(b"\x0a\x01k");
    let (start, read) = ("grpc: failed to decompress the message", "grpc: failed to read decompressed data");
    refused(framed(b""), 13, &format!("{start}: EOF"));
    refused(framed(b"abc"), 13, &format!("{start}: unexpected EOF"));
    refused(framed(b"abcdefghijkl"), 13, &format!("{start}: gzip: invalid header"));
    refused(framed(&message[..10]), 13, &format!("{read}: unexpected EOF"));
    refused(framed(&message[..message.len() - 5]), 13, &format!("{read}: unexpected EOF"));
    refused(framed(&[&message[..], b"zz"].concat()), 13, &format!("{read}: unexpected EOF"));
    refused(framed(&[&message[..], b"abcdefghijkl"].concat()), 13, &format!("{read}: gzip: invalid header"));
    let mut damaged = message.clone();
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 1;
    refused(framed(&damaged), 13, &format!("{read}: gzip: invalid checksum"));
    let text = "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data";
    refused(framed(&gzip(b"\x0a\xff")), 13, text);
}

#[test]
fn unknown_encoding_is_unimplemented_and_the_known_one_is_named() {
    let fixture = start(Limits::default());
    connected(fixture.address, async |client| {
        let call = request("Put").header("grpc-encoding", "snappy");
        let answer = exchange(&client, call, Bytes::new()).await.unwrap();
        let text = r#"grpc: Decompressor is not installed for grpc-encoding "snappy""#;
        assert_eq!(answer.status(), (12, text.to_owned()));
        assert_eq!(answer.headers["grpc-accept-encoding"], "gzip");
        // An unknown method is said first.
        let call = Request::post("http://localhost/foo.Bar/Baz")
            .header("content-type", "application/grpc")
            .header("grpc-encoding", "snappy");
        let answer = exchange(&client, call, Bytes::new()).await.unwrap();
        assert_eq!(answer.status(), (12, "unknown service foo.Bar".to_owned()));
    });
}
