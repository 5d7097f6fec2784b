//! What the adapters need of a transport.

use core::task::{Context, Poll};
use std::io::{IoSlice, Result};

use crate::Instant;

/// The reading side of a transport, and a clock that can wake.
///
/// The crate has implementations for blocking streams, tokio and futures-io; implement it to run a
/// [`WebSocket`](super::WebSocket) on another runtime.
pub trait ReadIo {
    /// Reads into `buffer`. 0 means that the transport ended.
    ///
    /// # Errors
    ///
    /// Those of the transport. `Interrupted` and `WouldBlock` must not come out; the latter is
    /// [`Poll::Pending`].
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize>>;

    /// Is ready once `deadline` has passed, and wakes the task then. A later call replaces the
    /// deadline of the one before; `None` means that there is none.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()>;
}

/// The writing side of a transport.
pub trait WriteIo {
    /// Writes from the front of `buffers`, of which none is empty, and tells how many bytes it
    /// took.
    ///
    /// # Errors
    ///
    /// As [`ReadIo::poll_read`].
    fn poll_write(&mut self, cx: &mut Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<Result<usize>>;

    /// Sends what the transport itself buffers, as TLS does.
    ///
    /// # Errors
    ///
    /// As [`ReadIo::poll_read`].
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// Shuts down the writing side.
    ///
    /// # Errors
    ///
    /// As [`ReadIo::poll_read`].
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// As [`ReadIo::poll_deadline`]: what a sending half goes by whose receiving half was dropped.
    ///
    /// Default: looks at the clock, and wakes nobody. So such a half meets its deadlines only when
    /// something else wakes it.
    fn poll_write_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let _nobody = cx;
        match deadline {
            Some(deadline) if deadline <= self.now() => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// Whether polls wait themselves, up to the deadline, and wake nobody.
    ///
    /// Default: no.
    fn is_blocking(&self) -> bool {
        false
    }

    /// The present moment, on the clock that [`ReadIo::poll_deadline`] goes by.
    ///
    /// Default: the standard library's clock.
    fn now(&self) -> Instant {
        Instant::now()
    }
}
