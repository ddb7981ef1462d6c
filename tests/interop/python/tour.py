"""What the Python client etcd3 can ask of the server at HOST PORT; prints "done"."""

import sys

import etcd3


def main(host, port):
    client = etcd3.client(host=host, port=int(port), timeout=10)

    client.put("a", "1")
    value, metadata = client.get("a")
    assert value == b"1", value
    assert (metadata.version, metadata.create_revision) == (1, metadata.mod_revision)
    assert client.get("nosuch") == (None, None)

    assert client.put_if_not_exists("a", "2") is False
    assert client.put_if_not_exists("b", "2") is True
    assert client.replace("a", "1", "3") is True
    assert client.replace("a", "1", "4") is False
    assert client.get("a")[0] == b"3"

    for index in range(10):
        client.put("p/%d" % index, bytes([index]))
    pairs = [(meta.key, value) for value, meta in client.get_prefix("p/", sort_order="descend")]
    assert pairs == [(b"p/%d" % index, bytes([index])) for index in reversed(range(10))], pairs
    assert len(list(client.get_range("p/2", "p/5"))) == 3
    assert len(list(client.get_all())) == 12

    succeeded, responses = client.transaction(
        compare=[client.transactions.value("a") == "3", client.transactions.version("a") > 1],
        success=[client.transactions.put("t", "yes"), client.transactions.get("t")],
        failure=[client.transactions.put("t", "no")],
    )
    assert succeeded and responses[1][0][0] == b"yes", (succeeded, responses)

    assert client.delete("a") is True
    assert client.delete("a") is False
    assert client.delete_prefix("p/").deleted == 10

    revision = client.get("t")[1].mod_revision
    client.compact(revision, physical=True)
    try:
        client.compact(revision)
        raise AssertionError("a compaction below the compacted revision was accepted")
    except Exception as error:  # the library has no class for it
        assert "compacted" in str(error), error

    status = client.status()
    assert status.version == "3.7.1", status.version
    assert status.leader.id == next(iter(client.members)).id
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
