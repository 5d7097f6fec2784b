//! The codec against the RFC's examples, malformed streams, and itself.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::config::{Deflate, Memory};

const MEMORIES: [Memory; 3] = [Memory::Retained, Memory::Window, Memory::NoTakeover];

fn inflate_message(
    inflater: &mut Inflater,
    mut input: &[u8],
    chunk: usize,
) -> Result<Vec<u8>, InvalidDeflate> {
    let mut all = Vec::new();
    let mut buffer = vec![0; chunk];
    // A message is put together, or handed out in pieces.
    let mut unnoted = Vec::new();
    let notes = chunk % 2 == 1;
    loop {
        let (count, result) = inflater.inflate(&mut input, &unnoted, &mut buffer);
        result?;
        let piece = &buffer[..count];
        all.extend_from_slice(piece);
        if notes {
            inflater.note(piece);
        } else {
            unnoted.extend_from_slice(piece);
        }
        if input.is_empty() && count < buffer.len() {
            inflater.finish(&unnoted)?;
            return Ok(all);
        }
    }
}

fn inflater(memory: Memory) -> Inflater {
    Inflater::new(memory, memory != Memory::NoTakeover, 15, None)
}

#[test]
fn d_01_d_02_d_08_the_examples_of_the_rfc() {
    for memory in MEMORIES {
        for message in [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            &[
                0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
            ],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[
                0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
            ],
        ] {
            let mut inflater = inflater(memory);
            assert_eq!(
                inflate_message(&mut inflater, message, 100).unwrap(),
                b"Hello",
                "{message:x?}"
            );
            assert_eq!(inflate_message(&mut inflater, &[0x00], 100).unwrap(), b"");
            // The second Hello refers back to the first, over a block with BFINAL as well.
            let again = inflate_message(&mut inflater, &[0xf2, 0x00, 0x11, 0x00, 0x00], 100);
            match memory {
                Memory::NoTakeover => assert_eq!(again, Err(InvalidDeflate)),
                Memory::Retained | Memory::Window => {
                    assert_eq!(again.unwrap(), b"Hello", "{memory:?} {message:x?}")
                }
            }
        }
    }
}

#[test]
fn d_10_to_d_17_malformed() {
    for memory in MEMORIES {
        for message in [
            &[][..],
            &[
                0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff,
            ],
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07],
            &[0xf2, 0x48, 0xcd],
            &[0x07],
            &[0xff; 6],
            &[0x00, 0x05, 0x00, 0x00, 0x00],
            &[0xf2, 0x00, 0x11, 0x00, 0x00],
        ] {
            assert_eq!(
                inflate_message(&mut inflater(memory), message, 7),
                Err(InvalidDeflate),
                "{message:x?}"
            );
        }
    }
}

#[test]
fn every_truncation_is_found() {
    let text: Vec<u8> = (0..3000u32)
        .flat_map(|n| {
            alloc::format!("{{\"id\":{n},\"name\":\"n{}\"}}", n * 7919 % 1000).into_bytes()
        })
        .collect();
    for level in [1, 6, 9] {
        let mut deflater = Deflater::new(&Deflate::client().with_level(level), true, 15);
        let mut message = Vec::new();
        assert!(deflater.message(&text[..4000], true, &mut message));
        for memory in MEMORIES {
            for end in 0..message.len() {
                assert_eq!(
                    inflate_message(&mut inflater(memory), &message[..end], 512),
                    Err(InvalidDeflate),
                    "{end} of {}",
                    message.len()
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_compressed_is_inflated(
        bits in 9u8..=15,
        level in 1u8..=9,
        send in 0usize..3,
        receive in 0usize..3,
        chunk in 1usize..400,
        messages in prop::collection::vec((prop::collection::vec(0u8..8, 0..700), 1usize..300, any::<bool>()), 1..12),
    ) {
        let (send, receive) = (MEMORIES[send], MEMORIES[receive]);
        let takeover = send != Memory::NoTakeover && receive != Memory::NoTakeover;
        let config = Deflate::server().with_send_memory(send).with_level(level);
        let mut deflater = Deflater::new(&config, takeover, bits);
        let mut inflater = Inflater::new(receive, takeover, bits, None);
        for (plaintext, fragment, whole) in &messages {
            let mut wire = Vec::new();
            if *whole {
                if !deflater.message(plaintext, true, &mut wire) {
                    continue;
                }
            } else {
                for piece in plaintext.chunks(*fragment) {
                    deflater.fragment(piece, false, &mut wire);
                }
                deflater.fragment(b"", true, &mut wire);
            }
            prop_assert!(!wire.ends_with(&[0, 0, 0xff, 0xff]));
            prop_assert_eq!(&inflate_message(&mut inflater, &wire, chunk).unwrap(), plaintext);
        }
    }
}

/// Messages of about 100 bytes that resemble each other.
fn quotes() -> impl Iterator<Item = alloc::string::String> {
    let mut state = 7_u64;
    let mut below = move |end: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % end
    };
    (0..200).map(move |id| {
        let kind = ["trade", "quote", "order"].get(usize::try_from(below(3)).unwrap());
        alloc::format!(
            r#"{{"id":{},"type":{:?},"price":{}.{:02},"size":{},"user":"{:06x}","flags":["new","live"]}}"#,
            1_000_000 + id,
            kind.unwrap(),
            below(900),
            below(100),
            below(5000),
            below(1 << 24),
        )
    })
}

/// A compressor that is primed with the window writes what the retained one would have written, or
/// less: up to level 6 zlib notes only some of the places inside a match, priming notes all.
#[test]
fn window_and_retained_stream_are_the_same_on_the_wire() {
    for level in [3, 6, 7, 9] {
        for bits in [9, 12, 15] {
            let total = |memory| {
                let config = Deflate::server().with_level(level).with_send_memory(memory);
                let mut deflater = Deflater::new(&config, true, bits);
                let messages = quotes().map(|message| {
                    let mut output = Vec::new();
                    assert!(deflater.message(message.as_bytes(), false, &mut output));
                    output
                });
                messages.collect::<Vec<_>>().concat()
            };
            let (retained, window) = (total(Memory::Retained), total(Memory::Window));
            assert!(window.len() <= retained.len(), "{level} {bits}");
            assert_eq!(window == retained, level >= 7, "{level} {bits}");
        }
    }
}
