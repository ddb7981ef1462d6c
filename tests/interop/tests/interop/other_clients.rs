//! Client libraries of other people, in other languages.

use interop::{Place, Programs, ours};

#[test]
fn the_python_client_works() {
    let Some(programs) = Programs::find(&["etcd", "python"]) else { return };
    let place = Place::new("python");
    let server = place.start(&ours("etcd"), &[]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/tour.py");
    let (host, port) = (place.endpoint(), place.endpoint());
    let (host, port) = (host.split(':').next().unwrap(), port.split(':').nth(1).unwrap());
    assert_eq!(programs.run("python", &[script, host, port]).expect_success(), "done\n");
    server.stop();
}

#[test]
fn the_rust_client_etcd_client_works() {
    let Some(programs) = Programs::find(&["etcd", "rust-client"]) else { return };
    let place = Place::new("rust-client");
    let server = place.start(&ours("etcd"), &[]);
    assert_eq!(programs.run("rust-client", &[&place.endpoint()]).expect_success(), "done\n");
    server.stop();
}
