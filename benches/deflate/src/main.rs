//! What compression costs, as Markdown tables:
//!
//! ```text
//! cargo run --release --manifest-path benches/deflate/Cargo.toml [-- PART]
//! ```
//!
//! The parts are `policies`, `peers`, `settings`, `backends` and `broadcast`; without one, all of them.
//! Build with `--features zlib-ng` for the rows of zlib-ng.

mod backends;
mod broadcast;
mod heap;
mod measure;
mod messages;
mod ours;
mod peers;
mod python;
mod settings;
mod wire;

use std::sync::Arc;

use sockeye::Memory;

use measure::{Costs, measure};
use ours::Ours;

/// So many messages of about 130 bytes, or of 1 KiB.
const COUNT: usize = 400;

fn main() {
    let part = std::env::args().nth(1);
    let is_wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    let sets = [
        ("130-byte JSON", messages::small(COUNT)),
        ("1 KiB JSON", messages::large(COUNT)),
    ];
    for (name, messages) in &sets {
        let bytes: usize = messages.iter().map(String::len).sum();
        println!(
            "\n## {COUNT} messages of {name} ({} bytes on average)",
            bytes / COUNT
        );
        if is_wanted("policies") || is_wanted("peers") {
            println!("\n{}", Costs::HEAD);
        }
        if is_wanted("policies") {
            policies(messages);
        }
        if is_wanted("peers") {
            peers(messages);
        }
        if is_wanted("settings") {
            settings::tables(messages);
        }
        if is_wanted("backends") {
            println!("\nBackends alone, level 6, 15 bits, takeover\n");
            backends::table(messages);
        }
    }
    if is_wanted("broadcast") {
        println!("\n## One message of 1 KiB to 10,000 connections\n");
        broadcast::table();
    }
}

fn policies(messages: &[String]) {
    for memory in [Memory::Retained, Memory::Window, Memory::NoTakeover] {
        for bits in [9, 12, 13, 15] {
            let params = ours::params(bits, memory != Memory::NoTakeover);
            let wire = ours::wire(messages, params);
            let costs = measure(messages, || {
                Ours::open(ours::config(memory, bits), params, &wire)
            });
            let costs = costs.expect("no failure");
            println!("{}", costs.row(&format!("`{memory:?}`, {bits} bits")));
        }
    }
}

fn peers(messages: &[String]) {
    let context: Arc<[u8]> = ours::wire(messages, ours::params(15, true)).into();
    let none: Arc<[u8]> = ours::wire(messages, ours::params(15, false)).into();
    let row = |name, costs: Option<Costs>| match costs {
        Some(costs) => println!("{}", costs.row(name)),
        None => println!("| {name}: failed, see the error | | | | | | | |"),
    };
    row(
        "yawc, takeover, 15 bits",
        measure(messages, || peers::Yawc::open(&context, true)),
    );
    row(
        "yawc, no takeover",
        measure(messages, || peers::Yawc::open(&none, false)),
    );
    row(
        "sockudo-ws, takeover, 15 bits",
        measure(messages, || peers::Sockudo::open(&context, true)),
    );
    row(
        "sockudo-ws, no takeover",
        measure(messages, || peers::Sockudo::open(&none, false)),
    );
    row(
        "wtx (has no takeover)",
        measure(messages, || peers::Wtx::open(&none)),
    );
    python::rows(messages);
}
