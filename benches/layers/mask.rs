//! Masking, in place and on the way into another buffer.

use core::hint::black_box;

use criterion::{Criterion, Throughput};
use sockeye::mask::Mask;

use crate::payloads::{KEY, SIZES, binary, size_name};

pub(crate) fn masks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mask");
    for size in SIZES {
        let payload = binary(size);
        let keys = KEY.iter().cycle();
        let masked: Vec<u8> = payload
            .iter()
            .zip(keys)
            .map(|(byte, key)| byte ^ key)
            .collect();
        let (mut in_place, mut copy) = (payload.clone(), vec![0; size]);
        Mask::new(KEY).apply(&mut in_place);
        Mask::new(KEY).copy(&payload, &mut copy);
        assert!(in_place == masked && copy == masked);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("apply/{}", size_name(size)), |bencher| {
            bencher.iter(|| Mask::new(black_box(KEY)).apply(black_box(&mut in_place)));
        });
        group.bench_function(format!("copy/{}", size_name(size)), |bencher| {
            bencher
                .iter(|| Mask::new(black_box(KEY)).copy(black_box(&payload), black_box(&mut copy)));
        });
    }
    group.finish();
}
