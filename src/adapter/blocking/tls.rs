//! TLS sessions over blocking streams.

use core::fmt;
use core::ops::{Deref, DerefMut};
use core::time::Duration;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;
use std::vec::Vec;

use bytes::{Buf, BufMut, BytesMut};
use rustls::{ConnectionCommon, SideData, StreamOwned};

use super::stream::Stream;

/// So much is read at once: a record of the largest size, nearly.
const READ_SIZE: usize = 16 * 1024;

/// A TLS session over a blocking stream, of either role: as [`rustls::StreamOwned`], but with what a
/// [`WebSocket`](super::WebSocket) needs beyond that.
///
/// - Its waits can be bounded. A `StreamOwned` whose write has to wait goes on to read, for however long
///   that takes.
/// - Several buffers of one write leave as one record.
/// - It can be [cloned](Self::try_clone_with), for two threads.
///
/// The TLS handshake, if it is not done yet, is done on the way: a server's with the first read.
///
/// ```no_run
/// use std::net::TcpStream;
/// use std::sync::Arc;
/// use rustls::{ServerConfig, ServerConnection};
/// use sockeye::blocking::{self, TlsStream};
/// use sockeye::{Config, tls::rustls};
///
/// fn serve(stream: TcpStream, config: &Arc<ServerConfig>) -> Result<(), Box<dyn std::error::Error>> {
///     let session = ServerConnection::new(Arc::clone(config))?;
///     let mut ws = blocking::accept(TlsStream::new(session, stream), &Config::new())?;
///     ws.send("welcome")?;
///     Ok(())
/// }
/// ```
pub struct TlsStream<C, S> {
    shared: Arc<Shared<C>>,
    stream: S,
    /// What was read of the stream and the session has not taken yet, from `start` on.
    received: Vec<u8>,
    start: usize,
    /// What the stream was told last.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    /// Whether something that left the session through this handle could not be written.
    is_behind: bool,
}

/// What both handles have in common.
///
/// Nobody waits for the stream with the session in hand, so a peer that does not read keeps this side
/// from writing only. Who takes both locks takes `outgoing` first, or does not wait for it.
struct Shared<C> {
    session: Mutex<C>,
    /// Records that have left the session, in their order, which it keeps: whoever writes holds it.
    outgoing: Mutex<BytesMut>,
}

impl<C, S> TlsStream<C, S> {
    /// A session that begins, or has begun, over this stream.
    pub fn new(session: C, stream: S) -> Self {
        let shared = Shared {
            session: Mutex::new(session),
            outgoing: Mutex::new(BytesMut::new()),
        };
        Self::with(Arc::new(shared), stream)
    }

    /// The stream that the session runs over.
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// The session. While it is borrowed, another thread that has the other half waits.
    pub fn session(&self) -> impl Deref<Target = C> {
        lock(&self.shared.session)
    }

    /// The same session once more, for a thread that writes while this one reads: `clone` makes another
    /// handle of the stream, such as `TcpStream::try_clone`. Only one of the two may read.
    ///
    /// # Errors
    ///
    /// Those of `clone`.
    pub fn try_clone_with(&self, clone: impl FnOnce(&S) -> io::Result<S>) -> io::Result<Self> {
        Ok(Self::with(Arc::clone(&self.shared), clone(&self.stream)?))
    }

    const fn with(shared: Arc<Shared<C>>, stream: S) -> Self {
        Self {
            shared,
            stream,
            received: Vec::new(),
            start: 0,
            read_timeout: None,
            write_timeout: None,
            is_behind: false,
        }
    }
}

impl<C, D, S> TlsStream<C, S>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
    S: Write,
{
    /// Writes what the session has for the peer, behind what left it before.
    fn send(&mut self) -> io::Result<()> {
        let outgoing = lock(&self.shared.outgoing);
        let result = self
            .shared
            .send(outgoing, &mut self.stream, self.write_timeout);
        self.is_behind = result.is_err();
        result
    }

    /// Writes the answers of the session itself, as in a handshake. What does not leave now does later.
    fn answer(&mut self) {
        let session = lock(&self.shared.session);
        if !session.wants_write() && !self.is_behind {
            return;
        }
        let outgoing = match self.shared.outgoing.try_lock() {
            Ok(outgoing) => outgoing,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            // Who writes now looks into the session when that is done.
            Err(TryLockError::WouldBlock) => return,
        };
        drop(session);
        let result = self
            .shared
            .send(outgoing, &mut self.stream, self.write_timeout);
        self.is_behind = result.is_err();
    }
}

impl<C, D> Shared<C>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
{
    /// Writes until nothing waits here or in the session.
    fn send(
        &self,
        mut outgoing: MutexGuard<'_, BytesMut>,
        stream: &mut impl Write,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let mut patience = Patience::new(timeout);
        loop {
            while !outgoing.is_empty() {
                patience.check()?;
                match stream.write(&outgoing) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(count) => outgoing.advance(count),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            let mut session = lock(&self.session);
            if !session.wants_write() {
                // An idle session keeps no buffer. The lock goes before that of the session: whoever
                // finds it taken, with the session in hand, can be sure of another look.
                *outgoing = BytesMut::new();
                drop(outgoing);
                return Ok(());
            }
            while session.wants_write() {
                session.write_tls(&mut (&mut *outgoing).writer())?;
            }
        }
    }
}

impl<C, S> From<StreamOwned<C, S>> for TlsStream<C, S>
where
    S: Read + Write,
{
    fn from(stream: StreamOwned<C, S>) -> Self {
        Self::new(stream.conn, stream.sock)
    }
}

impl<C, D, S> Read for TlsStream<C, S>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
    S: Read + Write,
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut is_eof = false;
        let mut patience = Patience::new(self.read_timeout);
        loop {
            let mut session = lock(&self.shared.session);
            loop {
                match session.reader().read(buffer) {
                    // Without `close_notify` the end is an error: somebody may have cut it off.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    result => return result,
                }
                let mut rest = self.received.get(self.start..).unwrap_or_default();
                if rest.is_empty() && !is_eof {
                    break;
                }
                let before = rest.len();
                session.read_tls(&mut rest)?;
                self.start += before - rest.len();
                if let Err(error) = session.process_new_packets() {
                    drop(session);
                    // The alert that says what was wrong. It may not get through.
                    self.answer();
                    return Err(io::Error::new(ErrorKind::InvalidData, error));
                }
            }
            drop(session);
            self.answer();
            patience.check()?;
            self.received.resize(READ_SIZE, 0);
            self.start = 0;
            let result = self.stream.read(&mut self.received);
            self.received.truncate(*result.as_ref().unwrap_or(&0));
            is_eof = result? == 0;
        }
    }
}

impl<C, D, S> Write for TlsStream<C, S>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
    S: Read + Write,
{
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buffer)])
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send()?;
        let count = lock(&self.shared.session)
            .writer()
            .write_vectored(buffers)?;
        // They are taken, whatever happens now; a failure that lasts is one of the next call.
        let _later = self.send();
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()?;
        self.stream.flush()
    }
}

impl<C, D, S> Stream for TlsStream<C, S>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
    S: Stream,
{
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)?;
        self.read_timeout = timeout;
        Ok(())
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)?;
        self.write_timeout = timeout;
        Ok(())
    }

    /// Tells the peer that this is the end, and not somebody who cut it off: `close_notify` goes out
    /// before the writing side of the stream is shut down (RFC 8446 section 6.1).
    fn shutdown_write(&mut self) -> io::Result<()> {
        lock(&self.shared.session).send_close_notify();
        self.send()?;
        self.stream.shutdown_write()
    }
}

impl<C, S: fmt::Debug> fmt::Debug for TlsStream<C, S> {
    /// Not the session, which holds keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a call of the session's may go on that takes several of the stream's, each of which is bounded
/// by itself: a record that comes byte by byte would go on for ever.
struct Patience {
    timeout: Option<Duration>,
    since: Option<Instant>,
}

impl Patience {
    const fn new(timeout: Option<Duration>) -> Self {
        Self {
            timeout,
            since: None,
        }
    }

    /// Is asked before each call. Fails as a stream does whose wait was cut short.
    fn check(&mut self) -> io::Result<()> {
        let Some(timeout) = self.timeout else {
            return Ok(());
        };
        match self.since {
            None => self.since = Some(Instant::now()),
            Some(since) if since.elapsed() >= timeout => return Err(ErrorKind::WouldBlock.into()),
            Some(_) => {}
        }
        Ok(())
    }
}
