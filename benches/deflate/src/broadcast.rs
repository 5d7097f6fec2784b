//! One message to many connections: prepared once, or compressed for each.

use std::time::{Duration, Instant};

use sockeye::{Compress, Connection, Memory, Prepared};

use crate::messages;
use crate::ours::{config, drain, params, server};

const CONNECTIONS: usize = 10_000;
const BITS: u8 = 12;
/// Messages one after the other, so that later ones find full windows.
const MESSAGES: usize = 10;

pub fn table() {
    println!(
        "| policy | for each | prepared | time ratio | compressions | on the wire, for each | prepared |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let messages = messages::large(MESSAGES);
    for memory in [Memory::Window, Memory::Retained] {
        let (each, each_bytes) = send(memory, &messages, |message, connections| {
            for connection in connections {
                connection
                    .send_with(message, Compress::Always)
                    .expect("room");
            }
        });
        let mut compressions = 0;
        let (prepared, prepared_bytes) = send(memory, &messages, |message, connections| {
            let prepared = Prepared::new(message);
            for connection in connections {
                connection.send_prepared(&prepared).expect("room");
            }
            compressions = compressions.max(prepared.compressions());
        });
        let plain: usize = messages.iter().map(String::len).sum();
        let percent = |bytes: usize| 100.0 * bytes as f64 / (plain * CONNECTIONS) as f64;
        println!(
            "| {memory:?}, {BITS} bits | {:.1} ms | {:.1} ms | {:.3} | {compressions} | {:.1} % | {:.1} % |",
            each.as_secs_f64() * 1000.0,
            prepared.as_secs_f64() * 1000.0,
            prepared.as_secs_f64() / each.as_secs_f64(),
            percent(each_bytes),
            percent(prepared_bytes),
        );
    }
}

/// The median time of a broadcast, and all bytes that were sent.
fn send(
    memory: Memory,
    messages: &[String],
    mut broadcast: impl FnMut(&str, &mut [Connection]),
) -> (Duration, usize) {
    let open = || server(config(memory, BITS), params(BITS, true));
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| open()).collect();
    let mut bytes = 0;
    let mut times: Vec<_> = messages
        .iter()
        .map(|message| {
            let start = Instant::now();
            broadcast(message, &mut connections);
            let time = start.elapsed();
            bytes += connections.iter_mut().map(drain).sum::<usize>();
            time
        })
        .collect();
    times.sort();
    (times[MESSAGES / 2], bytes)
}
