//! wss over loopback, with an authority of its own: every scenario runs with clients and servers on
//! tokio, on smol and on blocking sockets.
#![allow(
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

mod certificates;
mod closing;
mod echo;
mod sides;
mod slow;
mod trust;
mod tunnel;

/// Runs scenarios, which are generic over the sides, on all adapters.
macro_rules! on_every_adapter {
    ($($scenario:ident),* $(,)?) => {
        mod on_tokio {
            $(#[test] fn $scenario() {
                super::$scenario::<crate::sides::Tokio>();
            })*
        }
        mod on_futures {
            $(#[test] fn $scenario() {
                super::$scenario::<crate::sides::Futures>();
            })*
        }
        mod on_blocking {
            $(#[test] fn $scenario() {
                super::$scenario::<crate::sides::Blocking>();
            })*
        }
    };
}
use on_every_adapter;
