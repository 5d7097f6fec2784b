//! A connector's phases on futures-io.

use core::future::{Future, poll_fn};
use core::net::SocketAddr;
use core::pin::{Pin, pin};
use core::task::Poll;
use std::io;
use std::vec::Vec;

use async_io::Timer;
use async_net::TcpStream;

use super::{CLOCK, ClientStream, FuturesIo};
use crate::Instant;
#[cfg(feature = "futures-rustls")]
use crate::adapter::connector::Connector;
use crate::adapter::connector::{Failure, Net, connect};

pub(super) struct Futures;

impl Net for Futures {
    type Stream = ClientStream;
    type Io = FuturesIo<ClientStream>;

    const HAS_TLS: bool = cfg!(feature = "futures-rustls");

    fn now(&self) -> Instant {
        Instant::now()
    }

    async fn resolve(
        &self,
        host: &str,
        port: u16,
        deadline: Option<Instant>,
    ) -> Result<Vec<SocketAddr>, Failure> {
        before(deadline, async_net::resolve((host, port))).await
    }

    async fn connect(
        &self,
        addresses: &[SocketAddr],
        deadline: Option<Instant>,
    ) -> Result<ClientStream, Failure> {
        let connecting = connect(addresses, CLOCK, TcpStream::connect);
        let stream = before(deadline, connecting).await?;
        stream.set_nodelay(true)?;
        Ok(stream.into())
    }

    #[cfg(unix)]
    async fn connect_unix(
        &self,
        path: &str,
        deadline: Option<Instant>,
    ) -> Result<ClientStream, Failure> {
        let connecting = async_net::unix::UnixStream::connect(path);
        Ok(before(deadline, connecting).await?.into())
    }

    #[cfg(feature = "futures-rustls")]
    async fn secure(
        &self,
        stream: ClientStream,
        connector: &Connector,
        host: &str,
        deadline: Option<Instant>,
    ) -> Result<ClientStream, Failure> {
        let (config, name) = connector.tls_session(host)?;
        let stream = before(deadline, stream.secured(config, name)).await?;
        Connector::check_alpn(stream.tls())?;
        Ok(stream)
    }

    fn io(stream: ClientStream) -> FuturesIo<ClientStream> {
        FuturesIo::new(stream)
    }

    fn stream(io: FuturesIo<ClientStream>) -> io::Result<ClientStream> {
        Ok(io.into_stream())
    }
}

/// Runs a future up to a deadline.
async fn before<T>(
    deadline: Option<Instant>,
    future: impl Future<Output = io::Result<T>>,
) -> Result<T, Failure> {
    let mut future = pin!(future);
    let mut timer = deadline.map(|deadline| Timer::at(deadline.to_std()));
    poll_fn(|cx| {
        if let Poll::Ready(result) = future.as_mut().poll(cx) {
            return Poll::Ready(result.map_err(Failure::Io));
        }
        match &mut timer {
            Some(timer) => Pin::new(timer).poll(cx).map(|_| Err(Failure::Late)),
            None => Poll::Pending,
        }
    })
    .await
}
