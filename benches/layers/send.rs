//! Messages that are queued and written, one by one or many at a time.

use core::hint::black_box;
use std::io::IoSlice;

use bytes::{Buf, Bytes};
use criterion::{Criterion, Throughput};
use sockeye::frame::OpCode;
use sockeye::{Connection, Message, Negotiated};

use crate::payloads::{KEY, SIZES, binary, frame, size_name, take_output};
use crate::{NOW, config};

/// From this size on who can share a payload does: a server sends it uncopied.
const SHARE_MIN: usize = 4 << 10;

pub(crate) fn connections(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("send");
    for (role, is_client) in [("server", false), ("client", true)] {
        for size in SIZES {
            check(is_client, &Bytes::from(binary(size)));
            // Many large ones measure the allocator.
            let counts = if size <= 16 << 10 { &[1, 64][..] } else { &[1] };
            for &count in counts {
                let payload = Bytes::from(binary(size));
                let mut conn = connection(is_client);
                group.throughput(Throughput::Bytes((size * count) as u64));
                let name = format!("{role}/flush_{count}/{}", size_name(size));
                group.bench_function(name, |bencher| {
                    bencher.iter(|| {
                        for _ in 0..count {
                            conn.send(message(&payload)).unwrap();
                        }
                        write(&mut conn);
                    });
                });
            }
        }
    }
    group.finish();
}

fn check(is_client: bool, payload: &Bytes) {
    let (mut conn, mut wire) = (connection(is_client), Vec::new());
    conn.send(message(payload)).unwrap();
    take_output(&mut conn, &mut wire);
    let masked = frame(OpCode::Binary, payload, KEY);
    match is_client {
        true => assert_eq!(wire, masked),
        false => assert!(wire.ends_with(payload) && wire.len() == masked.len() - KEY.len()),
    }
}

/// In one frame each, whatever the size: not every key is worth a benchmark.
fn connection(is_client: bool) -> Connection {
    let config = config().with_max_fragment(None);
    match is_client {
        true => Connection::client(&config, Negotiated::new(), || KEY, NOW),
        false => Connection::server(&config, Negotiated::new(), NOW),
    }
}

fn message(payload: &Bytes) -> Message<'_> {
    match payload.len() < SHARE_MIN {
        true => Message::from(&payload[..]),
        false => Message::from(payload.clone()),
    }
}

/// As a vectored write that takes everything.
fn write(conn: &mut Connection) {
    while let Some(mut output) = conn.poll_transmit() {
        let mut slices = [IoSlice::new(&[]); 16];
        let count = output.chunks_vectored(&mut slices);
        let written = black_box(&slices[..count])
            .iter()
            .map(|slice| slice.len())
            .sum();
        output.advance(written);
    }
}
