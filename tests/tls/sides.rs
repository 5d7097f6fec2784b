//! A client and a server on each adapter.

use std::future::Future;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustls::{ServerConfig, ServerConnection};
use sockeye::handshake::ClientRequest;
use sockeye::tls::rustls;
use sockeye::{
    CloseCode, Closed, Config, Connector, ReadIo, SocketError, WebSocket, WriteIo, blocking,
};

/// What a client saw.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) closed: Closed,
    pub(crate) is_secure: bool,
    pub(crate) has_tcp: bool,
    pub(crate) alpn: Option<Vec<u8>>,
}

/// One of the three adapters.
pub(crate) trait Sides: 'static {
    /// Connects, sends each payload and expects it back, and closes.
    fn visit(connector: &Connector, url: &str, payloads: &[Vec<u8>]) -> Result<Visit, SocketError>;

    /// Connects, and receives one message.
    fn listen(connector: &Connector, url: &str) -> Result<Option<Vec<u8>>, SocketError>;

    /// Connects, and sends and receives at the same time, so many messages of this size.
    fn both_ways(
        connector: &Connector,
        url: &str,
        count: usize,
        size: usize,
    ) -> Result<(), SocketError>;

    /// Does the TLS handshake and the opening handshake, and echoes up to the end.
    fn serve(stream: TcpStream, config: Arc<ServerConfig>) -> Result<(), SocketError>;
}

pub(crate) struct Tokio;
pub(crate) struct Futures;
pub(crate) struct Blocking;

async fn echo<I: ReadIo + WriteIo>(mut ws: WebSocket<I>) -> Result<(), SocketError> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

async fn exchange<I: ReadIo + WriteIo>(
    ws: &mut WebSocket<I>,
    payloads: &[Vec<u8>],
) -> Result<Closed, SocketError> {
    for payload in payloads {
        ws.send(&**payload).await?;
        let message = ws.recv().await?.unwrap();
        assert!(message.as_bytes() == payload);
    }
    ws.close(CloseCode::NORMAL, "").await
}

macro_rules! asynchronous {
    ($name:ident, $module:ident, $tls:ident, $run:path, $spawn:path, $stream:expr, $joined:expr) => {
        impl Sides for $name {
            fn visit(
                connector: &Connector,
                url: &str,
                payloads: &[Vec<u8>],
            ) -> Result<Visit, SocketError> {
                let request = ClientRequest::new(url)?;
                $run(async {
                    let connecting = sockeye::$module::connect_through(connector, &request);
                    let (mut ws, _) = connecting.await?;
                    let stream = ws.io().stream();
                    let alpn = stream.tls().and_then(|tls| tls.alpn_protocol());
                    let alpn = alpn.map(<[u8]>::to_vec);
                    let (is_secure, has_tcp) = (stream.is_secure(), stream.tcp().is_some());
                    Ok(Visit {
                        closed: exchange(&mut ws, payloads).await?,
                        is_secure,
                        has_tcp,
                        alpn,
                    })
                })
            }

            fn listen(connector: &Connector, url: &str) -> Result<Option<Vec<u8>>, SocketError> {
                let request = ClientRequest::new(url)?;
                $run(async {
                    let connecting = sockeye::$module::connect_through(connector, &request);
                    let (mut ws, _) = connecting.await?;
                    let message = ws.recv().await?;
                    Ok(message.map(|message| message.as_bytes().to_vec()))
                })
            }

            fn both_ways(
                connector: &Connector,
                url: &str,
                count: usize,
                size: usize,
            ) -> Result<(), SocketError> {
                let request = ClientRequest::new(url)?;
                $run(async {
                    let connecting = sockeye::$module::connect_through(connector, &request);
                    let (ws, _) = connecting.await?;
                    let (mut receive, mut send) = ws.split();
                    let sending = $spawn(async move {
                        for _ in 0..count {
                            send.send(vec![7; size]).await.unwrap();
                        }
                        send
                    });
                    for _ in 0..count {
                        let message = receive.recv().await?.unwrap();
                        assert!(message.as_bytes() == vec![7; size]);
                    }
                    let mut send = $joined(sending.await);
                    send.close(CloseCode::NORMAL, "").await?;
                    assert!(receive.recv().await?.is_none());
                    Ok(())
                })
            }

            fn serve(stream: TcpStream, config: Arc<ServerConfig>) -> Result<(), SocketError> {
                stream.set_nonblocking(true)?;
                $run(async {
                    let stream = $stream(stream)?;
                    let stream = $tls::TlsAcceptor::from(config).accept(stream).await?;
                    echo(sockeye::$module::accept(stream, &Config::new()).await?).await
                })
            }
        }
    };
}

fn run_tokio<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

fn to_futures(stream: TcpStream) -> std::io::Result<smol::net::TcpStream> {
    stream.try_into()
}

asynchronous!(
    Tokio,
    tokio,
    tokio_rustls,
    run_tokio,
    tokio::spawn,
    tokio::net::TcpStream::from_std,
    Result::unwrap
);
asynchronous!(
    Futures,
    futures,
    futures_rustls,
    smol::block_on,
    smol::spawn,
    to_futures,
    std::convert::identity
);

impl Sides for Blocking {
    fn visit(connector: &Connector, url: &str, payloads: &[Vec<u8>]) -> Result<Visit, SocketError> {
        let (mut ws, _) = blocking::connect_through(connector, &ClientRequest::new(url)?)?;
        let stream = ws.stream();
        let (is_secure, has_tcp) = (stream.is_secure(), stream.tcp().is_some());
        let alpn = stream
            .tls()
            .and_then(|tls| tls.alpn_protocol().map(<[u8]>::to_vec));
        for payload in payloads {
            ws.send(&**payload)?;
            let message = ws.recv()?.unwrap();
            assert!(message.as_bytes() == payload);
        }
        Ok(Visit {
            closed: ws.close(CloseCode::NORMAL, "")?,
            is_secure,
            has_tcp,
            alpn,
        })
    }

    fn listen(connector: &Connector, url: &str) -> Result<Option<Vec<u8>>, SocketError> {
        let (mut ws, _) = blocking::connect_through(connector, &ClientRequest::new(url)?)?;
        let message = ws.recv()?;
        Ok(message.map(|message| message.as_bytes().to_vec()))
    }

    fn both_ways(
        connector: &Connector,
        url: &str,
        count: usize,
        size: usize,
    ) -> Result<(), SocketError> {
        let (ws, _) = blocking::connect_through(connector, &ClientRequest::new(url)?)?;
        let (mut receive, mut send) = ws.split()?;
        let sending = thread::spawn(move || {
            for _ in 0..count {
                send.send(vec![7; size]).unwrap();
            }
            send
        });
        for _ in 0..count {
            let message = receive.recv()?.unwrap();
            assert!(message.as_bytes() == vec![7; size]);
        }
        sending.join().unwrap().close(CloseCode::NORMAL, "")?;
        assert!(receive.recv()?.is_none());
        Ok(())
    }

    fn serve(stream: TcpStream, config: Arc<ServerConfig>) -> Result<(), SocketError> {
        let session = ServerConnection::new(config).unwrap();
        let stream = blocking::TlsStream::from(rustls::StreamOwned::new(session, stream));
        let mut ws = blocking::accept(stream, &Config::new())?;
        while let Some(message) = ws.recv()? {
            ws.send(message)?;
        }
        Ok(())
    }
}

/// A server for one connection, on a thread of its own.
pub(crate) struct Server<T> {
    pub(crate) port: u16,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Server<T> {
    pub(crate) fn new(serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = thread::spawn(move || serve(listener.accept().unwrap().0));
        Self { port, thread }
    }

    pub(crate) fn url(&self, host: &str) -> String {
        format!("wss://{host}:{}/", self.port)
    }

    pub(crate) fn join(self) -> T {
        self.thread.join().unwrap()
    }
}

/// The echo server of an adapter.
pub(crate) fn serve<S: Sides>(config: ServerConfig) -> Server<Result<(), SocketError>> {
    Server::new(move |stream| S::serve(stream, Arc::new(config)))
}
