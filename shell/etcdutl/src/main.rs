//! `etcdutl`.
fn main() {}
