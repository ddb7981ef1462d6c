//! Answers of several MB to Go's client, which pings while it receives them.

use interop::{Place, Programs, ours};

#[test]
fn large_answer_reaches_a_new_client_over_one_connection() {
    let Some(programs) = Programs::find(&["etcd", "probe", "etcdctl-3.7"]) else { return };
    let place = Place::new("large-answers");
    let server = place.start(&ours("etcd"), &[]);
    let answers = programs.probe(&["large", "--endpoint", &place.endpoint()]);
    assert_eq!(answers, "80 8000000 1\n".repeat(5), "values, bytes and connections of each client");
    let endpoint = format!("--endpoints={}", place.endpoint());
    let outcome =
        programs.run("etcdctl-3.7", &[&endpoint, "get", "large/", "--prefix", "--print-value-only"]);
    assert_eq!(outcome.expect_success().len(), 80 * 100_001);
    server.stop();
}
