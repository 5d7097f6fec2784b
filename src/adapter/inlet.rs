//! The receiving half of a connection with what was read and not consumed.

use super::buffer::ReadBuffer;
use super::reading::LastRead;
use crate::{Instant, Receiver};

/// The receiving half of a connection with what was read and not consumed.
#[derive(Debug)]
pub(super) struct Inlet {
    pub(super) buffer: ReadBuffer,
    pub(super) intake: Intake,
}

/// An [`Inlet`] without its buffer, which is lent while an event of it is handled.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) receiver: Receiver,
    /// The transport gave all that it had.
    pub(super) eof: bool,
    /// How many reads gave something since the last wait.
    pub(super) reads: u8,
    /// So many bytes were read straight into the message that they belong to, and not looked at.
    pub(super) filled: u32,
    pub(super) last_read: LastRead,
    /// The sending side's deadline as far as this side knows. It may be too early, never too late.
    pub(super) deadline: Option<Instant>,
    /// The transport was told of a deadline.
    pub(super) timed: bool,
    /// A deadline that had passed before something was read. It is met as soon as that is consumed:
    /// there may always be more.
    pub(super) overdue: Option<Instant>,
    /// The sending side was told that nothing is read for a while.
    pub(super) paused: bool,
    /// Something was read of which the sending side was not told, and a message was in it.
    pub(super) heard: bool,
    pub(super) message: bool,
    /// The iterator or stream of messages gave its last item.
    pub(super) ended: bool,
}

impl Inlet {
    /// `unread` is what somebody else read of the transport.
    pub(super) fn new(receiver: Receiver, unread: &[u8]) -> Self {
        Self {
            buffer: ReadBuffer::with_unread(unread),
            intake: Intake {
                receiver,
                eof: false,
                reads: 0,
                filled: 0,
                last_read: LastRead::Short,
                deadline: None,
                timed: false,
                overdue: None,
                paused: false,
                heard: false,
                message: false,
                ended: false,
            },
        }
    }
}
