//! What the defaults were chosen by: level, memory level, and the shortest message worth compressing.

use sockeye::{Deflate, DeflateParams, Memory};

use crate::measure::measure;
use crate::ours::{self, Ours};

pub fn tables(messages: &[String]) {
    println!("\nMemory level of the compressor (level 6), `Retained` and `Window`\n");
    println!(
        "| | heap, `Retained` | send, `Retained` | send, `Window` | on the wire |\n|---|--:|--:|--:|--:|"
    );
    for bits in [12, 15] {
        for mem_level in 1..=9 {
            let set = |deflate: Deflate| deflate.with_mem_level(mem_level);
            row(
                &format!("{bits} bits, memory level {mem_level}"),
                messages,
                bits,
                set,
            );
        }
    }
    println!("\nLevel (12 bits, memory level 5), `Retained` and `Window`\n");
    println!(
        "| | heap, `Retained` | send, `Retained` | send, `Window` | on the wire |\n|---|--:|--:|--:|--:|"
    );
    for level in [1, 2, 3, 4, 5, 6, 7, 9] {
        let set = |deflate: Deflate| deflate.with_level(level);
        row(&format!("level {level}"), messages, 12, set);
    }
    println!(
        "\nThe front of each message only (12 bits, `Window`), bytes on the wire with a header of 2\n"
    );
    println!("| length | takeover | no takeover |\n|--:|--:|--:|");
    for length in [8, 16, 24, 32, 48, 64, 96, 128] {
        let fronts: Vec<String> = messages
            .iter()
            .map(|message| message[..length.min(message.len())].to_owned())
            .collect();
        let ratio = |memory, takeover| {
            let params = ours::params(12, takeover);
            cost(&fronts, ours::config(memory, 12), params).ratio * length as f64
        };
        println!(
            "| {length} | {:.1} | {:.1} |",
            ratio(Memory::Window, true),
            ratio(Memory::NoTakeover, false)
        );
    }
}

fn row(name: &str, messages: &[String], bits: u8, set: impl Fn(Deflate) -> Deflate) {
    let params = ours::params(bits, true);
    let retained = cost(messages, set(ours::config(Memory::Retained, bits)), params);
    let window = cost(messages, set(ours::config(Memory::Window, bits)), params);
    let micros = |time: std::time::Duration| time.as_nanos() as f64 / 1000.0;
    println!(
        "| {name} | {} | {:.2} µs | {:.2} µs | {:.1} % |",
        retained.used,
        micros(retained.send),
        micros(window.send),
        100.0 * retained.ratio,
    );
}

fn cost(messages: &[String], deflate: Deflate, params: DeflateParams) -> crate::measure::Costs {
    let wire = ours::wire(messages, params);
    let costs = measure(messages, || Ours::open(deflate.clone(), params, &wire));
    costs.expect("no failure")
}
