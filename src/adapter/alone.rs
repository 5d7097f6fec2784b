//! A sending half whose receiving half is gone: nothing is read any more, and it keeps the deadlines
//! itself, while it waits.

use core::task::{Context, Poll};

use super::io::WriteIo;
use super::output::Output;
use crate::{Instant, Transport};

impl<W: WriteIo> Output<W> {
    /// Writes by `poll`, and meets the deadlines.
    pub(super) fn poll_alone<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        // What is not read cannot be a sign of life.
        self.sender.pause();
        loop {
            // Before it waits, because a blocking transport has to know.
            while let Some(deadline) = self.poll_due(cx) {
                self.meet(cx, deadline);
            }
            if let Poll::Ready(result) = poll(self, cx) {
                return Poll::Ready(result);
            }
            // A deadline may have begun with what was written.
            let Some(deadline) = self.poll_due(cx) else {
                return Poll::Pending;
            };
            self.meet(cx, deadline);
        }
    }

    /// The next deadline, if it has passed. If not, the task is woken when it has.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Option<Instant> {
        let deadline = self.sender.poll_timeout();
        let is_due = self.io.poll_write_deadline(cx, deadline).is_ready();
        deadline.filter(|_| is_due)
    }

    fn meet(&mut self, cx: &mut Context<'_>, deadline: Instant) {
        // A transport's timer may be ahead of its clock.
        let now = self.io.now().max(deadline);
        self.handle_timeout(now);
        if self.sender.transport() == Transport::Close {
            let _shut_down = self.poll_shutdown(cx);
        }
    }
}
