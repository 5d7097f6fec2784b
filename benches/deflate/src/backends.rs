//! Backends alone: the same messages through one stream, flushed after each.

use std::time::{Duration, Instant};

use crate::heap;

const ROUNDS: usize = 9;

trait Codec {
    /// Compresses a message into `output`, and flushes.
    fn deflate(&mut self, plaintext: &[u8], output: &mut [u8]) -> usize;
    /// Inflates what was flushed.
    fn inflate(&mut self, compressed: &[u8], output: &mut [u8]) -> usize;
}

pub fn table(messages: &[String]) {
    println!("| backend | heap of both codecs | deflate | inflate | size |\n|---|--:|--:|--:|--:|");
    row("zlib-rs", messages, || ZlibRs {
        deflate: zlib_rs::Deflate::new(6, false, 15),
        inflate: zlib_rs::Inflate::new(false, 15),
    });
    row("miniz_oxide", messages, Miniz::new);
    #[cfg(feature = "zlib-ng")]
    row("zlib-ng", messages, ng::Ng::new);
    #[cfg(not(feature = "zlib-ng"))]
    println!("| zlib-ng: not built, see `--features zlib-ng` | | | | |");
}

fn row<C: Codec>(name: &str, messages: &[String], open: impl Fn() -> C) {
    let plain: usize = messages.iter().map(String::len).sum();
    let mut compressed = vec![0; plain + 64 * messages.len()];
    let mut inflated = vec![0; plain];
    let mut lengths = Vec::with_capacity(messages.len());
    let (mut deflate, mut inflate) = (Duration::MAX, Duration::MAX);
    let mut held = 0;
    for _ in 0..ROUNDS {
        lengths.clear();
        let before = heap::live();
        let mut codec = open();
        let start = Instant::now();
        let mut end = 0;
        for message in messages {
            let count = codec.deflate(message.as_bytes(), &mut compressed[end..]);
            lengths.push(count);
            end += count;
        }
        deflate = deflate.min(start.elapsed());
        let start = Instant::now();
        let (mut from, mut to) = (0, 0);
        for &length in &lengths {
            to += codec.inflate(&compressed[from..from + length], &mut inflated[to..]);
            from += length;
        }
        inflate = inflate.min(start.elapsed());
        assert_eq!(to, plain);
        held = heap::live() - before;
    }
    assert!(inflated == messages.concat().as_bytes());
    let micros = |time: Duration| time.as_nanos() as f64 / 1000.0 / messages.len() as f64;
    // Without the tails, which are not sent.
    let size: usize = lengths.iter().map(|length| length - 4).sum();
    let held = if held > 1000 {
        held.to_string()
    } else {
        "not counted".to_owned()
    };
    println!(
        "| {name} | {held} | {:.2} µs | {:.2} µs | {:.1} % |",
        micros(deflate),
        micros(inflate),
        100.0 * size as f64 / plain as f64
    );
}

struct ZlibRs {
    deflate: zlib_rs::Deflate,
    inflate: zlib_rs::Inflate,
}

impl Codec for ZlibRs {
    fn deflate(&mut self, plaintext: &[u8], output: &mut [u8]) -> usize {
        let before = self.deflate.total_out();
        let flush = zlib_rs::DeflateFlush::SyncFlush;
        self.deflate
            .compress(plaintext, output, flush)
            .expect("room");
        (self.deflate.total_out() - before) as usize
    }

    fn inflate(&mut self, compressed: &[u8], output: &mut [u8]) -> usize {
        let before = self.inflate.total_out();
        let flush = zlib_rs::InflateFlush::SyncFlush;
        self.inflate
            .decompress(compressed, output, flush)
            .expect("valid");
        (self.inflate.total_out() - before) as usize
    }
}

struct Miniz {
    deflate: Box<miniz_oxide::deflate::core::CompressorOxide>,
    inflate: Box<miniz_oxide::inflate::stream::InflateState>,
}

impl Miniz {
    fn new() -> Self {
        // As flate2 makes them.
        let flags = miniz_oxide::deflate::core::create_comp_flags_from_zip_params(6, 0, 0);
        Self {
            deflate: Box::new(miniz_oxide::deflate::core::CompressorOxide::new(flags)),
            inflate: miniz_oxide::inflate::stream::InflateState::new_boxed(
                miniz_oxide::DataFormat::Raw,
            ),
        }
    }
}

impl Codec for Miniz {
    fn deflate(&mut self, plaintext: &[u8], output: &mut [u8]) -> usize {
        let flush = miniz_oxide::MZFlush::Sync;
        let result =
            miniz_oxide::deflate::stream::deflate(&mut self.deflate, plaintext, output, flush);
        assert_eq!(result.bytes_consumed, plaintext.len());
        result.bytes_written
    }

    fn inflate(&mut self, compressed: &[u8], output: &mut [u8]) -> usize {
        let flush = miniz_oxide::MZFlush::Sync;
        let result =
            miniz_oxide::inflate::stream::inflate(&mut self.inflate, compressed, output, flush);
        assert_eq!(result.bytes_consumed, compressed.len());
        result.bytes_written
    }
}

#[cfg(feature = "zlib-ng")]
mod ng {
    use std::mem::MaybeUninit;

    use libz_ng_sys as z;

    /// Boxes, because zlib keeps their addresses; maybe uninitialized, because `None` for the
    /// allocator is no value of the binding's type.
    pub struct Ng {
        deflate: Box<MaybeUninit<z::z_stream>>,
        inflate: Box<MaybeUninit<z::z_stream>>,
    }

    impl Ng {
        pub fn new() -> Self {
            let mut deflate = Box::new(MaybeUninit::zeroed());
            let mut inflate = Box::new(MaybeUninit::zeroed());
            let (version, size) = (c"1.3.1".as_ptr(), size_of::<z::z_stream>() as i32);
            // SAFETY: zeros are what zlib asks for; it puts its own allocator there.
            unsafe {
                assert_eq!(
                    z::deflateInit2_(deflate.as_mut_ptr(), 6, 8, -15, 8, 0, version, size),
                    0
                );
                assert_eq!(
                    z::inflateInit2_(inflate.as_mut_ptr(), -15, version, size),
                    0
                );
            }
            Self { deflate, inflate }
        }
    }

    fn point(stream: &mut z::z_stream, input: &[u8], output: &mut [u8]) {
        stream.next_in = input.as_ptr().cast_mut();
        stream.avail_in = input.len() as u32;
        stream.next_out = output.as_mut_ptr();
        stream.avail_out = output.len() as u32;
    }

    impl super::Codec for Ng {
        fn deflate(&mut self, plaintext: &[u8], output: &mut [u8]) -> usize {
            // SAFETY: `new` initialized it.
            let stream = unsafe { self.deflate.assume_init_mut() };
            point(stream, plaintext, output);
            // SAFETY: both slices outlive the call.
            assert_eq!(unsafe { z::deflate(stream, z::Z_SYNC_FLUSH) }, 0);
            output.len() - stream.avail_out as usize
        }

        fn inflate(&mut self, compressed: &[u8], output: &mut [u8]) -> usize {
            // SAFETY: `new` initialized it.
            let stream = unsafe { self.inflate.assume_init_mut() };
            point(stream, compressed, output);
            // SAFETY: both slices outlive the call.
            assert_eq!(unsafe { z::inflate(stream, z::Z_SYNC_FLUSH) }, 0);
            output.len() - stream.avail_out as usize
        }
    }

    impl Drop for Ng {
        fn drop(&mut self) {
            // SAFETY: they were begun in `new`.
            unsafe {
                z::deflateEnd(self.deflate.as_mut_ptr());
                z::inflateEnd(self.inflate.as_mut_ptr());
            }
        }
    }
}
