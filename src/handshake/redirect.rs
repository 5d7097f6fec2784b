//! Whether a client follows a redirect, and where to.

use alloc::vec::Vec;

use super::opening::ClientRequest;
use super::url::Url;
use crate::error::{RedirectError, UrlError};
use crate::http::Response;

/// How many redirects are a few: enough for a name without `www`, a move to TLS, a login and
/// a region, each by itself; a client that goes further is mostly in a circle.
const FEW: u32 = 5;

/// Which redirects a client follows. The default of a connector is none.
///
/// A server may answer the opening handshake with a redirect, and a client need not follow it (RFC 6455
/// section 4.1). [`none`](Self::none) leaves it to the application, which gets the refusal with the response. What
/// [`follow`](Self::follow) decides, the adapters' connectors do.
///
/// These are followed: 301, 302, 303, 307 and 308 with one `Location`, relative ones too; `http:` in it
/// stands for `ws:` and `https:` for `wss:`. These are not: from `wss` to `ws`; to or from a Unix socket;
/// to a URL that was requested before; more than are allowed in a row.
///
/// To another scheme, host or port, `Authorization`, `Cookie` and `Proxy-Authorization` are not sent.
/// Other headers and the subprotocols are, so put no secrets into them. A client certificate, as
/// `Tls::custom` may have one, is the connector's: it is offered to whichever server asks for one.
///
/// ```
/// # #[cfg(feature = "blocking")] {
/// use sockeye::Connector;
/// use sockeye::handshake::Redirects;
///
/// let connector = Connector::new().with_redirects(Redirects::few());
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirects {
    max: u32,
}

impl Redirects {
    /// Follows none: a redirect is a refusal like others.
    pub const fn none() -> Self {
        Self { max: 0 }
    }

    /// Follows up to five in a row.
    pub const fn few() -> Self {
        Self::up_to(FEW)
    }

    /// Follows up to so many in a row.
    pub const fn up_to(max: u32) -> Self {
        Self { max }
    }

    /// The request to make after `response` was the answer to `request`, which itself was made after
    /// those for the URLs in `before`, without that of `request`.
    ///
    /// `None` if that is no redirect, or if none are followed.
    ///
    /// # Errors
    ///
    /// [`RedirectError`] if it is a redirect that must not be followed.
    pub fn follow(
        &self,
        request: &ClientRequest,
        response: &Response,
        before: &[Url],
    ) -> Result<Option<ClientRequest>, RedirectError> {
        if self.max == 0 || !is_redirect(response.status()) {
            return Ok(None);
        }
        if before.len() >= usize::try_from(self.max).unwrap_or(usize::MAX) {
            return Err(RedirectError::TooMany);
        }
        let from = request.url();
        let to = from
            .join(location(response)?)
            .map_err(RedirectError::Location)?;
        if from.is_secure() && !to.is_secure() {
            return Err(RedirectError::Insecure);
        }
        if from.socket_path() != to.socket_path() {
            return Err(RedirectError::Socket);
        }
        if to == *from || before.contains(&to) {
            return Err(RedirectError::Loop);
        }
        Ok(Some(request.clone().redirected(to)))
    }
}

/// The statuses that tell a client to make the same request elsewhere (RFC 9110 section 15.4). With GET
/// they are all the same.
const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// The only `Location` (RFC 9110 section 10.2.2).
fn location(response: &Response) -> Result<&str, RedirectError> {
    let values: Vec<_> = response
        .headers()
        .filter(|(name, _)| name.eq_ignore_ascii_case("Location"))
        .take(2)
        .collect();
    // Of two, somebody in between may have looked at the other one.
    let [(_, value)] = values.as_slice() else {
        return Err(RedirectError::NoLocation);
    };
    core::str::from_utf8(value).map_err(|_| RedirectError::Location(UrlError::NotAscii))
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};

    use super::*;
    use crate::handshake::ClientHandshake;
    use crate::{Config, HandshakeError, Input, Instant};

    fn response(status: u16, headers: &str) -> Response {
        let request = ClientRequest::new("ws://h/").unwrap();
        let now = Instant::from_nanos(0);
        let mut handshake = ClientHandshake::new(&Config::new(), &request, [0; 16], now).unwrap();
        handshake.poll_transmit().unwrap().clear();
        let head = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n{headers}\r\n");
        let mut head = head.into_bytes();
        match handshake.receive(now, &mut Input::new(&mut head)) {
            Err(HandshakeError::Refused(response)) => *response,
            other => panic!("{other:?}"),
        }
    }

    fn moved(to: &str) -> Response {
        response(301, &format!("Location: {to}\r\n"))
    }

    fn follow(
        redirects: &Redirects,
        from: &str,
        response: &Response,
        before: &[&str],
    ) -> Result<Option<String>, RedirectError> {
        let before: Vec<_> = before.iter().map(|url| url.parse().unwrap()).collect();
        let request = ClientRequest::new(from).unwrap();
        let next = redirects.follow(&request, response, &before)?;
        Ok(next.map(|next| next.url().to_string()))
    }

    #[test]
    fn statuses() {
        for (status, is_followed) in [
            (200, false),
            (300, false),
            (301, true),
            (302, true),
            (303, true),
            (304, false),
            (305, false),
            (307, true),
            (308, true),
            (401, false),
            (503, false),
        ] {
            let response = response(status, "Location: /b\r\n");
            let next = follow(&Redirects::few(), "ws://h/a", &response, &[]).unwrap();
            assert_eq!(next.as_deref(), is_followed.then_some("ws://h/b"));
            let next = follow(&Redirects::none(), "ws://h/a", &response, &[]);
            assert_eq!(next, Ok(None));
        }
    }

    #[test]
    fn targets() {
        for (from, location, to) in [
            ("ws://h/a/b", "../c?d", Ok("ws://h/c?d")),
            ("ws://h/a", "https://g/", Ok("wss://g/")),
            ("wss://h/a", "wss://g:444/", Ok("wss://g:444/")),
            ("wss://h/a", "http://h/b", Err(RedirectError::Insecure)),
            ("wss://h/a", "ws://h/b", Err(RedirectError::Insecure)),
            ("ws://h/a", "/a", Err(RedirectError::Loop)),
            ("ws://h/a", "http://H:80/a#x", Err(RedirectError::Loop)),
            ("ws://h/a", "ws+unix:/s:/", Err(RedirectError::Socket)),
            ("ws+unix:/s:/a", "ws://h/", Err(RedirectError::Socket)),
            ("ws+unix:/s:/a", "ws+unix:/t:/", Err(RedirectError::Socket)),
            ("ws+unix:/s:/a", "b", Ok("ws+unix:/s:/b")),
            (
                "ws://h/a",
                "ftp://h/",
                Err(RedirectError::Location(UrlError::Scheme)),
            ),
            (
                "ws://h/a",
                "http://u:p@h/",
                Err(RedirectError::Location(UrlError::Userinfo)),
            ),
            (
                "ws://h/a",
                "/\u{e9}",
                Err(RedirectError::Location(UrlError::NotAscii)),
            ),
        ] {
            let next = follow(&Redirects::few(), from, &moved(location), &[]);
            let to = to.map(|to| Some(to.to_string()));
            assert_eq!(next, to, "{from} {location}");
        }
    }

    #[test]
    fn locations() {
        for (headers, error) in [
            ("", RedirectError::NoLocation),
            (
                "Location: /a\r\nLocation: /b\r\n",
                RedirectError::NoLocation,
            ),
        ] {
            let next = follow(&Redirects::few(), "ws://h/", &response(302, headers), &[]);
            assert_eq!(next, Err(error), "{headers}");
        }
    }

    #[test]
    fn limits() {
        let before = ["ws://h/1", "ws://h/2"];
        let to = moved("/4");
        for (max, is_allowed) in [(1, false), (2, false), (3, true)] {
            let next = follow(&Redirects::up_to(max), "ws://h/3", &to, &before);
            if is_allowed {
                assert_eq!(next.unwrap().as_deref(), Some("ws://h/4"));
            } else {
                assert_eq!(next, Err(RedirectError::TooMany));
            }
        }
        let next = follow(&Redirects::few(), "ws://h/3", &moved("/1"), &before);
        assert_eq!(next, Err(RedirectError::Loop));
    }

    #[test]
    fn what_is_for_one_server_only() {
        let request = ClientRequest::new("ws://h/")
            .unwrap()
            .with_bearer("token")
            .with_header("Cookie", "id=1")
            .with_header("proxy-authorization", "x")
            .with_header("X-Room", "1")
            .with_origin("https://page.example")
            .with_subprotocol("chat");
        for (to, is_kept) in [
            ("/other", true),
            ("ws://h:81/", false),
            ("wss://h/", false),
            ("ws://g/", false),
        ] {
            let next = Redirects::few().follow(&request, &moved(to), &[]);
            let next = next.unwrap().unwrap();
            let now = Instant::from_nanos(0);
            let mut handshake = ClientHandshake::new(&Config::new(), &next, [0; 16], now).unwrap();
            let head = String::from_utf8(handshake.poll_transmit().unwrap().to_vec()).unwrap();
            for (line, is_secret) in [
                ("Authorization: Bearer token\r\n", true),
                ("Cookie: id=1\r\n", true),
                ("proxy-authorization: x\r\n", true),
                ("X-Room: 1\r\n", false),
                ("Origin: https://page.example\r\n", false),
                ("Sec-WebSocket-Protocol: chat\r\n", false),
            ] {
                assert_eq!(head.contains(line), is_kept || !is_secret, "{to}: {line}");
            }
        }
    }
}
