//! Headers, and frames out of bytes.

use core::hint::black_box;

use criterion::{Criterion, Throughput};
use sockeye::Input;
use sockeye::frame::{Decoder, Header, OpCode, Rules};

use crate::payloads::{SIZES, ZERO_KEY, binary, frame, in_a_read, size_name};

pub(crate) fn headers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("header");
    let rules = Rules::server();
    // The three ways to write a length.
    for (len, size) in [(16, 6), (1 << 10, 8), (1 << 20, 14)] {
        let header = Header::new(OpCode::Binary, len).with_mask([1, 2, 3, 4]);
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes, &rules), Ok(Some((header, size))));
        group.bench_function(format!("encode/{size}B"), |bencher| {
            bencher.iter(|| black_box(&header).encode());
        });
        group.bench_function(format!("decode/{size}B"), |bencher| {
            bencher.iter(|| Header::decode(black_box(&bytes), &rules));
        });
    }
    group.finish();
}

pub(crate) fn decoders(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decoder");
    for size in SIZES {
        let (payload, count) = (binary(size), in_a_read(size));
        let mut wire = frame(OpCode::Binary, &payload, ZERO_KEY).repeat(count);
        let mut frames = 0;
        decode(&mut wire.clone(), |piece| {
            assert_eq!(piece, payload);
            frames += 1;
        });
        assert_eq!(frames, count);
        group.throughput(Throughput::Bytes((size * count) as u64));
        group.bench_function(format!("{count}x{}", size_name(size)), |bencher| {
            bencher.iter(|| decode(&mut wire, |piece| _ = black_box(piece)));
        });
    }
    group.finish();
}

fn decode(wire: &mut [u8], mut take: impl FnMut(&mut [u8])) {
    let mut decoder = Decoder::new(Rules::server());
    let mut input = Input::new(wire);
    while let Ok(Some(_header)) = decoder.header(&mut input) {
        take(decoder.payload(&mut input));
    }
    assert!(input.is_empty() && decoder.remaining() == 0);
}
