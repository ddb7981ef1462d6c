//! What the crate `etcd-client` can ask of the server at the endpoint that is the only argument; prints "done".

use etcd_client::{
    Client, Compare, CompareOp, CompactionOptions, DeleteOptions, Error, GetOptions, PutOptions, SortOrder, SortTarget, Txn,
    TxnOp,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let endpoint = std::env::args().nth(1).expect("usage: rust-client HOST:PORT");
    let mut client = Client::connect([endpoint], None).await?;

    client.put("a", "1", None).await?;
    let previous = client.put("a", "2", Some(PutOptions::new().with_prev_key())).await?;
    assert_eq!(previous.prev_key().map(|kv| kv.value()), Some(&b"1"[..]));
    let got = client.get("a", None).await?;
    let kv = &got.kvs()[0];
    assert_eq!((kv.value(), kv.version()), (&b"2"[..], 2));
    assert!(client.get("nosuch", None).await?.kvs().is_empty());

    for index in 0..10_u8 {
        client.put(format!("p/{index}"), [index], None).await?;
    }
    let options = GetOptions::new().with_prefix().with_sort(SortTarget::Key, SortOrder::Descend).with_limit(3);
    let got = client.get("p/", Some(options)).await?;
    assert_eq!((got.count(), got.more(), got.kvs().len()), (10, true, 3));
    assert_eq!(got.kvs()[0].key(), b"p/9");

    let txn = Txn::new()
        .when([Compare::value("a", CompareOp::Equal, "2")])
        .and_then([TxnOp::put("t", "yes", None), TxnOp::get("t", None)])
        .or_else([TxnOp::put("t", "no", None)]);
    let answer = client.txn(txn).await?;
    assert!(answer.succeeded());
    assert_eq!(answer.op_responses().len(), 2);

    let deleted = client.delete("p/", Some(DeleteOptions::new().with_prefix().with_prev_key())).await?;
    assert_eq!((deleted.deleted(), deleted.prev_kvs().len()), (10, 10));

    let revision = client.get("t", None).await?.kvs()[0].mod_revision();
    client.compact(revision, Some(CompactionOptions::new().with_physical())).await?;
    match client.get("a", Some(GetOptions::new().with_revision(revision - 1))).await {
        Err(Error::GRpcStatus(status)) => {
            assert_eq!(status.message(), "etcdserver: mvcc: required revision has been compacted");
        }
        other => panic!("a read below the compacted revision: {other:?}"),
    }

    let status = client.status().await?;
    assert_eq!(status.version(), "3.7.1");
    assert_eq!(status.leader(), client.member_list().await?.members()[0].id());
    println!("done");
    Ok(())
}
