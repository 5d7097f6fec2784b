//! How a client reaches a server: settings, phases and errors.
//!
//! A [`Connector`] is made once and used for every connection, by `connect_through` and
//! `reconnect_through` of each adapter. What it does, in this order:
//!
//! 1. [`Phase::Resolve`]: looks the host up, or that of the proxy.
//! 2. [`Phase::Tcp`]: connects to its addresses, IPv6 and IPv4 in turn, the next one 250 ms after the one
//!    before or as soon as that failed. The first that answers is taken (RFC 8305). Or [`Phase::Unix`],
//!    for `ws+unix:` URLs.
//! 3. [`Phase::Proxy`], if there is one: asks it for a tunnel to the server.
//! 4. [`Phase::Tls`], for `wss`.
//! 5. [`Phase::Handshake`], the opening handshake.
//! 6. [`Phase::Redirect`], if the server answers with one: again from the start, as far as
//!    [`Redirects`] allow.
//!
//! ```no_run
//! use core::time::Duration;
//! use sockeye::connector::{Connector, PhaseTimeouts};
//! use sockeye::handshake::{ClientRequest, Redirects};
//! use sockeye::{Config, blocking};
//!
//! let connector = Connector::new()
//!     .with_config(Config::new())
//!     .with_redirects(Redirects::few())
//!     .with_timeouts(PhaseTimeouts::new().with_tcp(Duration::from_secs(3)));
//! let request = ClientRequest::new("ws://chat.example/")?;
//! match blocking::connect_through(&connector, &request) {
//!     Ok((mut ws, _)) => ws.send("hello")?,
//!     Err(error) => eprintln!("{:?} failed: {error}", error.phase()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(any(feature = "tokio", feature = "futures"))]
mod attempts;
mod error;
mod establish;
mod race;
#[cfg(any(
    all(feature = "blocking", feature = "rustls"),
    feature = "tokio-rustls",
    feature = "futures-rustls"
))]
mod session;
mod tunnel;

use core::time::Duration;

#[cfg(any(feature = "tokio", feature = "futures"))]
pub(super) use attempts::connect;
pub use error::{ConnectError, Phase};
pub(super) use establish::{Failure, Net, establish};
#[cfg(feature = "blocking")]
pub(super) use race::Race;

use crate::handshake::Redirects;
use crate::proxy::Proxy;
#[cfg(feature = "rustls")]
use crate::tls::Tls;
use crate::{Config, Instant};

/// What all connections of a client have in common. Clones are cheap.
///
/// ```
/// use sockeye::Connector;
/// use sockeye::handshake::ClientRequest;
///
/// # async fn run() -> Result<(), sockeye::SocketError> {
/// let connector = Connector::new();
/// let request = ClientRequest::new("ws://127.0.0.1:9001/")?;
/// let (mut ws, response) = sockeye::tokio::connect_through(&connector, &request).await?;
/// ws.send("hello").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Connector {
    config: Config,
    proxy: Option<Proxy>,
    redirects: Redirects,
    timeouts: PhaseTimeouts,
    #[cfg(feature = "rustls")]
    tls: Tls,
}

impl Connector {
    /// The default settings: those of [`Config::new`], the platform's certificates, no redirects, and
    /// no bound but that for everything.
    pub fn new() -> Self {
        Self::from(&Config::new())
    }

    /// Sets what the connections go by.
    #[must_use]
    pub fn with_config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets which servers are trusted, and how TLS is spoken with them. Default: [`Tls::platform`].
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Sets a proxy that all connections go through, but for those to Unix sockets; `None` for none,
    /// which is the default. Nothing is read of the environment.
    ///
    /// The proxy sees the server's name and port; what `wss` carries it does not see.
    #[must_use]
    pub fn with_proxy(mut self, proxy: impl Into<Option<Proxy>>) -> Self {
        self.proxy = proxy.into();
        self
    }

    /// Sets which redirects are followed. Default: [`Redirects::none`].
    #[must_use]
    pub fn with_redirects(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    /// Sets how long each phase may take. Default: [`PhaseTimeouts::new`].
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: PhaseTimeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// What the connections go by.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How TLS is spoken.
    #[cfg(feature = "rustls")]
    pub fn tls(&self) -> &Tls {
        &self.tls
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

impl From<&Config> for Connector {
    fn from(config: &Config) -> Self {
        Self {
            config: config.clone(),
            proxy: None,
            redirects: Redirects::none(),
            timeouts: PhaseTimeouts::new(),
            #[cfg(feature = "rustls")]
            tls: Tls::platform(),
        }
    }
}

/// How long each phase on the way to a server may take.
///
/// Everything together, redirects included, may take as long as the opening handshake alone
/// ([`Timeouts::with_handshake`](crate::Timeouts::with_handshake), 10 seconds by default), unless
/// [`with_total`](Self::with_total) says otherwise. A phase has no bound but that, unless it is given one
/// here: worth it where the next attempt, or the next address, is a better hope than to wait on.
///
/// ```
/// use core::time::Duration;
/// use sockeye::connector::PhaseTimeouts;
///
/// let timeouts = PhaseTimeouts::new()
///     .with_tcp(Duration::from_secs(3))
///     .with_tls(Duration::from_secs(3));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseTimeouts {
    resolve: Option<Duration>,
    tcp: Option<Duration>,
    proxy: Option<Duration>,
    tls: Option<Duration>,
    total: Option<Duration>,
}

impl PhaseTimeouts {
    /// No bound but that for everything.
    pub const fn new() -> Self {
        Self {
            resolve: None,
            tcp: None,
            proxy: None,
            tls: None,
            total: None,
        }
    }

    /// Bounds the lookup of the host's addresses.
    #[must_use]
    pub fn with_resolve(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.resolve = timeout.into();
        self
    }

    /// Bounds the attempts to connect to these addresses, all together; or that to the Unix socket.
    #[must_use]
    pub fn with_tcp(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.tcp = timeout.into();
        self
    }

    /// Bounds how long a proxy may take for a tunnel, which includes that it connects to the server.
    #[must_use]
    pub fn with_proxy(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.proxy = timeout.into();
        self
    }

    /// Bounds the TLS handshake.
    #[must_use]
    pub fn with_tls(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.tls = timeout.into();
        self
    }

    /// Bounds everything together, redirects included. Then the timeout of the opening handshake is
    /// that phase's own, for each request, and this one ends it too.
    #[must_use]
    pub fn with_total(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.total = timeout.into();
        self
    }

    fn of(&self, phase: Phase) -> Option<Duration> {
        match phase {
            Phase::Resolve => self.resolve,
            Phase::Tcp | Phase::Unix => self.tcp,
            Phase::Proxy => self.proxy,
            Phase::Tls => self.tls,
            Phase::Handshake | Phase::Redirect => None,
        }
    }
}

impl Default for PhaseTimeouts {
    fn default() -> Self {
        Self::new()
    }
}

/// The deadlines of one way to a server.
struct Deadlines<'a> {
    timeouts: &'a PhaseTimeouts,
    end: Option<Instant>,
}

impl<'a> Deadlines<'a> {
    fn new(connector: &'a Connector, started: Instant) -> Self {
        let timeouts = &connector.timeouts;
        let handshake = connector.config.timeouts().handshake();
        let total = timeouts.total.or(handshake);
        Self {
            timeouts,
            end: total.map(|total| started + total),
        }
    }

    /// When a phase that begins now must be over.
    fn of(&self, phase: Phase, now: Instant) -> Option<Instant> {
        let own = self.timeouts.of(phase).map(|timeout| now + timeout);
        earlier(own, self.end)
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
