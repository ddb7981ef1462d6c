//! JSON as Go writes it: fields in the order of the message, absent when zero, bytes in base64, numbers plain.

use proto::etcdserverpb::response_op::Response;
use proto::etcdserverpb::{ResponseHeader, TxnResponse};
use proto::mvccpb::KeyValue;
use std::fmt::Display;
use stdx::json::{push_string, push_strings};

/// An object, written field by field.
#[derive(Default)]
pub(crate) struct Object {
    text: String,
}

impl Object {
    /// An object without fields.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a field whose value is JSON already.
    #[must_use]
    pub(crate) fn raw(mut self, name: &str, json: impl Display) -> Self {
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
        push_string(&mut self.text, name);
        self.text.push_str(&format!(":{json}"));
        self
    }

    /// Adds a field if there is a value; the value is JSON already.
    #[must_use]
    pub(crate) fn optional(self, name: &str, json: Option<impl Display>) -> Self {
        match json {
            Some(json) => self.raw(name, json),
            None => self,
        }
    }

    /// Adds a number or a boolean unless it is zero.
    #[must_use]
    pub(crate) fn scalar<T: Display + Default + PartialEq>(self, name: &str, value: T) -> Self {
        let is_zero = value == T::default();
        self.optional(name, (!is_zero).then_some(value))
    }

    /// Adds bytes unless there are none.
    #[must_use]
    pub(crate) fn bytes(self, name: &str, bytes: &[u8]) -> Self {
        self.optional(name, (!bytes.is_empty()).then(|| format!("\"{}\"", base64(bytes))))
    }

    /// Adds a text, empty or not.
    #[must_use]
    pub(crate) fn text(self, name: &str, text: &str) -> Self {
        let mut json = String::new();
        push_string(&mut json, text);
        self.raw(name, json)
    }

    /// Adds a text unless it is empty.
    #[must_use]
    pub(crate) fn text_or_none(self, name: &str, text: &str) -> Self {
        if text.is_empty() { self } else { self.text(name, text) }
    }

    /// The object.
    pub(crate) fn finish(self) -> String {
        if self.text.is_empty() { "{}".to_owned() } else { self.text + "}" }
    }
}

/// An array of what is JSON already.
pub(crate) fn array(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

/// An array of texts, or nothing if there are none.
pub(crate) fn strings(items: &[String]) -> Option<String> {
    let mut json = String::new();
    push_strings(&mut json, items);
    (!items.is_empty()).then_some(json)
}

/// A header.
pub(crate) fn header(header: &ResponseHeader) -> String {
    Object::new()
        .scalar("cluster_id", header.cluster_id)
        .scalar("member_id", header.member_id)
        .scalar("revision", header.revision)
        .scalar("raft_term", header.raft_term)
        .finish()
}

/// A header with its identities as hexadecimal texts.
pub(crate) fn hex_header(header: &ResponseHeader) -> String {
    Object::new()
        .text("cluster_id", &format!("{:x}", header.cluster_id))
        .text("member_id", &format!("{:x}", header.member_id))
        .scalar("revision", header.revision)
        .scalar("raft_term", header.raft_term)
        .finish()
}

pub(super) fn answer(response: &Response) -> String {
    let pairs = |kvs: &[KeyValue]| (!kvs.is_empty()).then(|| array(kvs.iter().map(pair)));
    match response {
        Response::ResponseRange(range) => Object::new()
            .optional("header", range.header.as_ref().map(header))
            .optional("kvs", pairs(&range.kvs))
            .scalar("more", range.more)
            .scalar("count", range.count)
            .finish(),
        Response::ResponsePut(put) => Object::new()
            .optional("header", put.header.as_ref().map(header))
            .optional("prev_kv", put.prev_kv.as_ref().map(pair))
            .finish(),
        Response::ResponseDeleteRange(delete) => Object::new()
            .optional("header", delete.header.as_ref().map(header))
            .scalar("deleted", delete.deleted)
            .optional("prev_kvs", pairs(&delete.prev_kvs))
            .finish(),
        Response::ResponseTxn(response) => txn(response),
    }
}

fn txn(response: &TxnResponse) -> String {
    let responses = response.responses.iter().map(|op| {
        let named = match &op.response {
            Some(answered) => Object::new().raw(name_of(answered), answer(answered)),
            None => Object::new(),
        };
        Object::new().raw("Response", named.finish()).finish()
    });
    Object::new()
        .optional("header", response.header.as_ref().map(header))
        .scalar("succeeded", response.succeeded)
        .optional("responses", (!response.responses.is_empty()).then(|| array(responses)))
        .finish()
}

fn name_of(response: &Response) -> &'static str {
    match response {
        Response::ResponseRange(_) => "response_range",
        Response::ResponsePut(_) => "response_put",
        Response::ResponseDeleteRange(_) => "response_delete_range",
        Response::ResponseTxn(_) => "response_txn",
    }
}

fn pair(kv: &KeyValue) -> String {
    Object::new()
        .bytes("key", &kv.key)
        .scalar("create_revision", kv.create_revision)
        .scalar("mod_revision", kv.mod_revision)
        .scalar("version", kv.version)
        .bytes("value", &kv.value)
        .scalar("lease", kv.lease)
        .finish()
}

/// Standard base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |position: usize| u32::from(chunk.get(position).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            let digit = (word >> (18 - 6 * position)) & 63;
            let is_padding = position > chunk.len();
            out.push(if is_padding { '=' } else { char::from(ALPHABET[digit as usize]) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::etcdserverpb::RangeResponse;

    #[test]
    fn base64_known_values() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }

    #[test]
    fn a_range_is_written_as_the_reference_writes_it() {
        let response = RangeResponse {
            header: Some(ResponseHeader {
                cluster_id: 238453183653593855,
                member_id: 14578408409545168728,
                revision: 4,
                raft_term: 2,
            }),
            kvs: vec![KeyValue {
                key: "foo".into(),
                create_revision: 2,
                mod_revision: 4,
                version: 3,
                value: "bar3".into(),
                lease: 0,
            }],
            more: false,
            count: 1,
        };
        assert_eq!(
            answer(&Response::ResponseRange(response)),
            "{\"header\":{\"cluster_id\":238453183653593855,\"member_id\":14578408409545168728,\"revision\":4,\
             \"raft_term\":2},\"kvs\":[{\"key\":\"Zm9v\",\"create_revision\":2,\"mod_revision\":4,\"version\":3,\
             \"value\":\"YmFyMw==\"}],\"count\":1}"
        );
        assert_eq!(answer(&Response::ResponseRange(RangeResponse::default())), "{}");
    }
}
