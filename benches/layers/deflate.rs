//! permessage-deflate under each policy of what is kept between messages.

use core::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use sockeye::{Connection, Deflate, DeflateParams, Memory, Negotiated};

use crate::payloads::{KEY, size_name, take_output};
use crate::receive::receive;
use crate::{NOW, config};

/// So many different messages in turn, or a context would hold each whole.
const MESSAGES: usize = 16;

pub(crate) fn connections(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deflate");
    for (policy, memory) in [
        ("retained", Memory::Retained),
        ("window", Memory::Window),
        ("no_takeover", Memory::NoTakeover),
    ] {
        for size in [1 << 10, 64 << 10] {
            let texts: Vec<String> = (0..MESSAGES).map(|seed| json(size, seed)).collect();
            let wire = compress(&mut pair(memory).0, &texts);
            check(memory, &texts, &wire);
            group.throughput(Throughput::Bytes((size * MESSAGES) as u64));
            let name = format!("{policy}/{MESSAGES}x{}", size_name(size));
            let (mut client, mut server) = pair(memory);
            group.bench_function(format!("deflate/{name}"), |bencher| {
                bencher.iter(|| compress(&mut client, &texts));
            });
            // The first message refers to nothing before it, so what follows may come again and
            // again.
            group.bench_function(format!("inflate/{name}"), |bencher| {
                bencher.iter_batched_ref(
                    || wire.clone(),
                    |wire| receive(&mut server, wire, |message| _ = black_box(message)),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

fn check(memory: Memory, texts: &[String], wire: &[u8]) {
    let size: usize = texts.iter().map(String::len).sum();
    assert!(wire.len() < size / 2, "it is compressed");
    let (_, mut server) = pair(memory);
    for _ in 0..2 {
        let mut expected = texts.iter();
        receive(&mut server, &mut wire.to_vec(), |message| {
            assert_eq!(message.as_text(), expected.next().map(String::as_str));
        });
        assert_eq!(expected.next(), None);
    }
}

fn compress(client: &mut Connection, texts: &[String]) -> Vec<u8> {
    let mut wire = Vec::new();
    for text in texts {
        client.send(&text[..]).unwrap();
        take_output(client, &mut wire);
    }
    wire
}

fn pair(memory: Memory) -> (Connection, Connection) {
    let deflate = Deflate::server()
        .with_send_window_bits(15)
        .with_receive_window_bits(15)
        .with_send_memory(memory)
        .with_receive_memory(memory);
    let mut params = DeflateParams::new();
    params.server_no_context_takeover = memory == Memory::NoTakeover;
    params.client_no_context_takeover = memory == Memory::NoTakeover;
    let config = config().with_deflate(deflate);
    let negotiated = Negotiated::new().with_deflate(params);
    let client = Connection::client(&config, negotiated.clone(), || KEY, NOW);
    (client, Connection::server(&config, negotiated, NOW))
}

/// With as much repetition as such messages have.
fn json(len: usize, seed: usize) -> String {
    let mut text = String::new();
    let mut number = seed;
    while text.len() < len {
        number = (number * 7919 + 104_729) % 1_000_003;
        let active = number.is_multiple_of(2);
        text += &format!(r#"{{"id":{number},"active":{active},"note":"{number:x}"}},"#);
    }
    text.truncate(len);
    text
}
