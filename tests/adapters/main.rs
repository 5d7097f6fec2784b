//! The adapters over real loopback sockets: every scenario runs on tokio, on smol and on blocking
//! sockets.
//!
//! Each end of a connection has a thread and a runtime of its own, and no scenario may take longer
//! than ten seconds.
#![cfg(all(feature = "blocking", feature = "tokio", feature = "futures"))]
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

mod clock;
mod closing;
mod deadlines;
mod fire;
mod halves;
mod memory;
mod opening;
mod rates;
mod serving;
mod support;
mod talking;
mod virtual_time;
mod watching;

/// Runs scenarios, which are generic over the adapter, on all of them.
macro_rules! on_every_adapter {
    ($($scenario:ident),* $(,)?) => {
        mod on_tokio {
            $(#[test] fn $scenario() {
                crate::support::bounded(super::$scenario::<crate::support::Tokio>);
            })*
        }
        mod on_futures {
            $(#[test] fn $scenario() {
                crate::support::bounded(super::$scenario::<crate::support::Futures>);
            })*
        }
        mod on_blocking {
            $(#[test] fn $scenario() {
                crate::support::bounded(super::$scenario::<crate::support::Blocking>);
            })*
        }
    };
}
pub(crate) use on_every_adapter;
