//! What an application sends.

use sockeye::Kind;

use super::super::wire::Got;
use super::op::Class;

/// What the payloads of a class begin with; those of normal messages with something else.
pub const MARKS: [Option<u8>; 4] = [None, Some(b'U'), Some(b'H'), Some(b'B')];

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

    /// A payload of at least one byte that tells its class, if that is not the normal one.
    pub fn marked_payload(&mut self, class: Option<Class>, len: usize) -> Vec<u8> {
        let mark = match class {
            None => return self.payload(len),
            Some(Class::Urgent) => b'U',
            Some(Class::High) => b'H',
            Some(Class::Bulk) => b'B',
        };
        let mut payload = self.payload(len.max(1));
        payload[0] = mark;
        payload
    }

    pub fn accept(&mut self, kind: Kind, payload: Vec<u8>) {
        assert!(self.fragments.is_none());
        self.messages.push(match kind {
            Kind::Text => Got::Text(String::from_utf8(payload).unwrap()),
            Kind::Binary => Got::Binary(payload),
        });
    }
}

/// The messages of one class.
pub fn marked(messages: &[Got], mark: Option<u8>) -> Vec<&Got> {
    let mark_of = |message: &Got| {
        let first = match message {
            Got::Text(text) => text.as_bytes().first(),
            Got::Binary(bytes) => bytes.first(),
            _ => None,
        };
        first.copied().filter(u8::is_ascii_uppercase)
    };
    let messages = messages.iter();
    messages
        .filter(|message| mark_of(message) == mark)
        .collect()
}
