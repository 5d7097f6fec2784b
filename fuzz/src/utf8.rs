//! The validator against `std`, whole and in pieces.

use sockeye::utf8::Validator;

use super::wire::{Cuts, Source};

/// A byte that says how the text is cut, and the text.
pub fn check(data: &[u8]) {
    let mut source = Source(data);
    let cuts = Cuts::new(source.byte());
    let text = source.0;
    for mut cuts in [Cuts::Whole, cuts] {
        assert_eq!(validate(cuts.pieces(text)), expected(text));
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Valid,
    /// The text ends inside a code point.
    Unfinished,
    /// The first byte that cannot be there.
    InvalidAt(usize),
}

fn validate(pieces: Vec<&[u8]>) -> Verdict {
    let mut validator = Validator::new();
    let mut before = 0;
    for piece in pieces {
        if let Err(error) = validator.push(piece) {
            assert!(validator.push(b"a").is_err(), "a failure lasts");
            assert!(validator.finish().is_err());
            assert!(validator.push(b"a").is_ok(), "until the next text");
            return Verdict::InvalidAt(before + error.position());
        }
        before += piece.len();
    }
    let is_boundary = validator.is_boundary();
    assert_eq!(validator.finish().is_ok(), is_boundary);
    if is_boundary {
        Verdict::Valid
    } else {
        Verdict::Unfinished
    }
}

/// `std` tells where the code point begins, and how many of its bytes could be there: the next one
/// is it, the first that cannot (RFC 3629 section 4).
fn expected(text: &[u8]) -> Verdict {
    let Err(error) = std::str::from_utf8(text) else {
        return Verdict::Valid;
    };
    let Some(len) = error.error_len() else {
        return Verdict::Unfinished;
    };
    let start = error.valid_up_to();
    // A byte that begins nothing is wrong itself; otherwise the one behind those that could be.
    let begins = matches!(text[start], 0xC2..=0xF4);
    Verdict::InvalidAt(if begins { start + len } else { start })
}
