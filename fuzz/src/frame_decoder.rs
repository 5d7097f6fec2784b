//! The public decoder of frames against a naive one, whole and in pieces.

use sockeye::frame::{Decoder, Header, Masking, Rules};
use sockeye::{Input, ProtocolError};

use super::naive::{self, End, Frame, RSV1};
use super::wire::{Cuts, Source};

/// Flags: bits 0 and 1 who receives, bit 2 whether RSV1 is allowed, bit 3 whether the payload is
/// unmasked while it is copied. Then a byte that says how the frames are cut, and the frames.
pub fn check(data: &[u8]) {
    let mut source = Source(data);
    let flags = source.flags();
    let cuts = Cuts::new(source.byte());
    let (masking, masked) = match flags.number(0, 2) {
        0 => (Masking::Required, Some(true)),
        1 => (Masking::Forbidden, Some(false)),
        _ => (Masking::Any, None),
    };
    let (rsv, reserved) = if flags.bit(2) {
        (Header::RSV1, RSV1)
    } else {
        (0, 0)
    };
    let rules = Rules::new(masking).with_rsv(rsv);
    let expected = naive::frames(source.0, masked, reserved);
    for mut cuts in [Cuts::Whole, cuts] {
        let decoded = decode(rules, cuts.pieces(source.0), flags.bit(3));
        assert_eq!(decoded, expected);
    }
    for frame in &expected.0 {
        round_trip(frame, &rules);
    }
}

fn decode(rules: Rules, pieces: Vec<&[u8]>, copies: bool) -> (Vec<Frame>, End) {
    let mut decoder = Decoder::new(rules);
    let mut frames: Vec<Frame> = Vec::new();
    let mut before = 0;
    let mut in_header = false;
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        while !input.is_empty() {
            if decoder.remaining() == 0 {
                match decoder.header(&mut input) {
                    Ok(Some(header)) => {
                        assert_eq!(header.check(&rules), Ok(()));
                        frames.push(empty(&header));
                        in_header = false;
                    }
                    Ok(None) => {
                        assert!(input.is_empty());
                        in_header = true;
                        continue;
                    }
                    Err(error) => {
                        let at = before + input.consumed();
                        return (frames, fault(&mut decoder, &mut input, error, at));
                    }
                }
            }
            let payload = &mut frames.last_mut().unwrap().payload;
            if copies {
                let (piece, mask) = decoder.payload_masked(&mut input);
                let start = payload.len();
                payload.extend_from_slice(piece);
                if let Some(mut mask) = mask {
                    mask.copy(piece, &mut payload[start..]);
                }
            } else {
                payload.extend_from_slice(decoder.payload(&mut input));
            }
        }
        before += input.consumed();
    }
    let end = match decoder.remaining() {
        0 if in_header => End::InHeader,
        0 => End::Clean,
        left => End::InPayload(frames.pop().unwrap(), left),
    };
    (frames, end)
}

/// An error is sticky, and takes nothing more.
fn fault(decoder: &mut Decoder, input: &mut Input<'_>, error: ProtocolError, at: usize) -> End {
    let left = input.len();
    assert_eq!(decoder.header(input), Err(error));
    assert_eq!(input.len(), left);
    End::Fault(error, at)
}

fn empty(header: &Header) -> Frame {
    let fin = if header.fin { 0x80 } else { 0 };
    Frame {
        first: fin | header.rsv << 4 | header.opcode as u8,
        key: header.mask,
        payload: Vec::new(),
    }
}

/// What was decoded is encoded in the shortest form, and decoded to the same.
fn round_trip(frame: &Frame, rules: &Rules) {
    let plain = naive::encode(frame.first, &frame.payload, false);
    let header = Header::decode(&plain, &Rules::any().with_rsv(rules.rsv()));
    let (mut header, size) = header.unwrap().unwrap();
    assert_eq!(*header.encode(), plain[..size]);
    header.mask = frame.key;
    let bytes = header.encode();
    assert_eq!(bytes.len(), header.encoded_len());
    assert_eq!(
        Header::decode(&bytes, rules),
        Ok(Some((header, bytes.len())))
    );
}
