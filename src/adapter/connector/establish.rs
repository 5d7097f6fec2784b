//! The way to a server, in phases, over whatever an adapter offers.

use core::future::Future;
use core::net::SocketAddr;
use std::borrow::Cow;
use std::io;
use std::vec::Vec;

use super::{ConnectError, Connector, Deadlines, Phase};
use crate::adapter::connect::client;
use crate::adapter::{ReadIo, SocketError, WebSocket, WriteIo};
use crate::handshake::{ClientRequest, RequestError, Response, Url};
use crate::{HandshakeError, Instant};

/// What an adapter does for a connector. Each keeps the deadline that it is given.
pub(in crate::adapter) trait Net {
    type Stream: Send;
    type Io: ReadIo + WriteIo + Send;

    /// Whether it can speak TLS.
    const HAS_TLS: bool;

    fn now(&self) -> Instant;

    /// Looks up a host, which may be an address itself.
    fn resolve(
        &self,
        host: &str,
        port: u16,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Vec<SocketAddr>, Failure>> + Send;

    /// Connects to one of these addresses, without Nagle's delay.
    fn connect(
        &self,
        addresses: &[SocketAddr],
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Self::Stream, Failure>> + Send;

    fn connect_unix(
        &self,
        path: &str,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Self::Stream, Failure>> + Send;

    /// Does the TLS handshake for this host. Not called unless there is TLS.
    fn secure(
        &self,
        stream: Self::Stream,
        connector: &Connector,
        host: &str,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Self::Stream, Failure>> + Send;

    fn io(stream: Self::Stream) -> Self::Io;
}

/// Why a phase failed.
pub(in crate::adapter) enum Failure {
    Io(io::Error),
    Late,
}

impl Failure {
    fn of(self, phase: Phase) -> SocketError {
        SocketError::Connect(match self {
            Self::Io(error) => ConnectError::from_io(phase, error),
            Self::Late => ConnectError::Timeout(phase),
        })
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Connects, and again where redirects lead to.
pub(in crate::adapter) async fn establish<N: Net>(
    net: &N,
    connector: &Connector,
    request: &ClientRequest,
) -> Result<(WebSocket<N::Io>, Response), SocketError> {
    let deadlines = Deadlines::new(connector, net.now());
    let mut request = Cow::Borrowed(request);
    let mut before = Vec::new();
    loop {
        let result = attempt(net, connector, &request, &deadlines).await;
        let Err(SocketError::Handshake(HandshakeError::Refused(response))) = result else {
            return result;
        };
        match connector.redirects.follow(&request, &response, &before) {
            Ok(None) => return Err(HandshakeError::Refused(response).into()),
            Ok(Some(next)) => {
                before.push(request.url().clone());
                request = Cow::Owned(next);
            }
            Err(error) => return Err(ConnectError::Redirect { error, response }.into()),
        }
    }
}

async fn attempt<N: Net>(
    net: &N,
    connector: &Connector,
    request: &ClientRequest,
    deadlines: &Deadlines<'_>,
) -> Result<(WebSocket<N::Io>, Response), SocketError> {
    let url = request.url();
    if url.is_secure() && !N::HAS_TLS {
        return Err(RequestError::NeedsTls.into());
    }
    let mut stream = reach(net, url, deadlines).await?;
    if url.is_secure() {
        // 6455-4.1-13 to 6455-4.1-16.
        let deadline = deadlines.of(Phase::Tls, net.now());
        stream = net
            .secure(stream, connector, url.host(), deadline)
            .await
            .map_err(|failure| failure.of(Phase::Tls))?;
    }
    let now = net.now();
    let mut config = Cow::Borrowed(&connector.config);
    let own = config.timeouts().handshake();
    let left = deadlines.end.map(|end| end.saturating_duration_since(now));
    if let Some(left) = left.filter(|left| own.is_none_or(|own| *left < own)) {
        let timeouts = config.timeouts().clone().with_handshake(Some(left));
        config = Cow::Owned(config.into_owned().with_timeouts(timeouts));
    }
    client(N::io(stream), request, &config, now).await
}

/// Connects to where a URL is served.
async fn reach<N: Net>(
    net: &N,
    url: &Url,
    deadlines: &Deadlines<'_>,
) -> Result<N::Stream, SocketError> {
    if let Some(path) = url.socket_path() {
        let deadline = deadlines.of(Phase::Unix, net.now());
        return net
            .connect_unix(path, deadline)
            .await
            .map_err(|failure| failure.of(Phase::Unix));
    }
    let deadline = deadlines.of(Phase::Resolve, net.now());
    let addresses = net
        .resolve(url.host(), url.port(), deadline)
        .await
        .map_err(|failure| failure.of(Phase::Resolve))?;
    let deadline = deadlines.of(Phase::Tcp, net.now());
    net.connect(&addresses, deadline)
        .await
        .map_err(|failure| failure.of(Phase::Tcp))
}
