//! Our programs beside real etcd and real clients: `cargo xtask interop`.

mod command_line;
mod directories;
mod go_client;
mod hops;
mod kill;
mod large_answers;
mod lifecycle;
mod other_clients;
mod refusals;
mod walkthrough;
