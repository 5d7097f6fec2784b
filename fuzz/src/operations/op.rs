//! What the fuzzer's bytes are decoded to.

use arbitrary::Arbitrary;
use sockeye::{Compress, Priority};

/// What is agreed on before.
#[derive(Debug, Arbitrary)]
pub struct Setup {
    pub deflate: bool,
    pub client_no_takeover: bool,
    pub server_no_takeover: bool,
    pub retains: bool,
    pub chunks: bool,
    pub timers: bool,
    pub window_bits: u8,
    /// Long messages leave in frames of 1000 bytes.
    pub fragments: bool,
}

/// Something that happens to one side.
#[derive(Debug, Arbitrary)]
pub enum Op {
    Send(bool, Size, How),
    Fragment(bool, Size, bool, How),
    Prepared(bool, Size),
    Ping(u8),
    Pong(u8),
    Close(u16, bool),
    Transmit(u16),
    TransmitVectored(u16),
    TransmitTake,
    Read(u16),
    ReadBytewise(u8),
    Wait(u16),
    Deadline,
    Shrink,
    Pause,
    Resume,
    Probe,
    ConfirmAlive,
    /// The transport is cut: what is on its way to this side is lost.
    Cut,
    Abort,
    /// A message of another class.
    SendIn(Class, Size, How),
    PreparedIn(Class, Size),
}

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Class {
    Urgent,
    High,
    Bulk,
}

impl From<Class> for Priority {
    fn from(class: Class) -> Self {
        match class {
            Class::Urgent => Self::Urgent,
            Class::High => Self::High,
            Class::Bulk => Self::Bulk,
        }
    }
}

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum How {
    Auto,
    Always,
    Never,
}

impl From<How> for Compress {
    fn from(how: How) -> Self {
        match how {
            How::Auto => Self::Auto,
            How::Always => Self::Always,
            How::Never => Self::Never,
        }
    }
}

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Size {
    Small(u8),
    /// Around the sizes where the length takes more bytes, or where a payload is chained.
    Edge(u8),
    Large(u8),
}

impl Size {
    pub fn len(self) -> usize {
        match self {
            Self::Small(len) => len.into(),
            Self::Edge(by) => [120, 4090][usize::from(by) & 1] + usize::from(by >> 4),
            Self::Large(len) => usize::from(len) * 23,
        }
    }
}
