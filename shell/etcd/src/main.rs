//! `etcd`.
fn main() {}
