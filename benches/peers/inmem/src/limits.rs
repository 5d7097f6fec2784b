//! What the machine can do: copies, masks, validation and compression by themselves.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

use common::{JsonLine, ascii_text, json_text, mixed_text, random_bytes, size_name, table};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress};
use sockeye::mask::Mask;
use sockeye::utf8::Validator;

use crate::bench::Effort;
use crate::case::LEVEL;
use crate::mask;

const SIZES: [usize; 5] = [16, 128, 1 << 10, 16 << 10, 1 << 20];
const DEFLATE_SIZES: [usize; 2] = [1 << 10, 64 << 10];
/// Too much for any cache.
const UNCACHED: usize = 512 << 20;
const KEY: [u8; 4] = [1, 2, 3, 4];

/// Work on so many bytes.
struct Row {
    name: String,
    size: usize,
    run: Box<dyn FnMut()>,
}

impl Row {
    fn new(name: impl AsRef<str>, size: usize, run: impl FnMut() + 'static) -> Self {
        Self {
            name: format!("{} {}", name.as_ref(), size_name(size)),
            size,
            run: Box::new(run),
        }
    }

    /// Nanoseconds each time.
    fn time(&mut self, times: usize) -> f64 {
        let start = Instant::now();
        for _ in 0..times {
            (self.run)();
        }
        start.elapsed().as_nanos() as f64 / times as f64
    }
}

/// Prints tables, and writes a line for each row to `out`.
pub fn report(effort: Effort, out: &mut impl Write) -> io::Result<()> {
    measure("copy", copies(), effort, out)?;
    measure("mask", masks(), effort, out)?;
    measure("utf8", validations(), effort, out)?;
    measure("inflate", inflations(), effort, out)?;
    measure("deflate", deflations(), effort, out)
}

fn measure(
    title: &str,
    mut rows: Vec<Row>,
    effort: Effort,
    out: &mut impl Write,
) -> io::Result<()> {
    let slice = effort.slice.as_nanos() as f64;
    let times: Vec<usize> = rows
        .iter_mut()
        .map(|row| {
            row.time(1);
            let mut times = 1;
            while row.time(times) * (times as f64) < slice / 4.0 {
                times *= 2;
            }
            times * 4
        })
        .collect();
    let mut measured = vec![Vec::new(); rows.len()];
    for _ in 0..effort.rounds.div_ceil(2) {
        for ((row, times), measured) in rows.iter_mut().zip(&times).zip(&mut measured) {
            measured.push(row.time(*times));
        }
    }
    let mut cells = Vec::new();
    for (row, mut measured) in rows.iter().zip(measured) {
        measured.sort_by(f64::total_cmp);
        let (fastest, median) = (measured[0], measured[measured.len() / 2]);
        let gib = row.size as f64 / median * 1e9 / f64::from(1 << 30);
        cells.push(vec![
            row.name.clone(),
            format!("{fastest:.1}"),
            format!("{median:.1}"),
            format!("{gib:.2}"),
        ]);
        let line = JsonLine::new()
            .text("case", &format!("limits_{title}"))
            .text("peer", &row.name)
            .real("min_ns", fastest)
            .real("median_ns", median)
            .real("gib_s", gib);
        writeln!(out, "{}", line.end())?;
    }
    let head = ["", "min ns", "median ns", "GiB/s"];
    println!("\n## limits: {title}\n\n{}", table(&head, &cells));
    Ok(())
}

fn copies() -> Vec<Row> {
    let mut rows = Vec::new();
    for size in SIZES {
        let (from, mut to) = (random_bytes(size, 1), vec![0; size]);
        rows.push(Row::new("copy, cached", size, move || {
            black_box(&mut to[..]).copy_from_slice(black_box(&from));
        }));
    }
    let (from, mut to, mut at) = (vec![1; UNCACHED], vec![2; UNCACHED], 0);
    rows.push(Row::new("copy, not cached", 1 << 20, move || {
        let part = at..at + (1 << 20);
        to[part.clone()].copy_from_slice(black_box(&from[part]));
        at = (at + (1 << 20)) % UNCACHED;
        black_box(&mut to);
    }));
    rows
}

fn masks() -> Vec<Row> {
    let mut rows = Vec::new();
    for size in SIZES {
        let mut bytes = random_bytes(size, 1);
        rows.push(Row::new("floor, in place", size, move || {
            mask::xor(black_box(&mut bytes), black_box(KEY));
        }));
        let mut bytes = random_bytes(size, 1);
        rows.push(Row::new("sockeye, in place", size, move || {
            Mask::new(black_box(KEY)).apply(black_box(&mut bytes));
        }));
        let mut bytes = random_bytes(size, 1);
        rows.push(Row::new("fastwebsockets, in place", size, move || {
            fastwebsockets::unmask(black_box(&mut bytes), black_box(KEY));
        }));
        let (from, mut to) = (random_bytes(size, 1), vec![0; size]);
        rows.push(Row::new("floor, copy", size, move || {
            mask::xor_copy(black_box(&mut to), black_box(&from), black_box(KEY));
        }));
        let (from, mut to) = (random_bytes(size, 1), vec![0; size]);
        rows.push(Row::new("sockeye, copy", size, move || {
            Mask::new(black_box(KEY)).copy(black_box(&from), black_box(&mut to));
        }));
    }
    rows
}

fn validations() -> Vec<Row> {
    let texts = [
        ("ASCII", ascii_text as fn(usize, u64) -> Vec<u8>),
        ("mixed", mixed_text),
    ];
    let mut rows = Vec::new();
    for (kind, text) in texts {
        for size in SIZES {
            let bytes = text(size, 1);
            rows.push(Row::new(format!("simdutf8, {kind}"), size, move || {
                black_box(simdutf8::basic::from_utf8(black_box(&bytes)).is_ok());
            }));
            let bytes = text(size, 1);
            rows.push(Row::new(format!("sockeye, {kind}"), size, move || {
                let mut validator = Validator::new();
                let is_valid = validator.push(black_box(&bytes)).is_ok();
                black_box(is_valid && validator.finish().is_ok());
            }));
            let bytes = text(size, 1);
            rows.push(Row::new(format!("std, {kind}"), size, move || {
                black_box(std::str::from_utf8(black_box(&bytes)).is_ok());
            }));
        }
    }
    rows
}

fn inflations() -> Vec<Row> {
    let mut rows = Vec::new();
    for size in DEFLATE_SIZES {
        let mut compressed = Vec::with_capacity(size + 1024);
        let status =
            compressor().compress_vec(&json_text(size, 5), &mut compressed, FlushCompress::Sync);
        status.expect("room");

        let (input, mut output) = (compressed.clone(), Vec::with_capacity(size + 64));
        let mut inflate = Decompress::new(false);
        rows.push(Row::new("zlib-rs, each by itself", size, move || {
            inflate.reset(false);
            output.clear();
            let status = inflate.decompress_vec(&input, &mut output, FlushDecompress::Sync);
            assert!(status.is_ok() && output.len() == size);
        }));

        // It wants the end of the stream: an empty last block.
        compressed.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
        let mut output = vec![0; size + 64];
        let mut inflate = libdeflater::Decompressor::new();
        rows.push(Row::new("libdeflate, each by itself", size, move || {
            let inflated = inflate.deflate_decompress(&compressed, &mut output);
            assert_eq!(inflated, Ok(size));
        }));
    }
    rows
}

fn deflations() -> Vec<Row> {
    let mut rows = Vec::new();
    for size in DEFLATE_SIZES {
        for (name, resets) in [
            ("zlib-rs, each by itself", true),
            ("zlib-rs, context", false),
        ] {
            let (input, mut output) = (json_text(size, 5), Vec::with_capacity(size + 1024));
            let mut deflate = compressor();
            rows.push(Row::new(name, size, move || {
                if resets {
                    deflate.reset();
                }
                output.clear();
                let status = deflate.compress_vec(&input, &mut output, FlushCompress::Sync);
                status.expect("room");
            }));
        }
        let (input, mut output) = (json_text(size, 5), vec![0; size + 1024]);
        let level = libdeflater::CompressionLvl::new(LEVEL.into());
        let mut deflate = libdeflater::Compressor::new(level.expect("a level"));
        rows.push(Row::new("libdeflate, each by itself", size, move || {
            let compressed = deflate.deflate_compress(&input, &mut output);
            black_box(compressed.expect("room"));
        }));
    }
    rows
}

fn compressor() -> Compress {
    Compress::new(flate2::Compression::new(LEVEL.into()), false)
}
