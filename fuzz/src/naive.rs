//! Frames the slow and obvious way (RFC 6455 section 5.2), sharing nothing with the crate.

use sockeye::ProtocolError;

pub const RSV1: u8 = 0x40;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub first: u8,
    pub key: Option<[u8; 4]>,
    /// Unmasked.
    pub payload: Vec<u8>,
}

/// How a sequence of frames ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Clean,
    /// Inside a header.
    InHeader,
    /// Inside the payload of a frame that has this first byte, with what came of it.
    InPayload(Frame, u64),
    /// At a fault, which shows when so many bytes have been read.
    Fault(ProtocolError, usize),
}

/// Reads all frames. `masked` is what they must be, or else either; `reserved` are the reserved bits
/// that are allowed on the first frame of a message.
pub fn frames(bytes: &[u8], masked: Option<bool>, reserved: u8) -> (Vec<Frame>, End) {
    let mut frames = Vec::new();
    let mut at = 0;
    loop {
        if at == bytes.len() {
            return (frames, End::Clean);
        }
        let rest = &bytes[at..];
        let (len, key, header) = match header(rest, masked, reserved) {
            Ok(Some(header)) => header,
            Ok(None) => return (frames, End::InHeader),
            Err((error, seen)) => return (frames, End::Fault(error, at + seen)),
        };
        let there = (rest.len() - header) as u64;
        let payload = rest[header..][..len.min(there) as usize].iter();
        let key_of = key.unwrap_or_default();
        let payload = payload
            .enumerate()
            .map(|(index, byte)| byte ^ key_of[index % 4]);
        let frame = Frame {
            first: rest[0],
            key,
            payload: payload.collect(),
        };
        if len > there {
            return (frames, End::InPayload(frame, len - there));
        }
        frames.push(frame);
        at += header + len as usize;
    }
}

/// The length of the payload, the key, and the length of the header; or what is wrong, and how many
/// bytes show it.
type Header = Result<Option<(u64, Option<[u8; 4]>, usize)>, (ProtocolError, usize)>;

fn header(bytes: &[u8], must_mask: Option<bool>, reserved: u8) -> Header {
    let first = bytes[0];
    let opcode = first & 0x0F;
    let is_control = opcode >= 8;
    if !matches!(opcode, 0 | 1 | 2 | 8 | 9 | 10) {
        return Err((ProtocolError::ReservedOpcode, 1));
    }
    let allowed = if opcode == 1 || opcode == 2 {
        reserved
    } else {
        0
    };
    if first & 0x70 & !allowed != 0 {
        return Err((ProtocolError::ReservedBits, 1));
    }
    if is_control && first & 0x80 == 0 {
        return Err((ProtocolError::FragmentedControl, 1));
    }
    let Some(second) = bytes.get(1) else {
        return Ok(None);
    };
    let masked = second & 0x80 != 0;
    match must_mask {
        Some(true) if !masked => return Err((ProtocolError::Unmasked, 2)),
        Some(false) if masked => return Err((ProtocolError::Masked, 2)),
        _ => {}
    }
    let short = second & 0x7F;
    if is_control && short > 125 {
        return Err((ProtocolError::ControlTooLong, 2));
    }
    let extended = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let there = &bytes[2..bytes.len().min(2 + extended)];
    if extended == 8 && there.first().is_some_and(|byte| *byte >= 0x80) {
        return Err((ProtocolError::LengthMsb, 3));
    }
    // A length below 2^16 shows when the six bytes above are there and zero.
    if extended == 8 && there.len() >= 6 && there[..6] == [0; 6] {
        return Err((ProtocolError::NonMinimalLength, 8));
    }
    if extended == 2 && there.len() == 2 && there[0] == 0 && there[1] < 126 {
        return Err((ProtocolError::NonMinimalLength, 4));
    }
    if there.len() < extended {
        return Ok(None);
    }
    let len = match extended {
        0 => u64::from(short),
        _ => there
            .iter()
            .fold(0, |len, byte| len << 8 | u64::from(*byte)),
    };
    let header = 2 + extended;
    if !masked {
        return Ok(Some((len, None, header)));
    }
    match bytes.get(header..header + 4) {
        Some(key) => Ok(Some((len, Some(key.try_into().unwrap()), header + 4))),
        None => Ok(None),
    }
}

/// A frame as the peer of a server sends it, or of a client.
pub fn encode(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let key = [0x12, 0x34, 0x56, 0x78];
    let mask = if masked { 0x80 } else { 0 };
    let len = payload.len();
    let mut frame = vec![first];
    match len {
        0..126 => frame.push(mask | len as u8),
        126..0x1_0000 => {
            frame.push(mask | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        _ => {
            frame.push(mask | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    if !masked {
        frame.extend(payload);
        return frame;
    }
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b));
    frame
}
