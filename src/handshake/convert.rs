//! Requests and answers as types of the `http` crate.

use alloc::string::ToString as _;
use bytes::Bytes;

use ::http::header::{HeaderName, HeaderValue};
use ::http::{HeaderMap, Method, Uri, Version};

use super::client::Accepted;
use super::handover::{Answer, InvalidRequest};
use super::layout::Layout;
use super::offer::ClientOffer;
use super::request::{Kind, Request};
use super::url::Url;
use crate::config::{Config, Limits};
use crate::error::HandshakeError;
use crate::http::{Name, is_secret};

impl Request {
    /// Reads a request that an HTTP server has read, by the rules and within the limits of
    /// [`ServerHandshake`](super::ServerHandshake).
    ///
    /// Over HTTP/2 and HTTP/3 there is a `:protocol`, for which `http` has no place. Here an extended
    /// CONNECT is taken for one with `websocket` if it has a `Sec-WebSocket-Version`, which nothing
    /// else has a use for; [`from_http_extended`](Self::from_http_extended) is told which it is.
    ///
    /// ```
    /// use sockeye::Config;
    /// use sockeye::handshake::{Acceptance, OriginPolicy, Request, Scheme};
    ///
    /// /// The answer, and whether there is a WebSocket after it.
    /// fn decide(request: &http::Request<()>) -> Result<http::Response<bytes::Bytes>, http::Error> {
    ///     let config = Config::new();
    ///     let request = match Request::from_http(request, &config) {
    ///         Ok(request) => request,
    ///         Err(invalid) => return invalid.into_answer().try_into(),
    ///     };
    ///     let policy = OriginPolicy::same_origin(Scheme::Https);
    ///     let answer = match policy.check(&request) {
    ///         Ok(()) => Acceptance::new().answer(&request, &config).map(|(answer, _)| answer),
    ///         Err(refusal) => refusal.answer(&request),
    ///     };
    ///     answer.expect("without headers of our own").try_into()
    /// }
    ///
    /// let request = http::Request::get("/chat")
    ///     .header("Host", "server.example.com")
    ///     .header("Upgrade", "websocket")
    ///     .header("Connection", "Upgrade")
    ///     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    ///     .header("Sec-WebSocket-Version", "13")
    ///     .body(())?;
    /// let response = decide(&request)?;
    /// assert_eq!(response.status(), 101);
    /// assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ///
    /// let response = decide(&http::Request::get("/chat").header("Host", "h").body(())?)?;
    /// assert_eq!(response.status(), 426);
    /// assert_eq!(response.headers()["sec-websocket-version"], "13");
    /// # Ok::<(), http::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What is wrong, with the answer that says so.
    pub fn from_http<B>(
        request: &::http::Request<B>,
        config: &Config,
    ) -> Result<Self, InvalidRequest> {
        match request.version() {
            Version::HTTP_2 | Version::HTTP_3 => {
                // 8441-4-03: libraries refuse a CONNECT that has a path and no `:protocol`, and without
                // a path it is refused here. 8441-5-06: the version.
                let is_websocket = request.headers().contains_key(Name::Version.as_str());
                let protocol = is_websocket.then_some("websocket");
                Self::from_http_extended(request, protocol, config)
            }
            Version::HTTP_11 => read(request, config.limits())
                .map_err(|error| InvalidRequest::new(error, Kind::Upgrade)),
            _ => Err(InvalidRequest::new(
                HandshakeError::HttpVersion,
                Kind::Upgrade,
            )),
        }
    }

    /// As [`extended`](Self::extended), for a request that an HTTP/2 or HTTP/3 server has read.
    ///
    /// `protocol` is the `:protocol`, for which `http` has no place. Libraries put it into the
    /// extensions of the request, as a type of their own: `h2::ext::Protocol`,
    /// `hyper::ext::Protocol`, `h3::ext::Protocol`.
    ///
    /// ```
    /// use sockeye::Config;
    /// use sockeye::handshake::{InvalidRequest, Request};
    ///
    /// fn read<B>(request: &http::Request<B>, config: &Config) -> Result<Request, InvalidRequest> {
    ///     let protocol = request.extensions().get::<h2::ext::Protocol>();
    ///     Request::from_http_extended(request, protocol.map(|protocol| protocol.as_str()), config)
    /// }
    ///
    /// let request = http::Request::connect("https://server.example.com/chat")
    ///     .version(http::Version::HTTP_2)
    ///     .header("sec-websocket-version", "13")
    ///     .extension(h2::ext::Protocol::from_static("websocket"))
    ///     .body(())?;
    /// assert_eq!(read(&request, &Config::new())?.path(), "/chat");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`extended`](Self::extended).
    pub fn from_http_extended<B>(
        request: &::http::Request<B>,
        protocol: Option<&str>,
        config: &Config,
    ) -> Result<Self, InvalidRequest> {
        let uri = request.uri();
        let pseudo = [
            (":method", Some(request.method().as_str())),
            (":protocol", protocol),
            (":scheme", uri.scheme_str()),
            (
                ":authority",
                uri.authority().map(|authority| authority.as_str()),
            ),
            (":path", uri.path_and_query().map(|target| target.as_str())),
        ];
        let pseudo = pseudo
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?.as_bytes())));
        Self::extended(pseudo.chain(lines(request.headers())), config)
    }
}

fn read<B>(request: &::http::Request<B>, limits: &Limits) -> Result<Request, HandshakeError> {
    let mut layout = Layout::new(limits);
    let target = request.uri().to_string();
    let start = layout.request_line(request.method().as_str().as_bytes(), target.as_bytes())?;
    for (name, value) in lines(request.headers()) {
        layout.field(name.as_bytes(), value)?;
    }
    Request::validate(layout.finish(start), false)
}

fn lines(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
}

impl TryFrom<Answer> for ::http::Response<Bytes> {
    type Error = ::http::Error;

    /// Fails only for what `http` has no room for, such as a header name of 64 KiB.
    fn try_from(answer: Answer) -> Result<Self, ::http::Error> {
        let mut response = Self::new(answer.body().clone());
        *response.status_mut() = answer.status().try_into()?;
        *response.headers_mut() = header_map(answer.fields())?;
        Ok(response)
    }
}

impl ClientOffer {
    /// The request to send.
    ///
    /// Over HTTP/1.1 its URI is just the target, as on the wire. Clients that connect by themselves
    /// want to see where to, and so need the whole one:
    ///
    /// ```
    /// # use sockeye::{Config, handshake::{ClientOffer, ClientRequest}};
    /// # let request = ClientRequest::new("ws://server.example.com:8080/chat?room=1")?;
    /// let offer = ClientOffer::upgrade(&Config::new(), &request, [0; 16])?; // a nonce in earnest
    /// let mut request = offer.http_request()?;
    /// assert_eq!(request.uri(), "/chat?room=1");
    /// *request.uri_mut() = offer.url().try_into()?;
    /// assert_eq!(request.uri(), "http://server.example.com:8080/chat?room=1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Over HTTP/2 and HTTP/3 the `:protocol` has to be added, which is `websocket`, as the
    /// extension that the library knows:
    ///
    /// ```
    /// # use sockeye::{Config, handshake::{ClientOffer, ClientRequest}};
    /// # let request = ClientRequest::new("wss://server.example.com/chat")?;
    /// let offer = ClientOffer::extended(&Config::new(), &request, true)?;
    /// let mut request = offer.http_request()?;
    /// assert_eq!(request.method(), "CONNECT");
    /// assert_eq!(request.uri(), "https://server.example.com/chat");
    /// request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What `http` has no room for, such as a URL of 64 KiB.
    pub fn http_request(&self) -> Result<::http::Request<()>, ::http::Error> {
        let mut request = ::http::Request::new(());
        if self.is_extended() {
            *request.method_mut() = Method::CONNECT;
            *request.version_mut() = Version::HTTP_2;
            *request.uri_mut() = self.url().try_into()?;
        } else {
            *request.uri_mut() = self.url().target().try_into()?;
        }
        *request.headers_mut() = header_map(self.fields().filter(|(name, _)| !is_pseudo(name)))?;
        Ok(request)
    }

    /// As [`check`](Self::check).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), and [`HandshakeError::HttpVersion`] for an upgrade over HTTP/1.0.
    pub fn check_http<B>(
        &self,
        response: &::http::Response<B>,
    ) -> Result<Accepted, HandshakeError> {
        let status = response.status().as_u16();
        if status == 101 && response.version() != Version::HTTP_11 {
            return Err(HandshakeError::HttpVersion);
        }
        self.check(status, lines(response.headers()))
    }
}

impl TryFrom<&Url> for Uri {
    type Error = ::http::Error;

    /// The same resource in HTTP, with `http` for `ws` and `https` for `wss`. Fails only for a URL of
    /// 64 KiB.
    fn try_from(url: &Url) -> Result<Self, ::http::Error> {
        let parts = [url.http_scheme(), "://", url.authority(), url.target()];
        Ok(parts.concat().try_into()?)
    }
}

fn header_map<'a>(
    fields: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Result<HeaderMap, ::http::Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let mut value = HeaderValue::from_bytes(value)?;
        // For debug output, and RFC 7541 section 7.1.3: never in a table that is shared.
        value.set_sensitive(is_secret(name));
        headers.try_append(HeaderName::from_bytes(name.as_bytes())?, value)?;
    }
    Ok(headers)
}

fn is_pseudo(name: &str) -> bool {
    name.starts_with(':')
}
