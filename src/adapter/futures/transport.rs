//! What a client's connection runs over.

#[cfg(feature = "futures-rustls")]
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context, Poll};
#[cfg(feature = "futures-rustls")]
use std::boxed::Box;
use std::io::{self, IoSlice};

#[cfg(feature = "futures-rustls")]
use ::futures_rustls::client::TlsStream;
use async_net::TcpStream;
#[cfg(unix)]
use async_net::unix::UnixStream;
use futures_io::{AsyncRead, AsyncWrite};

/// The transport of a client's connection: a TCP stream, a Unix stream, or a TLS session over one.
///
/// It is one type whatever the URL and the features, so that code which connects need not care.
///
/// ```
/// # async fn run() -> Result<(), sockeye::SocketError> {
/// let ws = sockeye::futures::connect("ws://127.0.0.1:9001/").await?;
/// let stream = ws.io().stream();
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
    /// A session that a panic has left halfway is one that fails: the next record does not fit. So it is no
    /// less safe to use after that than a plain stream, and the feature takes nothing away.
    #[cfg(feature = "futures-rustls")]
    Tls(Box<AssertUnwindSafe<TlsStream<Plain>>>),
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
            #[cfg(feature = "futures-rustls")]
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
    #[cfg(feature = "futures-rustls")]
    pub fn tls(&self) -> Option<&rustls::ClientConnection> {
        match &self.0 {
            Inner::Plain(_) => None,
            Inner::Tls(stream) => Some(stream.get_ref().1),
        }
    }

    fn plain(&self) -> &Plain {
        match &self.0 {
            Inner::Plain(plain) => plain,
            #[cfg(feature = "futures-rustls")]
            Inner::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Does a client's TLS handshake over it. What is secure already stays as it is.
    #[cfg(feature = "futures-rustls")]
    pub(super) async fn secured(
        self,
        config: std::sync::Arc<rustls::ClientConfig>,
        name: rustls::pki_types::ServerName<'static>,
    ) -> io::Result<Self> {
        let Inner::Plain(plain) = self.0 else {
            return Ok(self);
        };
        let connector = ::futures_rustls::TlsConnector::from(config);
        let stream = connector.connect(name, plain).await?;
        Ok(Self(Inner::Tls(Box::new(AssertUnwindSafe(stream)))))
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

/// Calls a method of whichever stream it is.
macro_rules! inner {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.get_mut().0 {
            Inner::Plain($stream) => $call,
            #[cfg(feature = "futures-rustls")]
            Inner::Tls(boxed) => {
                let $stream = &mut ***boxed;
                $call
            }
        }
    };
}

macro_rules! plain {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($stream) => $call,
            #[cfg(unix)]
            Self::Unix($stream) => $call,
        }
    };
}

/// Passes the methods of the traits on.
macro_rules! pass_on {
    ($name:ident, $pick:ident) => {
        impl AsyncRead for $name {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                $pick!(self, stream => Pin::new(stream).poll_read(cx, buffer))
            }
        }

        impl AsyncWrite for $name {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &[u8],
            ) -> Poll<io::Result<usize>> {
                $pick!(self, stream => Pin::new(stream).poll_write(cx, buffer))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                $pick!(self, stream => Pin::new(stream).poll_write_vectored(cx, buffers))
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                $pick!(self, stream => Pin::new(stream).poll_flush(cx))
            }

            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                $pick!(self, stream => Pin::new(stream).poll_close(cx))
            }
        }
    };
}

pass_on!(ClientStream, inner);
pass_on!(Plain, plain);
