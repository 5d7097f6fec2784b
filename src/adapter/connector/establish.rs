//! The way to a server, in phases, over whatever an adapter offers.

use core::future::{Future, ready};
use core::net::SocketAddr;
use std::borrow::Cow;
use std::io::{self, ErrorKind};
use std::vec::Vec;

use super::tunnel::tunnel;
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

    /// Connects to a Unix socket, where the system has any.
    fn connect_unix(
        &self,
        _path: &str,
        _deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Self::Stream, Failure>> + Send {
        ready(Err(io::Error::from(ErrorKind::Unsupported).into()))
    }

    /// Does the TLS handshake for this host. Not called unless there is TLS.
    fn secure(
        &self,
        _stream: Self::Stream,
        _connector: &Connector,
        _host: &str,
        _deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Self::Stream, Failure>> + Send {
        ready(Err(io::Error::from(ErrorKind::Unsupported).into()))
    }

    fn io(stream: Self::Stream) -> Self::Io;

    /// The stream again, as [`io`](Self::io) got it.
    fn stream(io: Self::Io) -> io::Result<Self::Stream>;
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
    let mut stream = reach(net, connector, url, deadlines).await?;
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
    connector: &Connector,
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
    let Some(proxy) = &connector.proxy else {
        return connect(net, url.host(), url.port(), deadlines).await;
    };
    // 6455-4.1-09, 6455-4.1-12.
    let stream = connect(net, proxy.host(), proxy.port(), deadlines).await?;
    tunnel(net, stream, proxy, url, deadlines).await
}

async fn connect<N: Net>(
    net: &N,
    host: &str,
    port: u16,
    deadlines: &Deadlines<'_>,
) -> Result<N::Stream, SocketError> {
    let addresses = resolve(net, host, port, deadlines).await?;
    let deadline = deadlines.of(Phase::Tcp, net.now());
    net.connect(&addresses, deadline)
        .await
        .map_err(|failure| failure.of(Phase::Tcp))
}

/// The addresses of a host, of which there is one at least.
pub(super) async fn resolve<N: Net>(
    net: &N,
    host: &str,
    port: u16,
    deadlines: &Deadlines<'_>,
) -> Result<Vec<SocketAddr>, SocketError> {
    let deadline = deadlines.of(Phase::Resolve, net.now());
    let result = net.resolve(host, port, deadline).await;
    let result = result.and_then(|addresses| match addresses.is_empty() {
        true => Err(io::Error::new(ErrorKind::NotFound, "the host has no address").into()),
        false => Ok(addresses),
    });
    result.map_err(|failure| failure.of(Phase::Resolve))
}

#[cfg(feature = "tokio")]
#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::format;
    use std::string::String;
    use std::sync::Mutex;
    use std::vec;

    use super::*;
    use crate::adapter::connector::PhaseTimeouts;
    use crate::tokio::TokioIo;

    /// Without TLS, and without a clock. The phases are noted, with how long each may take.
    #[derive(Default)]
    struct Paper(Mutex<Vec<String>>);

    impl Paper {
        fn note(&self, what: &str, deadline: Option<Instant>) {
            let seconds = deadline.map(|at| at.saturating_duration_since(self.now()).as_secs());
            self.0.lock().unwrap().push(format!("{what} {seconds:?}"));
        }
    }

    impl Net for Paper {
        type Stream = ::tokio::io::DuplexStream;
        type Io = TokioIo<Self::Stream>;

        const HAS_TLS: bool = false;

        fn now(&self) -> Instant {
            Instant::from_nanos(1_000_000_000)
        }

        async fn resolve(
            &self,
            host: &str,
            port: u16,
            deadline: Option<Instant>,
        ) -> Result<Vec<SocketAddr>, Failure> {
            self.note(&format!("resolve {host}:{port}"), deadline);
            match host {
                "empty.example" => Ok(vec![]),
                _ => Ok(vec![([127, 0, 0, 1], port).into()]),
            }
        }

        async fn connect(
            &self,
            addresses: &[SocketAddr],
            deadline: Option<Instant>,
        ) -> Result<Self::Stream, Failure> {
            self.note(&format!("connect {addresses:?}"), deadline);
            Err(Failure::Late)
        }

        async fn connect_unix(
            &self,
            path: &str,
            deadline: Option<Instant>,
        ) -> Result<Self::Stream, Failure> {
            self.note(&format!("connect {path}"), deadline);
            Err(Failure::Io(ErrorKind::NotFound.into()))
        }

        async fn secure(
            &self,
            stream: Self::Stream,
            _connector: &Connector,
            _host: &str,
            _deadline: Option<Instant>,
        ) -> Result<Self::Stream, Failure> {
            Ok(stream)
        }

        fn io(stream: Self::Stream) -> Self::Io {
            TokioIo::new(stream)
        }

        fn stream(io: Self::Io) -> io::Result<Self::Stream> {
            Ok(io.into_stream())
        }
    }

    fn attempt(connector: &Connector, url: &str) -> (SocketError, Vec<String>) {
        let net = Paper::default();
        let request = ClientRequest::new(url).unwrap();
        let builder = &mut ::tokio::runtime::Builder::new_current_thread();
        let runtime = builder.build().unwrap();
        let error = runtime.block_on(establish(&net, connector, &request)).err();
        (error.unwrap(), net.0.into_inner().unwrap())
    }

    /// 6455-4.1-13: nothing goes out in the open.
    #[test]
    fn tls_that_is_not_there() {
        let (error, notes) = attempt(&Connector::new(), "wss://h.example/");
        assert!(matches!(
            error,
            SocketError::Request(RequestError::NeedsTls)
        ));
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn each_phase_has_its_deadline() {
        let seconds = Duration::from_secs;
        let own = PhaseTimeouts::new()
            .with_resolve(seconds(2))
            .with_tcp(seconds(60));
        for (timeouts, resolve, connect) in [
            (PhaseTimeouts::new(), "Some(10)", "Some(10)"),
            (own.clone(), "Some(2)", "Some(10)"),
            (own.clone().with_total(seconds(30)), "Some(2)", "Some(30)"),
            (own.with_total(seconds(90)), "Some(2)", "Some(60)"),
        ] {
            let connector = Connector::new().with_timeouts(timeouts);
            let (error, notes) = attempt(&connector, "ws://h.example:81/");
            let is_timeout = matches!(
                error,
                SocketError::Connect(ConnectError::Timeout(Phase::Tcp))
            );
            assert!(is_timeout, "{error:?}");
            assert_eq!(
                notes,
                [
                    format!("resolve h.example:81 {resolve}"),
                    format!("connect [127.0.0.1:81] {connect}"),
                ]
            );
        }
    }

    #[test]
    fn a_host_without_addresses() {
        let (error, notes) = attempt(&Connector::new(), "ws://empty.example/");
        assert_eq!(error.phase(), Some(Phase::Resolve));
        assert_eq!(notes.len(), 1);
    }

    #[test]
    fn what_goes_where() {
        let proxy = crate::proxy::Proxy::parse("http://p.example:3128").unwrap();
        let proxied = Connector::new().with_proxy(proxy);
        let (error, notes) = attempt(&proxied, "ws://h.example/");
        assert_eq!(error.phase(), Some(Phase::Tcp));
        assert!(notes[0].starts_with("resolve p.example:3128 "));
        let (error, notes) = attempt(&proxied, "ws+unix:/a.sock:/b");
        assert_eq!(error.phase(), Some(Phase::Unix));
        assert_eq!(notes, ["connect /a.sock Some(10)"]);
    }
}
