//! What is sent: words without much sense, as compressible as text is.

use sockeye::bytes::Bytes;
use sockeye::{Message, Text};

/// So many bytes lie between the first and the last message's beginning in the pool.
const SPREAD: usize = 64 * 1024;

/// Messages of one size that differ from each other, cut out of the same memory.
#[derive(Debug)]
pub(super) struct Payloads {
    pool: Bytes,
    size: usize,
    is_text: bool,
}

impl Payloads {
    pub(super) fn new(size: usize, is_text: bool) -> Self {
        let words = [
            "\"time\":",
            "\"price\":",
            "\"symbol\":",
            "\"side\":",
            "\"buy\",",
            "\"sell\",",
            "{",
            "},",
            "0.",
            "1",
            "42",
            "7",
            "983",
            "ABC",
            "XYZ",
            ",",
        ];
        let mut pool = String::with_capacity(size + SPREAD + 16);
        let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
        while pool.len() < size + SPREAD {
            // Knuth's MMIX generator; its upper bits are good.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let word = words.get((random >> 60) as usize);
            pool.push_str(word.unwrap_or(&""));
        }
        Self {
            pool: pool.into(),
            size,
            is_text,
        }
    }

    /// The message with this number of a connection.
    pub(super) fn message(&self, connection: usize, number: u64) -> Message<'static> {
        let payload = self.payload(connection, number);
        if self.is_text
            && let Ok(text) = Text::from_utf8(payload.clone())
        {
            return text.into();
        }
        payload.into()
    }

    /// Whether this answers the message with this number.
    pub(super) fn is_answer(&self, answer: &Message<'_>, connection: usize, number: u64) -> bool {
        answer.as_text().is_some() == self.is_text
            && answer.as_bytes() == &*self.payload(connection, number)
    }

    fn payload(&self, connection: usize, number: u64) -> Bytes {
        let number = usize::try_from(number).unwrap_or(0);
        let at = number.wrapping_mul(311).wrapping_add(connection * 1013) % SPREAD;
        self.pool.slice(at..at + self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_any_size() {
        for size in [0, 1, 125, 126, 65_536, 1 << 20] {
            for is_text in [false, true] {
                let payloads = Payloads::new(size, is_text);
                let message = payloads.message(3, u64::MAX);
                assert_eq!(message.len(), size);
                assert_eq!(message.as_text().is_some(), is_text);
                assert!(payloads.is_answer(&message, 3, u64::MAX));
                assert_eq!(payloads.is_answer(&message, 3, 1), size == 0);
            }
        }
    }
}
