//! The header that most frames have, read in one look.

/// A text or binary message in one frame that lies whole in some bytes.
///
/// [`Decoder`](super::Decoder) and [`Header`](super::Header) know every frame; this knows the most
/// common ones, and is what a receiver looks for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) is_text: bool,
    /// Bytes of the header: the rest of the frame is payload.
    pub(crate) header_len: usize,
    /// Bytes of the frame.
    pub(crate) len: usize,
}

impl Whole {
    /// Looks at the frame in front of `bytes`. `None` is no verdict: it may be another kind of
    /// frame, incomplete, or against the rules.
    #[inline(always)]
    pub(crate) fn decode(bytes: &[u8], is_masked: bool) -> Option<Self> {
        #[cfg(test)]
        crate::steps::looked_at(bytes.len().min(super::Header::MAX_LEN));
        let [first, second] = *bytes.first_chunk()?;
        // RFC 6455 section 5.2: FIN, no reserved bit, opcode 1 or 2.
        let is_text = match first {
            0x81 => true,
            0x82 => false,
            _ => return None,
        };
        let (mask_bit, key_len) = if is_masked { (0x80, 4_usize) } else { (0, 0) };
        // 6455-5.1-03, 6455-5.1-06: with the wrong MASK bit this is above 127.
        let (size, payload_len) = match second ^ mask_bit {
            short @ ..126 => (2, usize::from(short)),
            126 => {
                let len = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
                // 6455-5.2-08
                if len < 126 {
                    return None;
                }
                (4, usize::from(len))
            }
            127 => (10, long_len(bytes)?),
            128.. => return None,
        };
        let header_len = size + key_len;
        let len = header_len.checked_add(payload_len)?;
        (len <= bytes.len()).then_some(Self {
            is_text,
            header_len,
            len,
        })
    }

    /// Bytes of payload.
    #[inline(always)]
    pub(crate) fn payload_len(self) -> usize {
        self.len - self.header_len
    }
}

/// A length of 64 bits that needs them (6455-5.2-07, 6455-5.2-08).
#[cold]
fn long_len(bytes: &[u8]) -> Option<usize> {
    let len = u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
    usize::try_from(len).ok().filter(|len| *len > 0xffff)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::frame::{Header, OpCode, Rules};

    /// What the decoder of all headers makes of it.
    fn by_header(bytes: &[u8], is_masked: bool) -> Option<Whole> {
        let rules = match is_masked {
            true => Rules::server(),
            false => Rules::client(),
        };
        let (header, header_len) = Header::decode(bytes, &rules).ok()??;
        let is_text = match header.opcode {
            OpCode::Text => true,
            OpCode::Binary => false,
            OpCode::Continuation | OpCode::Close | OpCode::Ping | OpCode::Pong => return None,
        };
        let len = header_len.checked_add(usize::try_from(header.len).ok()?)?;
        (header.fin && len <= bytes.len()).then_some(Whole {
            is_text,
            header_len,
            len,
        })
    }

    proptest! {
        #[test]
        fn agrees_with_the_header(
            first: u8,
            second: u8,
            len in prop_oneof![0..300_u64, 65_500..65_600_u64, any::<u64>()],
            extra in 0..4_usize,
            missing in 0..3_usize,
            is_masked: bool,
        ) {
            let short = second & 0x7f;
            let mut bytes = [&[first, second][..], &match short {
                126 => len.to_be_bytes()[6..].to_vec(),
                127 => len.to_be_bytes().to_vec(),
                _ => Vec::new(),
            }].concat();
            let payload = match short {
                126 => len & 0xffff,
                127 => len.min(70_000),
                short => u64::from(short),
            };
            let payload = usize::try_from(payload).unwrap();
            bytes.resize(bytes.len() + 4 + payload + extra, 7);
            bytes.truncate(bytes.len() - missing);
            let whole = Whole::decode(&bytes, is_masked);
            prop_assert_eq!(whole, by_header(&bytes, is_masked));
        }
    }
}
