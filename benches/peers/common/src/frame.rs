//! Frames, the obvious way: what the implementations under test are compared with.

pub const FIN: u8 = 0x80;
pub const RSV1: u8 = 0x40;
pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;

const MASKED: u8 = 0x80;

/// Appends a frame; `first` is its first byte.
pub fn push_frame(out: &mut Vec<u8>, first: u8, payload: &[u8], key: Option<[u8; 4]>) {
    let masked = if key.is_some() { MASKED } else { 0 };
    let len = payload.len();
    out.push(first);
    if len < 126 {
        out.push(masked | len as u8);
    } else if len <= usize::from(u16::MAX) {
        out.push(masked | 126);
        out.extend_from_slice(&(len as u16).to_be_bytes());
    } else {
        out.push(masked | 127);
        out.extend_from_slice(&(len as u64).to_be_bytes());
    }
    out.extend(key.into_iter().flatten());
    let at = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = key {
        mask(&mut out[at..], key);
    }
}

/// Splits whole frames into first byte and unmasked payload.
pub fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let extended = |size: usize| {
            let (len, rest) = rest.split_at(size);
            (
                len.iter()
                    .fold(0, |len, byte| len << 8 | usize::from(*byte)),
                rest,
            )
        };
        let (len, mut rest) = match second & !MASKED {
            126 => extended(2),
            127 => extended(8),
            len => (usize::from(len), rest),
        };
        let mut key = None;
        if second & MASKED != 0 {
            let (first, after) = rest.split_first_chunk().expect("whole frames");
            (key, rest) = (Some(*first), after);
        }
        let (payload, after) = rest.split_at(len);
        let mut payload = payload.to_vec();
        if let Some(key) = key {
            mask(&mut payload, key);
        }
        frames.push((*first, payload));
        bytes = after;
    }
    frames
}

/// Splits whole messages into first byte and unmasked payload, with the fragments joined.
pub fn messages(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut messages: Vec<(u8, Vec<u8>)> = Vec::new();
    for (first, payload) in frames(bytes) {
        match messages.last_mut() {
            Some((_, message)) if first & 0x0f == CONTINUATION => message.extend(payload),
            _ => messages.push((first, payload)),
        }
    }
    messages
}

fn mask(payload: &mut [u8], key: [u8; 4]) {
    let (words, rest) = payload.as_chunks_mut::<4>();
    for word in words {
        for (byte, key) in word.iter_mut().zip(key) {
            *byte ^= key;
        }
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_is_split() {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for len in [0, 125, 126, 65_535, 65_536] {
            for key in [None, Some([1, 2, 3, 4])] {
                push_frame(&mut bytes, FIN | BINARY, &vec![7; len], key);
                expected.push((FIN | BINARY, vec![7; len]));
            }
        }
        assert!(frames(&bytes) == expected);
    }

    #[test]
    fn fragments_are_joined() {
        let mut bytes = Vec::new();
        push_frame(&mut bytes, TEXT, b"ab", None);
        push_frame(&mut bytes, FIN | CONTINUATION, b"c", Some([9; 4]));
        push_frame(&mut bytes, FIN | BINARY, b"d", None);
        let expected = [(TEXT, b"abc".to_vec()), (FIN | BINARY, b"d".to_vec())];
        assert_eq!(messages(&bytes), expected);
    }
}
