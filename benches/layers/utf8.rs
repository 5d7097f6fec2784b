//! Text that is validated.

use core::hint::black_box;

use criterion::{Criterion, Throughput};
use sockeye::utf8::Validator;

use crate::payloads::{SIZES, ascii, mixed, size_name};

pub(crate) fn validators(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("utf8");
    for size in SIZES {
        for (kind, text) in [("ascii", ascii(size)), ("mixed", mixed(size))] {
            let text = text.as_bytes();
            assert!(text.len() == size && is_valid(text));
            assert!(!is_valid(&[&text[..size - 1], b"\xff"].concat()));
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(format!("{kind}/{}", size_name(size)), |bencher| {
                bencher.iter(|| is_valid(black_box(text)));
            });
        }
    }
    group.finish();
}

fn is_valid(text: &[u8]) -> bool {
    let mut validator = Validator::new();
    validator
        .push(text)
        .and_then(|()| validator.finish())
        .is_ok()
}
