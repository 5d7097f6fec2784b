//! TLS sessions over blocking streams.

use core::fmt;
use core::ops::{Deref, DerefMut};
use core::time::Duration;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::vec::Vec;

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
    session: Arc<Mutex<C>>,
    stream: S,
    /// What was read of the stream and the session has not taken yet, from `start` on.
    received: Vec<u8>,
    start: usize,
    /// What the stream was told last.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl<C, S> TlsStream<C, S> {
    /// A session that begins, or has begun, over this stream.
    pub fn new(session: C, stream: S) -> Self {
        Self::with(Arc::new(Mutex::new(session)), stream)
    }

    /// The stream that the session runs over.
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// The session. While it is borrowed, another thread that has the other half waits.
    pub fn session(&self) -> impl Deref<Target = C> {
        lock(&self.session)
    }

    /// The same session once more, for a thread that writes while this one reads: `clone` makes another
    /// handle of the stream, such as `TcpStream::try_clone`. Only one of the two may read.
    ///
    /// # Errors
    ///
    /// Those of `clone`.
    pub fn try_clone_with(&self, clone: impl FnOnce(&S) -> io::Result<S>) -> io::Result<Self> {
        Ok(Self::with(Arc::clone(&self.session), clone(&self.stream)?))
    }

    const fn with(session: Arc<Mutex<C>>, stream: S) -> Self {
        Self {
            session,
            stream,
            received: Vec::new(),
            start: 0,
            read_timeout: None,
            write_timeout: None,
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
            let mut session = lock(&self.session);
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
                    // The alert that says what was wrong. It may not get through.
                    let _lost = session.write_tls(&mut self.stream);
                    return Err(io::Error::new(ErrorKind::InvalidData, error));
                }
            }
            // Answers of the session itself, as in a handshake. What does not leave now does later.
            let _later = write_all(&mut *session, &mut self.stream, self.write_timeout);
            // The other thread may write while this one waits.
            drop(session);
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
        let mut session = lock(&self.session);
        write_all(&mut *session, &mut self.stream, self.write_timeout)?;
        let count = session.writer().write_vectored(buffers)?;
        // They are taken, whatever happens now; a failure that lasts is one of the next call.
        let _later = write_all(&mut *session, &mut self.stream, self.write_timeout);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        write_all(
            &mut *lock(&self.session),
            &mut self.stream,
            self.write_timeout,
        )?;
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
        let mut session = lock(&self.session);
        session.send_close_notify();
        write_all(&mut *session, &mut self.stream, self.write_timeout)?;
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

fn lock<C>(session: &Mutex<C>) -> MutexGuard<'_, C> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes what the session has for the peer.
fn write_all<C, D>(
    session: &mut C,
    stream: &mut impl Write,
    timeout: Option<Duration>,
) -> io::Result<()>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
{
    let mut patience = Patience::new(timeout);
    while session.wants_write() {
        patience.check()?;
        match session.write_tls(stream) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
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
