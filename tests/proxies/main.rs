//! Connections through proxies that others wrote: nginx and HAProxy in front of a server, with the
//! configurations of `docs/deploy`; tinyproxy and microsocks on the way of a client.
//!
//! `tests/proxies/run.sh` installs them and runs this. Plain `cargo test` does not.
#![cfg(all(feature = "tokio", feature = "deflate"))]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::std_instead_of_core,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

mod forward;
mod processes;
mod program;
mod reverse;
mod server;
