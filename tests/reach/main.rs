//! The way to a server, phase by phase, over loopback: every scenario runs with clients on tokio, on smol
//! and on blocking sockets. TLS has tests of its own.
#![allow(
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

mod client;
mod phases;
mod proxies;
mod redirects;
mod refusals;
mod server;
#[cfg(unix)]
mod unix;

/// Runs scenarios, which are generic over the client, on all adapters.
macro_rules! on_every_adapter {
    ($($scenario:ident),* $(,)?) => {
        mod on_tokio {
            $(#[test] fn $scenario() {
                super::$scenario::<crate::client::Tokio>();
            })*
        }
        mod on_futures {
            $(#[test] fn $scenario() {
                super::$scenario::<crate::client::Futures>();
            })*
        }
        mod on_blocking {
            $(#[test] fn $scenario() {
                super::$scenario::<crate::client::Blocking>();
            })*
        }
    };
}
use on_every_adapter;
