//! HTTP CONNECT (RFC 9110 section 9.3.6).

use alloc::boxed::Box;
use alloc::format;

use bytes::Bytes;

use super::super::auth::basic_value;
use super::super::head::{HeadReader, Kind, MAX_INFORMATIONAL, StartLine};
use super::Credentials;
use super::error::ProxyError;
use crate::config::Limits;
use crate::http::Response;
use crate::input::Input;

/// A request for a tunnel, and its answer.
pub(super) struct Connect {
    reader: HeadReader,
    informational: u32,
    output: Bytes,
}

impl Connect {
    pub(super) fn new(host: &str, port: u16, credentials: Option<&Credentials>) -> Self {
        let authority = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        // RFC 9112 section 3.2.3: the target is the authority, with the port in any case.
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        // They were checked when the proxy got them.
        if let Some(value) = credentials.and_then(|it| basic_value(&it.user, &it.password)) {
            request += &format!("Proxy-Authorization: {value}\r\n");
        }
        request += "\r\n";
        Self {
            reader: new_reader(),
            informational: 0,
            output: request.into(),
        }
    }

    pub(super) fn output(&mut self) -> &mut Bytes {
        &mut self.output
    }

    pub(super) fn receive(&mut self, input: &mut Input<'_>) -> Result<Option<()>, ProxyError> {
        loop {
            let Some(head) = self.reader.read(input).map_err(ProxyError::Http)? else {
                return Ok(None);
            };
            let StartLine::Response { status, reason, .. } = head.start else {
                return Err(ProxyError::Malformed);
            };
            match status {
                // A tunnel that is there before it was asked for is none.
                200..=299 if self.output.is_empty() => return Ok(Some(())),
                100..=199 if self.informational < MAX_INFORMATIONAL => {
                    self.informational += 1;
                    self.reader = new_reader();
                }
                _ => {
                    let response = Response::new(status, reason, head.fields);
                    return Err(ProxyError::Refused(Box::new(response)));
                }
            }
        }
    }
}

/// Without the application's limits, which are for servers' answers: a proxy's is short.
fn new_reader() -> HeadReader {
    HeadReader::new(Kind::Response, &Limits::new())
}

#[cfg(test)]
mod tests {
    use super::super::{Proxy, ProxyError, Tunnel};
    use crate::error::HandshakeError;
    use crate::input::Input;

    fn tunnel(proxy: &str, host: &str) -> Tunnel {
        Tunnel::new(&Proxy::parse(proxy).unwrap(), host, 443).unwrap()
    }

    #[test]
    fn requests() {
        for (proxy, host, request) in [
            (
                "http://p",
                "h",
                &b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"[..],
            ),
            (
                "http://p",
                "::1",
                b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n",
            ),
            (
                "http://Aladdin:open%20sesame@p",
                "h",
                b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\
                  Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n",
            ),
        ] {
            assert_eq!(tunnel(proxy, host).poll_transmit().unwrap(), request);
        }
    }

    /// What comes of an answer that is cut there.
    fn answer(bytes: &[u8], cut: usize) -> Result<Option<()>, ProxyError> {
        let mut tunnel = tunnel("http://p", "h");
        tunnel.poll_transmit().unwrap().clear();
        let mut bytes = bytes.to_vec();
        let (first, second) = bytes.split_at_mut(cut);
        match tunnel.receive(&mut Input::new(first)) {
            Ok(None) => tunnel.receive(&mut Input::new(second)),
            result => result,
        }
    }

    #[test]
    fn answers() {
        // RFC 9110 section 9.3.6: lengths in a successful answer mean nothing.
        for ok in [
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
            b"HTTP/1.0 200 Connection established\r\nProxy-agent: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            for cut in 0..ok.len() {
                assert_eq!(answer(ok, cut), Ok(Some(())));
            }
        }
        for (bad, status) in [
            (
                &b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"[..],
                407,
            ),
            (
                b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
                502,
            ),
            (b"HTTP/1.1 301 Moved\r\nLocation: http://x/\r\n\r\n", 301),
        ] {
            for cut in 0..bad.len() {
                let error = answer(bad, cut).unwrap_err();
                assert_eq!(error.response().unwrap().status(), status);
            }
        }
        let malformed = ProxyError::Http(HandshakeError::Malformed);
        assert_eq!(answer(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 0), Err(malformed));
        let many = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(9);
        assert!(matches!(answer(&many, 0), Err(ProxyError::Refused(_))));
        let endless = b"HTTP/1.1 200 OK\r\nX: ".iter().chain(&[b'x'; 20_000]);
        let endless: alloc::vec::Vec<u8> = endless.copied().collect();
        let too_large = ProxyError::Http(HandshakeError::HeadTooLarge);
        assert_eq!(answer(&endless, 0), Err(too_large));
    }

    #[test]
    fn what_follows_is_the_servers() {
        let mut tunnel = tunnel("http://p", "h");
        tunnel.poll_transmit().unwrap().clear();
        let mut bytes = *b"HTTP/1.1 200 OK\r\n\r\nrest";
        let mut input = Input::new(&mut bytes);
        assert_eq!(tunnel.receive(&mut input), Ok(Some(())));
        assert_eq!(input.as_slice(), b"rest");
    }

    #[test]
    fn a_tunnel_before_it_was_asked_for_is_none() {
        let mut tunnel = tunnel("http://p", "h");
        let mut bytes = *b"HTTP/1.1 200 OK\r\n\r\n";
        let result = tunnel.receive(&mut Input::new(&mut bytes));
        assert!(matches!(result, Err(ProxyError::Refused(_))));
    }

    #[test]
    fn errors_are_repeated() {
        let mut tunnel = tunnel("http://p", "h");
        assert_eq!(tunnel.handle_eof(), Err(ProxyError::Eof));
        let mut bytes = *b"HTTP/1.1 200 OK\r\n\r\n";
        let mut input = Input::new(&mut bytes);
        assert_eq!(tunnel.receive(&mut input), Err(ProxyError::Eof));
        assert!(input.is_empty() && tunnel.poll_transmit().is_none());
    }
}
