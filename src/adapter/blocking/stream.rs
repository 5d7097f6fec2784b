//! What the blocking adapter needs of a stream, and how it meets deadlines with it.

use core::task::{Context, Poll};
use core::time::Duration;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;

use crate::{Instant, ReadIo, WriteIo};

/// While two threads share a connection, no read waits longer than this: the other thread may have
/// set a deadline.
const SHARED_READ_WAIT: Duration = Duration::from_millis(50);

/// While two threads share a connection, no write waits longer than this. It holds the lock, which
/// keeps the receiving thread from reading on, and if the peer does the same the two stand still
/// together.
const SHARED_WRITE_WAIT: Duration = Duration::from_millis(2);

/// If a deadline starts with a write, the write waits no longer than this before the clock is read.
/// Nearly always it takes no time, and then the clock need not be.
const FIRST_WRITE_WAIT: Duration = Duration::from_millis(50);

/// While there is a deadline, no write waits longer than this, so that a deadline which starts with
/// the write is met. Setting a timeout for each write would cost more than looking up.
const LONGEST_WRITE_WAIT: Duration = Duration::from_secs(1);

/// A blocking stream whose waits can be bounded.
pub trait Stream: Read + Write {
    /// Bounds how long a read may wait. A read that took longer fails with `WouldBlock` or
    /// `TimedOut`.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// Bounds how long a write may wait.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// Shuts down the writing side.
    ///
    /// # Errors
    ///
    /// Those of the stream. Then nobody waits for the peer to do the same.
    fn shutdown_write(&mut self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_read_timeout(self, timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_write_timeout(self, timeout)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

#[cfg(unix)]
impl Stream for UnixStream {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_read_timeout(self, timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_write_timeout(self, timeout)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// Any `Read + Write` as a [`Stream`] that waits as long as it takes: deadlines are met only when
/// it returns.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a wrapper around its one field")]
pub struct Untimed<S>(pub S);

impl<S: Read> Read for Untimed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Write> Write for Untimed<S> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<S: Read + Write> Stream for Untimed<S> {
    fn set_read_timeout(&mut self, _timeout: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&mut self, _timeout: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}

/// A blocking stream as the transport of the asynchronous implementation: its polls block, up to
/// the deadline.
#[derive(Debug)]
pub struct BlockingIo<S> {
    stream: S,
    deadline: Option<Instant>,
    /// Whether another thread uses the same connection.
    shared: bool,
    /// What the stream was told last.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl<S> BlockingIo<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self {
            stream,
            deadline: None,
            shared: false,
            read_timeout: None,
            write_timeout: None,
        }
    }

    pub(super) fn shared(stream: S) -> Self {
        let mut io = Self::new(stream);
        io.shared = true;
        io
    }

    pub(super) const fn stream(&self) -> &S {
        &self.stream
    }

    pub(super) fn into_stream(self) -> S {
        self.stream
    }

    /// Bounds the waits that follow. Ready if the deadline has passed.
    fn set_deadline(&mut self, deadline: Option<Instant>) -> Poll<()> {
        self.deadline = deadline;
        match deadline {
            Some(deadline) if deadline <= Instant::now() => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// How long the next write may wait. While there is a deadline it looks up now and then: what
    /// it waits for may begin with this write.
    fn write_wait(&self) -> Option<Duration> {
        match self.deadline {
            Some(deadline) if deadline <= Instant::from_nanos(0) => Some(if self.shared {
                SHARED_WRITE_WAIT
            } else {
                FIRST_WRITE_WAIT
            }),
            Some(_) => self
                .wait(SHARED_WRITE_WAIT)
                .map(|wait| wait.min(LONGEST_WRITE_WAIT)),
            None => self.wait(SHARED_WRITE_WAIT),
        }
    }

    /// How long the next call may wait, `longest` being for two threads.
    fn wait(&self, longest: Duration) -> Option<Duration> {
        // A timeout of zero is an error to the system, and the shortest wait is as good.
        const SHORTEST: Duration = Duration::from_millis(1);
        let left = self.deadline.map(|deadline| {
            deadline
                .saturating_duration_since(Instant::now())
                .max(SHORTEST)
        });
        match (left, self.shared) {
            (Some(left), true) => Some(left.min(longest)),
            (None, true) => Some(longest),
            (left, false) => left,
        }
    }
}

/// The timeout to set for a wait, or `None` if the present one will do. Setting it is a system
/// call, and a wait that ends too early only begins again; so a deadline that comes closer costs
/// one now and then, not one for each wait.
fn new_timeout(present: Option<Duration>, wait: Option<Duration>) -> Option<Option<Duration>> {
    const EXACT: Duration = Duration::from_millis(100);
    match (present, wait) {
        (Some(present), Some(wait)) if present <= wait && wait / 2 <= present => None,
        (present, wait) if present == wait => None,
        (_, Some(wait)) if wait > EXACT => Some(Some(wait * 3 / 4)),
        (_, wait) => Some(wait),
    }
}

/// A wait that was cut short is no error.
fn to_poll<T>(result: io::Result<T>) -> Option<Poll<io::Result<T>>> {
    match result {
        Err(error) if error.kind() == ErrorKind::Interrupted => None,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Some(Poll::Pending)
        }
        result => Some(Poll::Ready(result)),
    }
}

impl<S: Stream> ReadIo for BlockingIo<S> {
    fn poll_read(&mut self, _cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let wait = self.wait(SHARED_READ_WAIT);
            if let Some(timeout) = new_timeout(self.read_timeout, wait) {
                self.stream.set_read_timeout(timeout)?;
                self.read_timeout = timeout;
            }
            if let Some(poll) = to_poll(self.stream.read(buffer)) {
                return poll;
            }
        }
    }

    fn poll_deadline(&mut self, _cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        self.set_deadline(deadline)
    }
}

impl<S: Stream> WriteIo for BlockingIo<S> {
    fn poll_write(
        &mut self,
        _cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let wait = self.write_wait();
            if let Some(timeout) = new_timeout(self.write_timeout, wait) {
                self.stream.set_write_timeout(timeout)?;
                self.write_timeout = timeout;
            }
            if let Some(poll) = to_poll(self.stream.write_vectored(buffers)) {
                return poll;
            }
        }
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(poll) = to_poll(self.stream.flush()) {
                return poll;
            }
        }
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            // A TLS session has something to say before.
            if let Some(poll) = to_poll(self.stream.shutdown_write()) {
                return poll;
            }
        }
    }

    fn poll_write_deadline(
        &mut self,
        _cx: &mut Context<'_>,
        deadline: Option<Instant>,
    ) -> Poll<()> {
        self.set_deadline(deadline)
    }

    fn is_blocking(&self) -> bool {
        true
    }
}
