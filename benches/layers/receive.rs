//! A server that receives messages which lie whole in the read buffer: they are lent out of it.

use core::hint::black_box;

use criterion::{Criterion, Throughput};
use sockeye::frame::OpCode;
use sockeye::{Connection, Input, Message, Negotiated};

use crate::payloads::{KEY, SIZES, ZERO_KEY, ascii, binary, frame, in_a_read, mixed, size_name};
use crate::{NOW, config};

pub(crate) fn connections(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("receive");
    for size in SIZES {
        for (kind, opcode, payload) in [
            ("binary", OpCode::Binary, binary(size)),
            ("ascii", OpCode::Text, ascii(size).into_bytes()),
            ("mixed", OpCode::Text, mixed(size).into_bytes()),
        ] {
            let count = in_a_read(size);
            let mut conn = Connection::server(&config(), Negotiated::new(), NOW);
            check(&mut conn, opcode, &payload);
            let mut wire = frame(opcode, &payload, ZERO_KEY).repeat(count);
            group.throughput(Throughput::Bytes((size * count) as u64));
            group.bench_function(format!("{kind}/{count}x{}", size_name(size)), |bencher| {
                bencher.iter(|| receive(&mut conn, &mut wire, |message| _ = black_box(message)));
            });
        }
    }
    group.finish();
}

fn check(conn: &mut Connection, opcode: OpCode, payload: &[u8]) {
    let mut wire = frame(opcode, payload, KEY).repeat(3);
    let mut count = 0;
    receive(conn, &mut wire, |message| {
        assert_eq!(message.as_bytes(), payload);
        assert_eq!(message.as_text().is_some(), opcode == OpCode::Text);
        count += 1;
    });
    assert_eq!(count, 3);
}

/// Takes the messages out of a read.
pub(crate) fn receive(conn: &mut Connection, wire: &mut [u8], mut take: impl FnMut(Message<'_>)) {
    let mut input = Input::new(wire);
    while let Some(event) = conn.receive(NOW, &mut input).unwrap() {
        take(event.into_message().unwrap());
    }
}
