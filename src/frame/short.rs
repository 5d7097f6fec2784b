//! The header of a short message, which most are.

/// The header of a text or binary message in one frame of less than 64 KiB, with its size: 2 to 8 of
/// the bytes. The first byte of the key is its lowest: as an array it would go through memory.
#[inline(always)]
pub(crate) fn short_header(is_text: bool, len: u16, key: Option<u32>) -> ([u8; 8], usize) {
    let first = if is_text { 0x81_u64 } else { 0x82 };
    let (mask_bit, key, key_len) = match key {
        Some(key) => (0x80, u64::from(key), 4),
        None => (0, 0, 0),
    };
    // An integer with the first byte lowest.
    let (rest, size) = if len < 126 {
        (u64::from(len) | mask_bit | key << 8, 2)
    } else {
        let len = u64::from(len.swap_bytes());
        (126 | mask_bit | len << 8 | key << 24, 4)
    };
    ((first | rest << 8).to_le_bytes(), size + key_len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{Header, OpCode};

    proptest! {
        #[test]
        fn is_a_header(is_text: bool, len: u16, key: Option<[u8; 4]>) {
            let opcode = if is_text { OpCode::Text } else { OpCode::Binary };
            let header = Header::new(opcode, len.into());
            let header = key.map_or(header, |key| header.with_mask(key));
            let (bytes, size) = short_header(is_text, len, key.map(u32::from_le_bytes));
            prop_assert_eq!(&bytes[..size], &*header.encode());
        }
    }

    #[test]
    fn is_a_header_where_the_size_changes() {
        for len in [0, 1, 125, 126, 127, 255, 256, u16::MAX] {
            for key in [None, Some([1, 2, 3, 4])] {
                let header = Header::new(OpCode::Text, len.into());
                let header = key.map_or(header, |key| header.with_mask(key));
                let (bytes, size) = short_header(true, len, key.map(u32::from_le_bytes));
                assert_eq!(bytes[..size], *header.encode());
            }
        }
    }
}
