//! A connector's phases on tokio.

use core::future::Future;
use core::net::SocketAddr;
use std::io;
use std::vec::Vec;

use ::tokio::net::{TcpStream, lookup_host};
use ::tokio::time::timeout_at;

use super::{CLOCK, ClientStream, TokioIo, now};
use crate::Instant;
#[cfg(feature = "tokio-rustls")]
use crate::adapter::connector::Connector;
use crate::adapter::connector::{Failure, Net, connect};

pub(super) struct Tokio;

impl Net for Tokio {
    type Stream = ClientStream;
    type Io = TokioIo<ClientStream>;

    const HAS_TLS: bool = cfg!(feature = "tokio-rustls");

    fn now(&self) -> Instant {
        now()
    }

    async fn resolve(
        &self,
        host: &str,
        port: u16,
        deadline: Option<Instant>,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let addresses = before(deadline, lookup_host((host, port))).await?;
        Ok(addresses.collect())
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
        let connecting = ::tokio::net::UnixStream::connect(path);
        Ok(before(deadline, connecting).await?.into())
    }

    #[cfg(feature = "tokio-rustls")]
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

    fn io(stream: ClientStream) -> TokioIo<ClientStream> {
        TokioIo::new(stream)
    }

    fn stream(io: TokioIo<ClientStream>) -> io::Result<ClientStream> {
        Ok(io.into_stream())
    }
}

/// Runs a future up to a deadline.
async fn before<T>(
    deadline: Option<Instant>,
    future: impl Future<Output = io::Result<T>>,
) -> Result<T, Failure> {
    let result = match deadline {
        None => future.await,
        Some(deadline) => timeout_at(deadline.to_std().into(), future)
            .await
            .map_err(|_| Failure::Late)?,
    };
    Ok(result?)
}
