//! What an application sends.

use sockeye::Kind;

use super::super::wire::Got;

/// What one side's application sent, as far as it was accepted.
#[derive(Default)]
pub struct Script {
    pub messages: Vec<Got>,
    pub fragments: Option<(Kind, Vec<u8>)>,
    pub count: usize,
    /// Something happened that may lose messages.
    pub is_cut: bool,
}

impl Script {
    /// A payload unlike the others: half of it repeats itself.
    pub fn payload(&mut self, len: usize) -> Vec<u8> {
        self.count += 1;
        let mut state = (self.count as u32).wrapping_mul(0x9E37_79B9);
        let byte = |index: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = (state >> 24) as usize % 26;
            b'a' + if index & 64 == 0 { index % 26 } else { random } as u8
        };
        (0..len).map(byte).collect()
    }

    pub fn accept(&mut self, kind: Kind, payload: Vec<u8>) {
        assert!(self.fragments.is_none());
        self.messages.push(match kind {
            Kind::Text => Got::Text(String::from_utf8(payload).unwrap()),
            Kind::Binary => Got::Binary(payload),
        });
    }
}
