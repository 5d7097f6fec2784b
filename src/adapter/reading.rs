//! Where to and how much at once is read, and what is read before what waits is written.

use core::mem;
use core::task::{Context, Poll};
use std::io;

use super::buffer::ReadBuffer;
use super::driver::Link;
use super::inlet::Intake;

/// So many reads in a row are answered in one write, at most. It bounds what an application has to
/// do before its replies leave.
const READS_A_WRITE: u8 = 8;

/// So much is read into a message at once, at most. No transport gives more.
const MAX_DIRECT: u32 = 1 << 30;

/// What the last read was like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LastRead {
    /// It gave less than there was room for: for now there is no more. Or what waits is not to be
    /// put off.
    #[default]
    Short,
    /// It filled the read buffer, so there may be more at hand.
    Full,
    /// It filled the room that a message had for its rest.
    Direct,
}

/// When what waits is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    /// Before anything is read: nobody knows when the next call comes.
    First,
    /// After more was read, if there is more at hand: whoever calls writes when it waits.
    MayWait,
}

/// Whether more is to be read before what waits is written, so that both is answered in one write.
pub(super) fn puts_off_write<L: Link>(intake: &Intake, link: &mut L) -> bool {
    intake.last_read != LastRead::Short
        && !intake.reads.is_multiple_of(READS_A_WRITE)
        // Of halves, the sending one has a task of its own.
        && !L::SHARED
        // What waits takes of the memory for what is received.
        && !intake.receiver.has_max_memory()
        && link.output(|output| output.may_put_off())
}

/// Reads into the message that is under way, if that is worth it, or into the buffer.
pub(super) fn poll_read<L: Link>(
    buffer: &mut ReadBuffer,
    intake: &mut Intake,
    link: &mut L,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let last = mem::take(&mut intake.last_read);
    if let Some(room) = intake.receiver.payload_mut() {
        let (room, _) = room.split_at_mut(room.len().min(MAX_DIRECT as usize));
        let (count, result) = read(link, cx, room);
        if count == room.len() {
            intake.last_read = LastRead::Direct;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most `MAX_DIRECT`")]
        let filled = count as u32;
        intake.filled = filled;
        return result;
    }
    // Behind one large message there are more, of which some fit a large buffer whole. But what is
    // above a rate stays in the buffer, and is not to be much.
    let is_large = last == LastRead::Direct && !intake.receiver.needs_time();
    buffer.fill(is_large, |bytes| {
        let (count, result) = read(link, cx, bytes);
        if count == bytes.len() {
            intake.last_read = LastRead::Full;
        }
        (count, result)
    })
}

fn read<L: Link>(
    link: &mut L,
    cx: &mut Context<'_>,
    bytes: &mut [u8],
) -> (usize, Poll<io::Result<usize>>) {
    let most = bytes.len();
    let result = link.poll_read(cx, bytes);
    let count = match &result {
        Poll::Ready(Ok(count)) => most.min(*count),
        Poll::Ready(Err(_)) | Poll::Pending => 0,
    };
    (count, result)
}
