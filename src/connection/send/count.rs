//! What was sent, in numbers.

use super::Sender;
use super::data::Outline;
use crate::error::SendError;
use crate::frame::OpCode;
use crate::message::Kind;

/// What a connection sent so far: what was queued, unless it says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Bytes that the transport took, headers and control frames included.
    pub bytes: u64,
    /// Frames of messages.
    pub frames: u64,
    /// Pings, pongs and Close frames.
    pub control_frames: u64,
    /// Whole messages.
    pub messages: u64,
    /// Payload bytes of messages, before compression.
    pub payload: u64,
    /// How many of these went compressed.
    pub deflated: u64,
    /// What they became.
    pub compressed: u64,
    /// Messages, fragments, pings and pongs of the application's that were refused.
    pub refused: u64,
}

impl Sent {
    /// By how much the compressed messages became smaller, 0.25 being a quarter of their size.
    /// `None` if there was none.
    pub fn compression_ratio(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a ratio is for the eye")]
        (self.deflated > 0).then(|| self.compressed as f64 / self.deflated as f64)
    }
}

impl Sender {
    /// What was sent so far.
    pub fn sent(&self) -> Sent {
        Sent {
            bytes: self.queue.transmitted(),
            // Those that end a message are counted as messages.
            frames: self.sent.frames + self.sent.messages,
            ..self.sent
        }
    }

    /// Counts a message or fragment that is queued: `len` bytes as the application had them,
    /// `on_the_wire` as they go out.
    #[inline]
    pub(super) fn note_sent(&mut self, outline: &Outline, len: usize, on_the_wire: usize) {
        self.note_message();
        if outline.fin {
            self.sent.messages += 1;
        } else {
            self.sent.frames += 1;
        }
        self.sent.payload += len as u64;
        if outline.compressed {
            self.sent.deflated += len as u64;
            self.sent.compressed += on_the_wire as u64;
        }
        if self.observed.is_some() {
            self.tell_sent(outline.opcode, len, on_the_wire);
        }
    }

    #[cold]
    fn tell_sent(&mut self, opcode: OpCode, len: usize, on_the_wire: usize) {
        match opcode {
            OpCode::Text => self.kind = Kind::Text,
            OpCode::Binary => self.kind = Kind::Binary,
            OpCode::Continuation | OpCode::Close | OpCode::Ping | OpCode::Pong => {}
        }
        self.observed
            .tell(|observer| observer.sent(self.kind, len, on_the_wire));
    }

    /// Counts what is refused, and tells the observer.
    #[cold]
    pub(super) fn refuse(&mut self, error: SendError) -> SendError {
        self.sent.refused += 1;
        self.observed.tell(|observer| observer.refused(error));
        error
    }
}
