//! What compression costs with soketto, as rows of the same tables:
//!
//! ```text
//! cargo run --release --manifest-path benches/deflate/soketto/Cargo.toml
//! ```
//!
//! It is measured as the others are, and receives what they receive. The rows of the crate itself, without context
//! takeover too, are there to compare with: one with the default level, and one with that of soketto.

#[path = "../../src/heap.rs"]
mod heap;
#[path = "../../src/measure.rs"]
mod measure;
#[path = "../../src/messages.rs"]
mod messages;
#[path = "../../src/ours.rs"]
mod ours;
mod peer;
#[path = "../../src/wire.rs"]
mod wire;

use std::sync::Arc;

use sockeye::Memory;

use measure::{Costs, measure};
use ours::Ours;
use peer::Soketto;

/// As many as in the other tables.
const COUNT: usize = 400;
/// soketto knows no other than `Compression::fast()`.
const SOKETTO_LEVEL: u8 = 1;

fn main() {
    for (name, messages) in [
        ("130-byte JSON", messages::small(COUNT)),
        ("1 KiB JSON", messages::large(COUNT)),
    ] {
        println!("\n## {COUNT} messages of {name}\n\n{}", Costs::HEAD);
        let params = ours::params(15, false);
        let wire: Arc<[u8]> = ours::wire(&messages, params).into();
        let row = |name: &str, costs: Option<Costs>| {
            println!("{}", costs.expect("no failure").row(name));
        };
        for level in [6, SOKETTO_LEVEL] {
            let config = || ours::config(Memory::NoTakeover, 15).with_level(level);
            row(
                &format!("`NoTakeover`, 15 bits, level {level}"),
                measure(&messages, || Ours::open(config(), params, &wire)),
            );
        }
        row(
            "soketto (has no takeover, level 1)",
            measure(&messages, || Soketto::open(&wire)),
        );
    }
}
