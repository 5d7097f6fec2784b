//! What each layer of the crate costs by itself, from the header to two connections that talk to each
//! other, through what the crate makes public. `../README.md` tells how to run it.
//!
//! Each case is checked once, by what it is to make, before it is timed.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a benchmark may panic, and knows its numbers"
)]

mod deflate;
mod frames;
mod handshake;
mod mask;
mod pair;
mod payloads;
mod receive;
mod send;
mod utf8;

use core::time::Duration;

use criterion::Criterion;
use sockeye::{Config, Instant, Limits};

fn main() {
    // Long enough to tell 3 % apart, short enough to run all of it.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50)
        .configure_from_args();
    frames::headers(&mut criterion);
    mask::masks(&mut criterion);
    utf8::validators(&mut criterion);
    frames::decoders(&mut criterion);
    receive::connections(&mut criterion);
    send::connections(&mut criterion);
    deflate::connections(&mut criterion);
    handshake::handshakes(&mut criterion);
    pair::pairs(&mut criterion);
    criterion.final_summary();
}

/// What is sent is written before more is sent, so the queue needs no limit.
fn config() -> Config {
    Config::new().with_limits(Limits::new().with_max_queued(usize::MAX))
}

/// Time stands still: nothing here waits.
const NOW: Instant = Instant::from_millis(1);
