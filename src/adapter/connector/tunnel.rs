//! The phase in which a proxy is asked for a tunnel.

use bytes::Bytes;
use core::net::IpAddr;
use std::borrow::Cow;
use std::string::ToString;

use super::establish::resolve;
use super::{ConnectError, Deadlines, Net, Phase};
use crate::adapter::SocketError;
use crate::adapter::buffer::ReadBuffer;
use crate::adapter::connect::{Exchange, exchange};
use crate::handshake::Url;
use crate::proxy::{Proxy, ProxyError, Tunnel};
use crate::{Input, Instant};

/// Turns a connection to a proxy into one to where a URL is served.
pub(super) async fn tunnel<N: Net>(
    net: &N,
    stream: N::Stream,
    proxy: &Proxy,
    url: &Url,
    deadlines: &Deadlines<'_>,
) -> Result<N::Stream, SocketError> {
    let mut host = Cow::Borrowed(url.host());
    if proxy.protocol().resolves_locally() && host.parse::<IpAddr>().is_err() {
        let addresses = resolve(net, &host, url.port(), deadlines).await?;
        if let Some(address) = addresses.first() {
            host = Cow::Owned(address.ip().to_string());
        }
    }
    let mut asking = Asking {
        tunnel: Tunnel::new(proxy, &host, url.port()).map_err(ConnectError::Proxy)?,
        deadline: deadlines.of(Phase::Proxy, net.now()),
    };
    let mut io = N::io(stream);
    let mut buffer = ReadBuffer::default();
    match exchange(&mut io, &mut buffer, &mut asking).await {
        // A server that speaks before it was spoken to; or a proxy that says too much.
        Ok(()) if !buffer.is_empty() => Err(ConnectError::Proxy(ProxyError::Malformed).into()),
        Ok(()) => N::stream(io).map_err(|error| ConnectError::ProxyIo(error).into()),
        Err(SocketError::Io(error)) => Err(ConnectError::ProxyIo(error).into()),
        Err(error) => Err(error),
    }
}

struct Asking {
    tunnel: Tunnel,
    deadline: Option<Instant>,
}

impl Exchange for Asking {
    type Output = ();
    type Error = ConnectError;

    fn receive(
        &mut self,
        _now: Instant,
        input: &mut Input<'_>,
    ) -> Result<Option<()>, ConnectError> {
        self.tunnel.receive(input).map_err(ConnectError::Proxy)
    }

    fn output(&mut self) -> Option<&mut Bytes> {
        self.tunnel.poll_transmit()
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectError> {
        match self.deadline {
            Some(deadline) if deadline <= now => Err(ConnectError::Timeout(Phase::Proxy)),
            _ => Ok(()),
        }
    }

    fn handle_eof(&mut self) -> ConnectError {
        let error = self.tunnel.handle_eof().err();
        ConnectError::Proxy(error.unwrap_or(ProxyError::Eof))
    }
}
