//! Which pages may connect (RFC 6454, RFC 6455 section 10.2).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv6Addr;

use super::answer::Refusal;
use super::request::Request;
use crate::error::OriginError;

/// Which pages may open a connection, decided before the upgrade.
///
/// Browsers let *any* page connect to any server, and send the user's cookies along. What they do
/// not let a page do is lie about its `Origin`. A server that knows its users by cookies, or by
/// where they are in the network, must look at it: otherwise every page on the web can act as the
/// user who visits it (cross-site WebSocket hijacking).
///
/// ```
/// use sockeye::handshake::{OriginPolicy, Scheme};
///
/// let policy = OriginPolicy::same_origin(Scheme::Https)
///     .or(OriginPolicy::patterns(["https://*.example.com"])?);
/// assert!(policy.admits(Some("https://chat.example.net"), "chat.example.net"));
/// assert!(policy.admits(Some("https://www.example.com"), "chat.example.net"));
/// assert!(!policy.admits(Some("https://example.com.evil"), "chat.example.net"));
/// # Ok::<(), sockeye::handshake::OriginError>(())
/// ```
///
/// # What is compared
///
/// Scheme, host and port, never parts of strings. ASCII case does not matter, a missing port is the
/// default port of `http` or `https`, and IPv6 addresses are compared as numbers. An origin is
/// nothing but these three: with a slash behind it, a path, a user name, an empty label (so a dot
/// at the end too), an escape or anything outside ASCII, it is refused. International names have
/// their ASCII form (`xn--...`) on both sides, as browsers send them.
///
/// `null` stands for pages without an origin of their own, such as sandboxed frames, which any site
/// can make. Only [`any`](Self::any) and [`custom`](Self::custom) can admit it.
///
/// # Requests without an origin
///
/// They do not come from a browser (RFC 6455 section 4.2.1), so no page is behind them and no
/// user's cookies are with them. Default: they are admitted, because most clients that are no
/// browsers send none. [`with_required_origin`](Self::with_required_origin) refuses them.
///
/// That keeps nobody out: a client that is no browser can send any origin (RFC 6455 section 10.1).
/// A policy is about pages; for users there are [`Basic`](super::Basic) and
/// [`Bearer`](super::Bearer).
#[derive(Clone)]
pub struct OriginPolicy {
    /// One of them has to admit the origin.
    rules: Vec<Rule>,
    requires_origin: bool,
}

/// What the pages of a server are fetched with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// `http`: the server speaks plain text, and so does whatever is in front of it.
    Http,
    /// `https`: the server speaks TLS, or a proxy does so for it.
    Https,
}

#[derive(Clone)]
enum Rule {
    Same(Scheme),
    Exact(Origin),
    /// Hosts that end in this one, with at least a label more.
    Below(Origin),
    Any,
    Custom(Arc<Decide>),
}

type Decide = dyn Fn(&str, &str) -> bool + Send + Sync;

impl OriginPolicy {
    /// Admits the server's own pages: the origin's host and port are those of the request's `Host`,
    /// and its scheme is `scheme`.
    ///
    /// A request does not tell whether TLS is in front of the server, so it has to be said.
    /// Admitting both would let whoever can forge plain `http` pages use the connections of
    /// `https` ones.
    ///
    /// A proxy must pass on the `Host` that the browser sent; where it does not, name the origin
    /// with [`exact`](Self::exact). Do so too where a page gains something by just reaching the
    /// server, such as a service on the user's own machine: attackers can have a name of their
    /// own resolve to its address (DNS rebinding), and then `Host` and `Origin` are both that
    /// name.
    pub fn same_origin(scheme: Scheme) -> Self {
        Self::new(vec![Rule::Same(scheme)])
    }

    /// Admits these origins, such as `https://example.com` or `http://localhost:3000`; without any,
    /// no page at all.
    ///
    /// # Errors
    ///
    /// [`OriginError`] if one of them is no origin. A `*` is an error too: see
    /// [`patterns`](Self::patterns).
    pub fn exact<S: AsRef<str>>(origins: impl IntoIterator<Item = S>) -> Result<Self, OriginError> {
        let exact = |origin: S| Origin::parse(origin.as_ref()).map(Rule::Exact);
        let rules: Result<_, _> = origins.into_iter().map(exact).collect();
        rules.map(Self::new)
    }

    /// Admits origins that match one of these, such as `https://*.example.com`.
    ///
    /// The `*` is the first label of the host and stands for one or more whole labels: `a` and
    /// `a.b`, but not for none, so the pattern does not admit `https://example.com`. Scheme and port
    /// are always exact. Without a `*` it is an origin as in [`exact`](Self::exact), so a list may
    /// have both.
    ///
    /// It admits whoever can have a page on *any* name below, forgotten ones included. Below the
    /// name of a hoster, such as `*.github.io`, that is everybody.
    ///
    /// # Errors
    ///
    /// [`OriginError`] if one of them is no origin, or has its `*` elsewhere or before an IP
    /// address.
    pub fn patterns<S: AsRef<str>>(
        patterns: impl IntoIterator<Item = S>,
    ) -> Result<Self, OriginError> {
        let pattern = |pattern: S| Rule::parse(pattern.as_ref());
        let rules: Result<_, _> = patterns.into_iter().map(pattern).collect();
        rules.map(Self::new)
    }

    /// Admits every origin, `null` and what is none included: for services that are public, and to
    /// which a cookie or the user's place in the network means nothing.
    pub fn any() -> Self {
        Self::new(vec![Rule::Any])
    }

    /// Admits what `decide` does, which gets the origin and the request's `Host` as they came: the
    /// origin may be `null`, or no origin at all, and case was not touched. It is not called for
    /// requests without an origin.
    ///
    /// Compare the whole origin. `starts_with("https://example.com")` admits
    /// `https://example.com.evil`, and `ends_with("example.com")` admits `https://evilexample.com`.
    ///
    /// ```
    /// use sockeye::handshake::OriginPolicy;
    ///
    /// // Whatever port a page under development is on.
    /// let local = OriginPolicy::custom(|origin, _host| {
    ///     origin
    ///         .strip_prefix("http://localhost:")
    ///         .is_some_and(|port| port.parse::<u16>().is_ok())
    /// });
    /// assert!(local.admits(Some("http://localhost:5173"), "localhost:9001"));
    /// assert!(!local.admits(Some("http://localhost:1.evil"), "localhost:9001"));
    /// ```
    pub fn custom(decide: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Self {
        Self::new(vec![Rule::Custom(Arc::new(decide))])
    }

    fn new(rules: Vec<Rule>) -> Self {
        Self {
            rules,
            requires_origin: false,
        }
    }

    /// Admits what either policy does. Requests without an origin are refused if one of the two
    /// refuses them.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.rules.extend(other.rules);
        self.requires_origin |= other.requires_origin;
        self
    }

    /// Refuses requests without an origin: for services that only pages use.
    ///
    /// Default: they are admitted, see [above](Self#requests-without-an-origin).
    #[must_use]
    pub fn with_required_origin(mut self) -> Self {
        self.requires_origin = true;
        self
    }

    /// Judges a request by its `Origin`.
    ///
    /// Requests with two `Origin` lines, or with one that is not printable ASCII, do not get here:
    /// the handshake answered them with 400.
    ///
    /// ```
    /// # #[cfg(feature = "tokio")]
    /// # mod example {
    /// use sockeye::handshake::{Acceptance, OriginPolicy};
    /// use sockeye::{Config, SocketError};
    /// use tokio::net::TcpStream;
    ///
    /// async fn serve(stream: TcpStream, policy: &OriginPolicy) -> Result<(), SocketError> {
    ///     let upgrade = sockeye::tokio::receive(stream, &Config::new()).await?;
    ///     if let Err(refusal) = policy.check(upgrade.request()) {
    ///         return upgrade.reject(refusal).await;
    ///     }
    ///     let mut ws = upgrade.accept(Acceptance::new()).await?;
    ///     // ...
    /// #   ws.send("welcome").await
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The answer that refuses it, with status 403 (RFC 6455 section 4.2.2).
    pub fn check(&self, request: &Request) -> Result<(), Refusal> {
        if self.admits(request.origin(), request.host()) {
            Ok(())
        } else {
            // 6455-4.2.2-06, 6455-10.2-02.
            Err(Refusal::new(403).with_body("This origin may not connect\n"))
        }
    }

    /// Judges the values of `Origin` and `Host`, for upgrades that an HTTP server does. There must
    /// be at most one `Origin`: refuse requests with more.
    pub fn admits(&self, origin: Option<&str>, host: &str) -> bool {
        let Some(text) = origin else {
            // 6455-4.2.1-09.
            return !self.requires_origin;
        };
        let origin = Origin::parse(text).ok();
        let is = |other: &Origin| origin.as_ref() == Some(other);
        self.rules.iter().any(|rule| match rule {
            Rule::Same(scheme) => Origin::new(scheme.name(), host).is_ok_and(|own| is(&own)),
            Rule::Exact(listed) => is(listed),
            Rule::Below(base) => origin.as_ref().is_some_and(|origin| origin.is_below(base)),
            Rule::Any => true,
            Rule::Custom(decide) => decide(text, host),
        })
    }
}

impl fmt::Debug for OriginPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginPolicy")
            .field("rules", &self.rules)
            .field("requires_origin", &self.requires_origin)
            .finish()
    }
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Rule {
    fn parse(pattern: &str) -> Result<Self, OriginError> {
        let Some((scheme, base)) = pattern.split_once("://*.") else {
            return Origin::parse(pattern).map(Self::Exact);
        };
        let base = Origin::new(scheme, base)?;
        match &base.host {
            Host::Name(name) if !ends_in_number(name) => Ok(Self::Below(base)),
            // `*.0.0.1` would match 127.0.0.1, whose labels are no domains.
            Host::Name(_) | Host::Address(_) => Err(OriginError::Wildcard),
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(scheme) => f.debug_tuple("Same").field(scheme).finish(),
            Self::Exact(origin) => f.debug_tuple("Exact").field(origin).finish(),
            Self::Below(base) => f.debug_tuple("Below").field(base).finish(),
            Self::Any => f.write_str("Any"),
            Self::Custom(_) => f.write_str("Custom"),
        }
    }
}

/// An origin that is not opaque (RFC 6454 section 4), in one form: equal means the same origin.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    /// INVARIANT: lower case.
    scheme: Box<str>,
    host: Host,
    /// `None` if there is neither a port nor a default.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// INVARIANT: lower case, without empty labels. An IPv4 address is a name here: browsers write
    /// it in one form only.
    Name(Box<str>),
    Address(Ipv6Addr),
}

impl Origin {
    /// Reads what RFC 6454 section 6.2 writes, and nothing else.
    fn parse(origin: &str) -> Result<Self, OriginError> {
        let (scheme, authority) = origin.split_once("://").ok_or(OriginError::Scheme)?;
        Self::new(scheme, authority)
    }

    fn new(scheme: &str, authority: &str) -> Result<Self, OriginError> {
        if scheme.contains('*') || authority.contains('*') {
            return Err(OriginError::Wildcard);
        }
        let scheme = parse_scheme(scheme).ok_or(OriginError::Scheme)?;
        // Browsers take a backslash for a slash.
        if authority.contains(['/', '\\', '?', '#']) {
            return Err(OriginError::Path);
        }
        let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
            let (address, rest) = rest.split_once(']').ok_or(OriginError::Host)?;
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':').ok_or(OriginError::Port)?),
            };
            let address = address.parse().map_err(|_| OriginError::Host)?;
            (Host::Address(address), port)
        } else {
            let (name, port) = match authority.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (authority, None),
            };
            (Host::Name(parse_name(name).ok_or(OriginError::Host)?), port)
        };
        let port = match port {
            Some(port) => Some(parse_port(port).ok_or(OriginError::Port)?),
            // RFC 6454 section 4, step 5.
            None => default_port(&scheme),
        };
        Ok(Self { scheme, host, port })
    }

    fn is_below(&self, base: &Self) -> bool {
        let (Host::Name(name), Host::Name(base_name)) = (&self.host, &base.host) else {
            return false;
        };
        // Labels are not empty, so in front of a dot there is at least one.
        let has_more_labels = name
            .strip_suffix(&**base_name)
            .is_some_and(|rest| rest.ends_with('.'));
        has_more_labels && self.scheme == base.scheme && self.port == base.port
    }
}

/// RFC 3986 section 3.1. No page comes from `ws:`, so in a list that is a mistake.
fn parse_scheme(scheme: &str) -> Option<Box<str>> {
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(is_byte)
        && !["ws", "wss"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(scheme));
    is_scheme.then(|| lower(scheme))
}

/// A name that can be looked up. No escapes, which would make two spellings of one name, and no
/// `@`, in front of which is not the host.
fn parse_name(name: &str) -> Option<Box<str>> {
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_byte);
    name.split('.').all(is_label).then(|| lower(name))
}

/// 1 to 65535 as browsers write it: no sign, no leading zeros.
fn parse_port(port: &str) -> Option<u16> {
    let is_number = !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|_| is_number)
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Whether a browser takes a host, in lower case, for an IPv4 address rather than a domain.
fn ends_in_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn lower(text: &str) -> Box<str> {
    text.to_ascii_lowercase().into()
}
