//! Which fault of a compressed message is reported must not depend on how its bytes are cut.

use sockeye::{CapacityError, Config, Deflate, Error, Limits};

use crate::wire::*;

fn limited(max: u64) -> Config {
    let limits = Limits::new().with_max_message_size(max);
    with_deflate(Deflate::server()).with_limits(limits)
}

/// A stored block that is not the last one.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let len = bytes.len() as u16;
    [&[0][..], &len.to_le_bytes(), &(!len).to_le_bytes(), bytes].concat()
}

/// A text message inflates to a byte that is not UTF-8, and then breaks off. Read at once, the fault
/// of the compression was reported and what came before it was never looked at; read byte by byte,
/// the text failed first. Both are close code 1007.
#[test]
fn regression_text_that_fails_before_its_compression_does() {
    // A stored block with 0xFF, then a block of the reserved kind.
    let payload = [stored(b"\xFF"), vec![0x07]].concat();
    for role in BOTH {
        let frames = to(*role, &frame(0xC1, &payload));
        let outcome = feed_with(*role, &limited(100), &frames);
        assert_eq!(outcome.error, Some(Error::InvalidUtf8));
    }
}

/// A text message inflates to more than the limit, and what is below the limit is not UTF-8. Read
/// at once, the size was reported with close code 1009; read byte by byte, the text with 1007.
#[test]
fn regression_text_that_fails_before_it_is_too_long() {
    let payload = [stored(b"\xFFabcdefghijklmnopqrst"), vec![0]].concat();
    for role in BOTH {
        let frames = to(*role, &frame(0xC1, &payload));
        let outcome = feed_with(*role, &limited(10), &frames);
        assert_eq!(outcome.error, Some(Error::InvalidUtf8));
    }
}

/// A message begins with what compresses a thousandfold and goes on with what does not compress, so
/// that as a whole it is well within the ratio. Read at once it was delivered; in pieces it was
/// refused as soon as its beginning had been read.
#[test]
fn regression_a_ratio_that_depends_on_reads() {
    let mut message = compress(&[0; 70_000]);
    message.extend(stored(&(0..20_000u32).map(|n| n as u8).collect::<Vec<_>>()));
    message.push(0);
    let limits = Limits::new().with_max_inflate_ratio(Some(20));
    let config = with_deflate(Deflate::server()).with_limits(limits);
    for role in BOTH {
        let frames = to(*role, &frame(0xC2, &message));
        let outcome = feed_with(*role, &config, &frames);
        assert_ne!(
            outcome.error,
            Some(CapacityError::RatioTooHigh.into()),
            "{role:?}"
        );
    }
}

/// The ratio counted what the header of a frame declared, so who declared much could send a bomb that
/// was above it by any factor. (The frame does not have to end: the message is refused before.)
#[test]
fn regression_a_ratio_that_goes_by_what_is_declared() {
    let mut bomb = compress(&vec![0; 4 << 20]);
    bomb.truncate(4000);
    let limits = Limits::new().with_max_inflate_ratio(Some(20));
    let config = with_deflate(Deflate::server()).with_limits(limits);
    for role in BOTH {
        let mut frames = frame(0xC2, vec![0; 1 << 20]);
        frames.truncate(frames.len() - (1 << 20));
        frames.extend(&bomb);
        let outcome = feed_with(*role, &config, &to(*role, &frames));
        assert_eq!(outcome.error, Some(CapacityError::RatioTooHigh.into()));
    }
}

/// However the message is cut into frames and reads, with parts that compress well anywhere in it.
#[test]
fn the_ratio_is_the_same_for_all_cuts() {
    for (front, middle, end) in [
        (0, 3000, 400_000),
        (1000, 5000, 90_000),
        (9000, 3200, 81_000),
    ] {
        for ratio in [1, 10, 20, 25, 40] {
            let noise = |len: u32| -> Vec<u8> {
                (0..len)
                    .map(|n| (n.wrapping_mul(0x9E37_79B9) >> 24) as u8)
                    .collect()
            };
            let mut message = compress(&vec![1; front]);
            message.extend(stored(&noise(middle)));
            message.extend(compress(&vec![2; end]));
            message.push(0);
            let limits = Limits::new().with_max_inflate_ratio(Some(ratio));
            let config = with_deflate(Deflate::server()).with_limits(limits);
            for role in BOTH {
                let whole = to(*role, &frame(0xC2, &message));
                feed_with(*role, &config, &whole);
                let (first, second) = message.split_at(message.len() / 3);
                let cut = [frame(0x42, first), frame(0x80, second)].concat();
                feed_with(*role, &config, &to(*role, &cut));
            }
        }
    }
}

/// A compressed message, less the end of its last block.
fn compress(message: &[u8]) -> Vec<u8> {
    let mut conn = connection(Role::Server, &with_deflate(Deflate::client()));
    conn.send_with(message, sockeye::Compress::Always).unwrap();
    let mut payload = parse(Role::Server, &drain(&mut conn)).remove(0).payload;
    // The flush's empty block, whose last four bytes are not sent: they are put back.
    payload.extend([0, 0, 0xFF, 0xFF]);
    payload
}
