//! Compressing the messages of one connection (RFC 7692 section 7.2.1).

use core::fmt;

use alloc::vec::Vec;
use zlib_rs::{Deflate, DeflateFlush};

use super::pool::{self, Shape};
use super::release::Release;
use super::window::Window;
use crate::config::{self, Memory};
use crate::time::Instant;

/// What a flush leaves at its end, which is removed at the end of a message: an empty stored block
/// without its header.
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// The header of that block alone: a whole message of nothing (7692-7.2.3-01), or the end of one
/// that was flushed before.
const EMPTY: u8 = 0x00;

/// The output grows by no more than this at a time.
const MAX_STEP: usize = 64 * 1024;

/// Compresses the messages of one connection, one after the other.
pub(crate) struct Deflater {
    /// Present in the middle of a message, and between messages if it is retained and up to date
    /// with the window.
    codec: Option<Deflate>,
    /// The plaintext that was sent compressed. It outlives the codec.
    window: Window,
    shape: Shape,
    takeover: bool,
    retained: bool,
    release: Release,
    /// A message was begun with its first fragment and not ended.
    begun: bool,
}

impl Deflater {
    /// `window_bits` is what was agreed on, 9 to 15.
    pub(crate) fn new(config: &config::Deflate, takeover: bool, window_bits: u8) -> Self {
        Self {
            codec: None,
            window: Window::default(),
            shape: Shape {
                level: config.level(),
                mem_level: config.mem_level(),
                window_bits,
            },
            takeover,
            retained: takeover && config.send_memory() == Memory::Retained,
            release: Release::new(config.idle_release()),
            begun: false,
        }
    }

    /// Compresses a whole message into `output`. `false` if that made it no smaller and it
    /// `may_skip`: then it is to be sent as it is, and the context is as before.
    pub(crate) fn message(
        &mut self,
        plaintext: &[u8],
        may_skip: bool,
        output: &mut Vec<u8>,
    ) -> bool {
        if plaintext.is_empty() {
            output.push(EMPTY);
            return !may_skip;
        }
        self.flush(plaintext, output);
        remove_tail(output);
        if may_skip && output.len() >= plaintext.len() {
            // The codec has seen what the peer's will not.
            self.release_codec();
            return false;
        }
        self.note(plaintext);
        self.finish();
        true
    }

    /// Compresses the next fragment of a message into `output`; `fin` is set for the last.
    pub(crate) fn fragment(&mut self, plaintext: &[u8], fin: bool, output: &mut Vec<u8>) {
        if !plaintext.is_empty() {
            // 7692-7.2.1-06: the tail stays at the end of all fragments but the last.
            self.flush(plaintext, output);
            self.note(plaintext);
            if fin {
                remove_tail(output);
            }
        } else if fin {
            output.push(EMPTY);
        }
        self.begun = !fin;
        if fin {
            self.finish();
        }
    }

    /// Notes a message that was compressed elsewhere, without any context, and is sent in place of
    /// one of these.
    pub(crate) fn note_prepared(&mut self, plaintext: &[u8]) {
        self.note(plaintext);
        // A codec that is retained knows nothing of it. The next message makes one from the window.
        self.release_codec();
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Bytes that it holds now.
    pub(crate) fn held(&self) -> usize {
        let codec = self.codec.as_ref().map_or(0, |_| self.shape.codec_size());
        codec + self.window.len()
    }

    /// Gives the codec back, if no message is under way. The window is enough to go on.
    pub(crate) fn shrink(&mut self) {
        if !self.begun {
            self.release_codec();
        }
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

    fn note(&mut self, plaintext: &[u8]) {
        // 7692-7.2.1-08, 7692-7.2.1-11: without takeover no message refers to another.
        if self.takeover {
            self.window.push(plaintext, 1 << self.shape.window_bits);
        }
    }

    fn finish(&mut self) {
        if self.retained {
            self.release.note_use();
        } else {
            self.release_codec();
        }
    }

    /// Compresses and flushes, so that everything can be inflated up to here.
    fn flush(&mut self, mut plaintext: &[u8], output: &mut Vec<u8>) {
        let codec = match &mut self.codec {
            Some(codec) => codec,
            empty => {
                let codec = empty.insert(pool::take_deflate(self.shape));
                let (oldest, newest) = self.window.parts();
                for part in [oldest, newest] {
                    if !part.is_empty() {
                        // It fails only in the middle of a stream.
                        let _adler = codec.set_dictionary(part);
                    }
                }
                codec
            }
        };
        loop {
            let start = output.len();
            output.resize(start + (plaintext.len() + 64).min(MAX_STEP), 0);
            let room = output.get_mut(start..).unwrap_or_default();
            let (before_in, before_out) = (codec.total_in(), codec.total_out());
            // It fails only without input and output.
            let _status = codec.compress(plaintext, room, DeflateFlush::SyncFlush);
            let difference = |after: u64, before: u64| usize::try_from(after - before).unwrap_or(0);
            let produced = difference(codec.total_out(), before_out);
            let is_full = produced == room.len();
            output.truncate(start + produced);
            plaintext = plaintext
                .get(difference(codec.total_in(), before_in)..)
                .unwrap_or_default();
            if !is_full {
                return;
            }
        }
    }

    fn release_codec(&mut self) {
        if let Some(codec) = self.codec.take() {
            pool::put_deflate(self.shape, codec);
        }
    }
}

/// Removes the tail of the last flush (7692-7.2.1-01).
fn remove_tail(output: &mut Vec<u8>) {
    if output.ends_with(&TAIL) {
        output.truncate(output.len() - TAIL.len());
    }
}

/// Compresses a message by itself, for every connection whose window has at least so many bits.
pub(crate) fn compress_alone(shape: Shape, plaintext: &[u8]) -> Vec<u8> {
    let mut deflater = Deflater {
        codec: None,
        window: Window::default(),
        shape,
        takeover: false,
        retained: false,
        release: Release::new(None),
        begun: false,
    };
    let mut output = Vec::new();
    deflater.message(plaintext, false, &mut output);
    output
}

impl Drop for Deflater {
    fn drop(&mut self) {
        self.release_codec();
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("shape", &self.shape)
            .field("takeover", &self.takeover)
            .field("retained", &self.retained)
            .finish_non_exhaustive()
    }
}
