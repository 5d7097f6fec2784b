//! What a client's connection runs over.

use core::time::Duration;
#[cfg(feature = "rustls")]
use std::boxed::Box;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;

#[cfg(feature = "rustls")]
use rustls::ClientConnection;

use super::stream::Stream;
#[cfg(feature = "rustls")]
use super::tls::TlsStream;

/// The transport of a client's connection: a TCP stream, a Unix stream, or a TLS session over one.
///
/// It is one type whatever the URL and the features, so that code which connects need not care.
///
/// ```
/// # fn run() -> Result<(), sockeye::SocketError> {
/// let ws = sockeye::blocking::connect("ws://127.0.0.1:9001/")?;
/// let stream = ws.stream();
/// assert!(!stream.is_secure());
/// println!("{:?}", stream.tcp().map(|tcp| tcp.peer_addr()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ClientStream(Inner);

#[derive(Debug)]
enum Inner {
    Plain(Plain),
    #[cfg(feature = "rustls")]
    Tls(Box<TlsStream<ClientConnection, Plain>>),
}

#[derive(Debug)]
enum Plain {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl ClientStream {
    /// Whether it is a TLS session.
    pub fn is_secure(&self) -> bool {
        match &self.0 {
            Inner::Plain(_) => false,
            #[cfg(feature = "rustls")]
            Inner::Tls(_) => true,
        }
    }

    /// The TCP stream, for settings; under TLS too. `None` if it is a Unix stream.
    pub fn tcp(&self) -> Option<&TcpStream> {
        match self.plain() {
            Plain::Tcp(stream) => Some(stream),
            #[cfg(unix)]
            Plain::Unix(_) => None,
        }
    }

    /// The TLS session: versions, certificates.
    #[cfg(feature = "rustls")]
    pub fn tls(&self) -> Option<impl core::ops::Deref<Target = ClientConnection>> {
        match &self.0 {
            Inner::Plain(_) => None,
            Inner::Tls(stream) => Some(stream.session()),
        }
    }

    /// Another handle of the same transport, for a second thread. Only one of the two may read.
    ///
    /// # Errors
    ///
    /// The socket could not be duplicated.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(match &self.0 {
            Inner::Plain(plain) => Inner::Plain(plain.try_clone()?),
            #[cfg(feature = "rustls")]
            Inner::Tls(stream) => Inner::Tls(Box::new(stream.try_clone_with(Plain::try_clone)?)),
        }))
    }

    fn plain(&self) -> &Plain {
        match &self.0 {
            Inner::Plain(plain) => plain,
            #[cfg(feature = "rustls")]
            Inner::Tls(stream) => stream.stream(),
        }
    }

    /// A session over it whose handshake `handshake` does. What is secure already stays as it is.
    #[cfg(feature = "rustls")]
    pub(super) fn secured(
        self,
        mut session: ClientConnection,
        handshake: impl FnOnce(&mut ClientConnection, &mut dyn Stream) -> io::Result<()>,
    ) -> io::Result<Self> {
        let Inner::Plain(mut plain) = self.0 else {
            return Ok(self);
        };
        handshake(&mut session, &mut plain)?;
        Ok(Self(Inner::Tls(Box::new(TlsStream::new(session, plain)))))
    }
}

impl From<TcpStream> for ClientStream {
    fn from(stream: TcpStream) -> Self {
        Self(Inner::Plain(Plain::Tcp(stream)))
    }
}

#[cfg(unix)]
impl From<UnixStream> for ClientStream {
    fn from(stream: UnixStream) -> Self {
        Self(Inner::Plain(Plain::Unix(stream)))
    }
}

impl Plain {
    fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }
}

/// Calls a method of whichever stream it is.
macro_rules! inner {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.0 {
            Inner::Plain($stream) => $call,
            #[cfg(feature = "rustls")]
            Inner::Tls(boxed) => {
                let $stream = &mut **boxed;
                $call
            }
        }
    };
}

macro_rules! plain {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self {
            Self::Tcp($stream) => $call,
            #[cfg(unix)]
            Self::Unix($stream) => $call,
        }
    };
}

/// Passes the methods of the traits on.
macro_rules! pass_on {
    ($name:ident, $pick:ident) => {
        impl Read for $name {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                $pick!(self, stream => stream.read(buffer))
            }
        }

        impl Write for $name {
            fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
                $pick!(self, stream => stream.write(buffer))
            }

            fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
                $pick!(self, stream => stream.write_vectored(buffers))
            }

            fn flush(&mut self) -> io::Result<()> {
                $pick!(self, stream => stream.flush())
            }
        }

        impl Stream for $name {
            fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
                $pick!(self, stream => Stream::set_read_timeout(stream, timeout))
            }

            fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
                $pick!(self, stream => Stream::set_write_timeout(stream, timeout))
            }

            fn shutdown_write(&mut self) -> io::Result<()> {
                $pick!(self, stream => Stream::shutdown_write(stream))
            }
        }
    };
}

pass_on!(ClientStream, inner);
pass_on!(Plain, plain);
