//! Inflating the messages of one connection (RFC 7692 section 7.2.2).

use core::fmt;
use core::time::Duration;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::pool;
use super::release::Release;
use super::window::Window;
use crate::config::{MAX_WINDOW_BITS, MIN_WINDOW_BITS, Memory};
use crate::time::Instant;

/// What a compressor removed from the end of a message (7692-7.2.2-01), and one byte that must be
/// left over.
const TAIL_AND_ONE: [u8; 5] = [0x00, 0x00, 0xFF, 0xFF, 0x00];

/// A block with BFINAL costs the peer two bytes and this side a copy of the window, because zlib
/// has to start anew. So many copied bytes are free in a message: 128 whole windows.
const FREE_COPIES: u64 = 4 << 20;

/// Beyond that, so many for each compressed byte: a quarter of what it could inflate to.
const COPIES_PER_BYTE: u64 = 256;

/// The bytes are no DEFLATE stream, or none that ends where the message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidDeflate;

/// Inflates the messages of one connection, one after the other.
pub(crate) struct Inflater {
    /// Present in the middle of a message, and between messages if it is retained.
    codec: Option<Inflate>,
    /// What was inflated last and noted, which the message that is put together is at its end only.
    /// It outlives the codec.
    window: Window,
    window_bits: u8,
    takeover: bool,
    retained: bool,
    release: Release,
    /// Something of the current message was taken in.
    begun: bool,
    /// Compressed bytes of the current message that were consumed.
    consumed: u64,
    /// Bytes of the window that were copied in the middle of the current message.
    copied: u64,
}

impl Inflater {
    /// `window_bits` is what the peer's compressor keeps to.
    pub(crate) fn new(
        memory: Memory,
        takeover: bool,
        window_bits: u8,
        idle_release: Option<Duration>,
    ) -> Self {
        Self {
            codec: None,
            window: Window::default(),
            // zlib has no window of 8 bits; a larger one does no harm. Numbers out of range come
            // from parameters that were made by hand.
            window_bits: window_bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS),
            takeover,
            retained: takeover && memory == Memory::Retained,
            release: Release::new(idle_release),
            begun: false,
            consumed: 0,
            copied: 0,
        }
    }

    /// Inflates from the front of `input` into `output`, and returns how much of `output` was
    /// filled, which may be something before a fault as well. `before` is what came of the message
    /// and was not [noted](Self::note): all of it, if it is put together.
    ///
    /// All that there is to be had has been had when `input` is empty and `output` was not filled.
    pub(crate) fn inflate(
        &mut self,
        input: &mut &[u8],
        before: &[u8],
        output: &mut [u8],
    ) -> (usize, Result<(), InvalidDeflate>) {
        self.begun |= !input.is_empty();
        let mut filled = 0;
        loop {
            let Some((done, room)) = output.split_at_mut_checked(filled) else {
                return (filled, Ok(()));
            };
            if room.is_empty() {
                return (filled, Ok(()));
            }
            let step = self.step(input, [before, done], room, InflateFlush::NoFlush);
            *input = input.get(step.consumed..).unwrap_or_default();
            self.consumed += step.consumed as u64;
            let is_full = step.produced == room.len();
            filled += step.produced;
            match step.status {
                // 7692-7.2.1-04: after a block with BFINAL the next one goes on with the same
                // window.
                Ok(Status::StreamEnd) => {
                    let done = output.get(..filled).unwrap_or_default();
                    if let Err(error) = self.restart([before, done]) {
                        return (filled, Err(error));
                    }
                }
                Ok(Status::Ok | Status::BufError) if input.is_empty() || is_full => {
                    return (filled, Ok(()));
                }
                // If neither is the input at its end nor the output, it cannot go on.
                Ok(Status::Ok | Status::BufError) | Err(InvalidDeflate) => {
                    return (filled, Err(InvalidDeflate));
                }
            }
            if input.is_empty() {
                return (filled, Ok(()));
            }
        }
    }

    /// Notes a piece of a message that is not at hand any more when the next piece is inflated.
    pub(crate) fn note(&mut self, piece: &[u8]) {
        self.window.push(piece, 1 << self.window_bits);
    }

    /// Lets the next step go on from what was inflated.
    fn restart(&mut self, unnoted: [&[u8]; 2]) -> Result<(), InvalidDeflate> {
        let history = self.window.last(unnoted, 1 << self.window_bits);
        self.copied += history.iter().map(|part| part.len() as u64).sum::<u64>();
        if self.copied > FREE_COPIES + COPIES_PER_BYTE * self.consumed {
            return Err(InvalidDeflate);
        }
        self.release_codec();
        Ok(())
    }

    /// Ends a message, of which everything was inflated. `unnoted` is what was not
    /// [noted](Self::note) of it.
    pub(crate) fn finish(&mut self, unnoted: &[u8]) -> Result<(), InvalidDeflate> {
        // K7: a compressor always leaves at least one byte.
        if !core::mem::take(&mut self.begun) {
            return Err(InvalidDeflate);
        }
        (self.consumed, self.copied) = (0, 0);
        if self.takeover {
            self.note(unnoted);
        }
        // K8: a message ends between two blocks. zlib alone would take a truncated one, and fail at
        // the next. It stops between blocks when it is told to, so exactly the tail must go
        // in and nothing may come out.
        let step = self.step(&TAIL_AND_ONE, [&[], &[]], &mut [0], InflateFlush::Block);
        step.status?;
        if step.consumed != TAIL_AND_ONE.len() - 1 || step.produced != 0 {
            return Err(InvalidDeflate);
        }
        if !self.takeover {
            // Not only emptied: between messages there is nothing to keep.
            self.window = Window::default();
        }
        if self.retained {
            self.release.note_use();
        } else {
            self.release_codec();
        }
        Ok(())
    }

    /// Bytes that it holds now.
    pub(crate) fn held(&self) -> usize {
        let codec = self.codec.as_ref().map_or(0, |_| pool::INFLATE_SIZE);
        codec + self.window.len()
    }

    /// Compressed bytes of the current message that were consumed.
    pub(crate) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if at all.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.release
            .deadline()
            .filter(|_| self.retained && self.codec.is_some())
    }

    /// Gives a retained codec back that was not used for a while.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.begun {
            self.release.note_use();
        }
        if self.poll_timeout().is_some() && self.release.is_due(now) {
            self.shrink();
        }
    }

    /// Gives the codec back, if no message is under way. The window is enough to go on.
    pub(crate) fn shrink(&mut self) {
        if !self.begun {
            self.release_codec();
        }
    }

    /// Goes on, if need be with a new codec, which is told the window and what came since.
    fn step(
        &mut self,
        input: &[u8],
        unnoted: [&[u8]; 2],
        output: &mut [u8],
        flush: InflateFlush,
    ) -> Step {
        let codec = match &mut self.codec {
            Some(codec) => codec,
            empty => {
                let codec = if self.retained {
                    Inflate::new(false, self.window_bits)
                } else {
                    pool::take_inflate()
                };
                let codec = empty.insert(codec);
                for part in self.window.last(unnoted, 1 << self.window_bits) {
                    if !part.is_empty() {
                        // It fails only in the middle of a stream.
                        let _adler = codec.set_dictionary(part);
                    }
                }
                codec
            }
        };
        let (before_in, before_out) = (codec.total_in(), codec.total_out());
        let status = codec.decompress(input, output, flush);
        let difference = |after: u64, before: u64| usize::try_from(after - before).unwrap_or(0);
        let step = Step {
            status: status.map_err(|_| InvalidDeflate),
            consumed: difference(codec.total_in(), before_in),
            produced: difference(codec.total_out(), before_out),
        };
        #[cfg(test)]
        crate::steps::looked_at(step.consumed + step.produced);
        step
    }

    fn release_codec(&mut self) {
        if let Some(codec) = self.codec.take() {
            if !self.retained {
                pool::put_inflate(codec);
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Step {
    status: Result<Status, InvalidDeflate>,
    consumed: usize,
    produced: usize,
}

impl Drop for Inflater {
    fn drop(&mut self) {
        self.release_codec();
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("window_bits", &self.window_bits)
            .field("takeover", &self.takeover)
            .field("retained", &self.retained)
            .field("begun", &self.begun)
            .finish_non_exhaustive()
    }
}
