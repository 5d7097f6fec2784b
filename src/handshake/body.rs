//! Reading the body of a refusal, as far as it is worth it.
//!
//! The connection ends with it, so nothing here needs to find the end of the message for the sake
//! of a next one: whatever is out of order just cuts the body off.

use alloc::vec::Vec;
use core::fmt;

use crate::http::{Name, Response};
use crate::input::Input;

/// How the body of a response ends (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug)]
enum Framing {
    /// After so many more bytes.
    Length(u64),
    Chunked(Chunk),
    /// With the transport.
    UntilEof,
    /// Nobody can tell.
    Broken,
}

/// Where in the chunked coding the next byte is (RFC 9112 section 7.1).
#[derive(Clone, Copy, Debug)]
enum Chunk {
    /// In the size.
    Size { size: u64, digits: u8 },
    /// In an extension, or the end of the line.
    Extension { size: u64 },
    /// In the data, with so many bytes to go.
    Data(u64),
    /// In the end of the line after the data.
    DataEnd,
    /// Behind the last chunk. There may be trailers, which nobody asked for.
    Done,
}

/// A body that is still arriving.
pub(super) struct BodyReader {
    framing: Framing,
    /// INVARIANT: at most `max` long.
    bytes: Vec<u8>,
    max: usize,
    is_cut: bool,
}

impl BodyReader {
    /// For the body of `response`, of which at most `max` bytes are kept.
    pub(super) fn new(response: &Response, is_old: bool, max: usize) -> Self {
        Self {
            framing: Framing::of(response, is_old),
            bytes: Vec::new(),
            max,
            is_cut: false,
        }
    }

    /// Takes bytes of the body. Returns whether it ends here, for whatever reason.
    pub(super) fn read(&mut self, input: &mut Input<'_>) -> bool {
        while !self.is_over() && !input.is_empty() {
            match &mut self.framing {
                Framing::Length(left) => {
                    let len = at_most(*left, input.len());
                    *left -= len as u64;
                    self.keep(input, len);
                }
                Framing::Chunked(Chunk::Data(left)) => {
                    let len = at_most(*left, input.len());
                    *left -= len as u64;
                    if *left == 0 {
                        self.framing = Framing::Chunked(Chunk::DataEnd);
                    }
                    self.keep(input, len);
                }
                Framing::Chunked(chunk) => {
                    let next = input.take(1).first().and_then(|byte| chunk.step(*byte));
                    self.framing = next.map_or(Framing::Broken, Framing::Chunked);
                }
                Framing::UntilEof => self.keep(input, input.len()),
                Framing::Broken => {}
            }
        }
        self.is_over()
    }

    /// What arrived, and whether it is all, given that the transport has ended or not.
    pub(super) fn finish(&mut self, is_eof: bool) -> (Vec<u8>, bool) {
        let is_whole = match self.framing {
            Framing::Length(0) | Framing::Chunked(Chunk::Done) => true,
            Framing::UntilEof => is_eof,
            Framing::Length(_) | Framing::Chunked(_) | Framing::Broken => false,
        };
        (core::mem::take(&mut self.bytes), is_whole && !self.is_cut)
    }

    fn is_over(&self) -> bool {
        self.is_cut
            || matches!(
                self.framing,
                Framing::Length(0) | Framing::Chunked(Chunk::Done) | Framing::Broken
            )
    }

    fn keep(&mut self, input: &mut Input<'_>, len: usize) {
        let room = self.max - self.bytes.len();
        self.is_cut = len > room;
        let kept = input.take(len.min(room));
        let needed = self.bytes.len() + kept.len();
        if needed > self.bytes.capacity() {
            let capacity = (2 * self.bytes.capacity()).min(self.max).max(needed);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(kept);
    }
}

impl Framing {
    fn of(response: &Response, is_old: bool) -> Self {
        let fields = response.fields();
        if matches!(response.status(), 204 | 304) {
            return Self::Length(0);
        }
        let mut codings = fields.all(Name::TransferEncoding);
        if let Some(coding) = codings.next().filter(|_| !is_old) {
            let is_chunked = coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
            return if is_chunked {
                Self::Chunked(Chunk::START)
            } else {
                Self::UntilEof
            };
        }
        let mut lengths = fields.all(Name::ContentLength);
        match (lengths.next(), lengths.next()) {
            (None, _) => Self::UntilEof,
            (Some(length), None) => parse_length(length).map_or(Self::Broken, Self::Length),
            (Some(_), Some(_)) => Self::Broken,
        }
    }
}

impl Chunk {
    const START: Self = Self::Size { size: 0, digits: 0 };

    /// The place after `byte`; `None` if it must not be here.
    fn step(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16)?;
                // HARDENING A1.18: more digits would overflow.
                (digits < 15).then_some(Self::Size {
                    size: size << 4 | u64::from(digit),
                    digits: digits + 1,
                })
            }
            (Self::Size { size, digits: 1.. }, b';' | b' ' | b'\t' | b'\r') => {
                Some(Self::Extension { size })
            }
            (Self::Extension { size: 0 }, b'\n') => Some(Self::Done),
            (Self::Extension { size }, b'\n') => Some(Self::Data(size)),
            (Self::Extension { size }, _) => Some(Self::Extension { size }),
            (Self::DataEnd, b'\r') => Some(Self::DataEnd),
            (Self::DataEnd, b'\n') => Some(Self::START),
            (Self::Size { .. } | Self::DataEnd | Self::Data(_) | Self::Done, _) => None,
        }
    }
}

/// Digits only: no sign, no list (HARDENING A1.18).
fn parse_length(bytes: &[u8]) -> Option<u64> {
    if bytes.iter().all(u8::is_ascii_digit) {
        core::str::from_utf8(bytes).ok()?.parse().ok()
    } else {
        None
    }
}

fn at_most(left: u64, len: usize) -> usize {
    usize::try_from(left).map_or(len, |left| left.min(len))
}

impl fmt::Debug for BodyReader {
    /// Not the bytes: debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader")
            .field("framing", &self.framing)
            .field("len", &self.bytes.len())
            .field("max", &self.max)
            .field("is_cut", &self.is_cut)
            .finish()
    }
}
