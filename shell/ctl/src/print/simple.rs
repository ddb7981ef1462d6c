//! The format for people: bytes as they are.

use super::Style;
use proto::etcdserverpb::response_op::Response;
use proto::mvccpb::KeyValue;

pub(super) fn answer(response: &Response, style: Style) -> Vec<u8> {
    let mut out = Vec::new();
    push_answer(&mut out, response, style);
    out
}

fn push_answer(out: &mut Vec<u8>, response: &Response, style: Style) {
    match response {
        Response::ResponseRange(range) => range.kvs.iter().for_each(|kv| push_pair(out, kv, style)),
        Response::ResponsePut(put) => {
            out.extend_from_slice(b"OK\n");
            put.prev_kv.iter().for_each(|kv| push_pair(out, kv, style));
        }
        Response::ResponseDeleteRange(delete) => {
            out.extend_from_slice(format!("{}\n", delete.deleted).as_bytes());
            delete.prev_kvs.iter().for_each(|kv| push_pair(out, kv, style));
        }
        Response::ResponseTxn(txn) => {
            out.extend_from_slice(if txn.succeeded { b"SUCCESS\n" } else { b"FAILURE\n" });
            for response in txn.responses.iter().filter_map(|op| op.response.as_ref()) {
                out.push(b'\n');
                push_answer(out, response, style);
            }
        }
    }
}

fn push_pair(out: &mut Vec<u8>, kv: &KeyValue, style: Style) {
    let mut push_line = |bytes: &[u8]| {
        if style.is_hex {
            bytes.iter().for_each(|byte| out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()));
        } else {
            out.extend_from_slice(bytes);
        }
        out.push(b'\n');
    };
    if !style.is_value_only {
        push_line(&kv.key);
    }
    push_line(&kv.value);
}
