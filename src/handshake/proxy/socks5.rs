//! SOCKS5 (RFC 1928), without authentication or with a user name and password (RFC 1929).

use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use super::Credentials;
use super::error::{ProxyError, SocksFailure};
use crate::input::Input;

const VERSION: u8 = 5;
/// Of the negotiation of RFC 1929.
const LOGIN_VERSION: u8 = 1;

const NO_AUTHENTICATION: u8 = 0;
const LOGIN: u8 = 2;
const NO_METHOD: u8 = 0xff;

const CONNECT: u8 = 1;

const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The longest answer: four bytes, a name with its length, and a port.
const MAX_ANSWER: usize = 4 + 1 + 255 + 2;

/// A client's negotiation with a SOCKS5 proxy.
pub(super) struct Socks5 {
    step: Step,
    /// The answer as far as it came. INVARIANT: at most [`MAX_ANSWER`] bytes.
    answer: Vec<u8>,
    login: Option<Bytes>,
    request: Bytes,
    output: Bytes,
}

/// Whose answer is awaited.
#[derive(Clone, Copy)]
enum Step {
    Methods,
    Login,
    Request,
}

impl Socks5 {
    pub(super) fn new(host: &str, port: u16, credentials: Option<&Credentials>) -> Self {
        let login = credentials.map(login);
        let output = match login {
            Some(_) => Bytes::from_static(&[VERSION, 2, NO_AUTHENTICATION, LOGIN]),
            None => Bytes::from_static(&[VERSION, 1, NO_AUTHENTICATION]),
        };
        Self {
            step: Step::Methods,
            answer: Vec::new(),
            login,
            request: request(host, port),
            output,
        }
    }

    pub(super) fn output(&mut self) -> &mut Bytes {
        &mut self.output
    }

    pub(super) fn receive(&mut self, input: &mut Input<'_>) -> Result<Option<()>, ProxyError> {
        // An answer before the question is none.
        while self.output.is_empty() || input.is_empty() {
            if !self.take_answer(input)? {
                return Ok(None);
            }
            let answer = core::mem::take(&mut self.answer);
            match (self.step, &*answer) {
                (Step::Methods, [_, NO_AUTHENTICATION]) => self.ask(),
                (Step::Methods, [_, LOGIN]) => {
                    // What was not offered must not be chosen.
                    self.output = self.login.take().ok_or(ProxyError::Malformed)?;
                    self.step = Step::Login;
                }
                (Step::Methods, [_, NO_METHOD]) => return Err(ProxyError::Authentication),
                (Step::Login, [_, 0]) => self.ask(),
                (Step::Login, [_, _]) => return Err(ProxyError::Credentials),
                (Step::Request, [_, 0, ..]) => return Ok(Some(())),
                (Step::Request, [_, reply, ..]) => {
                    return Err(ProxyError::Failed(SocksFailure::from_reply(*reply)));
                }
                (Step::Methods | Step::Login | Step::Request, _) => {
                    return Err(ProxyError::Malformed);
                }
            }
        }
        Err(ProxyError::Malformed)
    }

    fn ask(&mut self) {
        self.output = core::mem::take(&mut self.request);
        self.step = Step::Request;
    }

    /// Takes bytes up to the end of an answer, and no further. Whether it is complete.
    fn take_answer(&mut self, input: &mut Input<'_>) -> Result<bool, ProxyError> {
        loop {
            let needed = self.needed()?;
            if self.answer.len() == needed {
                return Ok(true);
            }
            let missing = (needed - self.answer.len()).min(input.as_slice().len());
            if missing == 0 {
                return Ok(false);
            }
            self.answer.extend_from_slice(input.take(missing));
            debug_assert!(
                self.answer.len() <= MAX_ANSWER,
                "nothing longer is asked for"
            );
        }
    }

    /// How long the answer is, as far as one can tell by now. It is judged as early as it can be.
    fn needed(&self) -> Result<usize, ProxyError> {
        let version = match self.step {
            Step::Methods | Step::Request => VERSION,
            Step::Login => LOGIN_VERSION,
        };
        if self.answer.first().is_some_and(|first| *first != version) {
            return Err(ProxyError::Malformed);
        }
        match (self.step, &*self.answer) {
            (Step::Methods | Step::Login, _) => Ok(2),
            // Some proxies end the connection right after a failure.
            (Step::Request, [_, reply, ..]) if *reply != 0 => Ok(self.answer.len()),
            (Step::Request, [_, _, _, IPV4, ..]) => Ok(4 + 4 + 2),
            (Step::Request, [_, _, _, IPV6, ..]) => Ok(4 + 16 + 2),
            (Step::Request, [_, _, _, NAME, len, ..]) => Ok(4 + 1 + usize::from(*len) + 2),
            (Step::Request, [_, _, _, NAME]) => Ok(5),
            (Step::Request, [_, _, _, ..]) if self.answer.len() > 3 => Err(ProxyError::Malformed),
            // Up to the reply first, then up to the kind of address.
            (Step::Request, [] | [_]) => Ok(2),
            (Step::Request, _) => Ok(4),
        }
    }
}

/// RFC 1929 section 2. The lengths were checked: 1 to 255.
fn login(credentials: &Credentials) -> Bytes {
    let mut login = Vec::with_capacity(3 + credentials.user.len() + credentials.password.len());
    login.push(LOGIN_VERSION);
    for text in [&credentials.user, &credentials.password] {
        push_short(&mut login, text);
    }
    login.into()
}

/// RFC 1928 section 4.
fn request(host: &str, port: u16) -> Bytes {
    let mut request = Vec::with_capacity(MAX_ANSWER);
    request.extend_from_slice(&[VERSION, CONNECT, 0]);
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        request.push(IPV4);
        request.extend_from_slice(&address.octets());
    } else if let Ok(address) = host.parse::<Ipv6Addr>() {
        request.push(IPV6);
        request.extend_from_slice(&address.octets());
    } else {
        request.push(NAME);
        push_short(&mut request, host);
    }
    request.extend_from_slice(&port.to_be_bytes());
    request.into()
}

/// Text of at most 255 bytes behind its length.
fn push_short(bytes: &mut Vec<u8>, text: &str) {
    debug_assert!(u8::try_from(text.len()).is_ok(), "checked before");
    bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::super::{Proxy, Tunnel};
    use super::*;

    const ASKED: &[u8] = b"\x05\x01\x00\x03\x01h\x01\xbb";

    fn tunnel(proxy: &str) -> Tunnel {
        Tunnel::new(&Proxy::parse(proxy).unwrap(), "h", 443).unwrap()
    }

    /// A conversation: what the client says, and each time what the proxy answers, `size` bytes at
    /// a time.
    fn talk(proxy: &str, turns: &[(&[u8], &[u8])], size: usize) -> Result<Option<()>, ProxyError> {
        let mut tunnel = tunnel(proxy);
        let mut result = Ok(None);
        for (said, answer) in turns {
            let output = tunnel.poll_transmit().expect("something to say");
            assert_eq!(output, said);
            output.clear();
            for piece in answer.to_vec().chunks_mut(size) {
                assert_eq!(result, Ok(None));
                result = Ok(tunnel.receive(&mut Input::new(piece))?);
            }
        }
        result
    }

    fn says(proxy: &str, turns: &[(&[u8], &[u8])]) -> Result<Option<()>, ProxyError> {
        let whole = talk(proxy, turns, 999);
        for size in 1..12 {
            assert_eq!(talk(proxy, turns, size), whole);
        }
        whole
    }

    #[test]
    fn tunnels() {
        let hello: (&[u8], &[u8]) = (b"\x05\x01\x00", b"\x05\x00");
        for address in [
            &b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"[..],
            b"\x05\x00\x00\x03\x05proxy\x04\x38",
            b"\x05\x00\x00\x03\x00\x00\x00",
            b"\x05\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00",
        ] {
            assert_eq!(says("socks5h://p", &[hello, (ASKED, address)]), Ok(Some(())));
        }
        let with_login: (&[u8], &[u8]) = (b"\x05\x02\x00\x02", b"\x05\x02");
        let login: (&[u8], &[u8]) = (b"\x01\x03ada\x02pw", b"\x01\x00");
        let end: (&[u8], &[u8]) = (ASKED, b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00");
        assert_eq!(
            says("socks5h://ada:pw@p", &[with_login, login, end]),
            Ok(Some(()))
        );
        // A proxy that wants no password gets none.
        let without: (&[u8], &[u8]) = (b"\x05\x02\x00\x02", b"\x05\x00");
        assert_eq!(says("socks5h://ada:pw@p", &[without, end]), Ok(Some(())));
    }

    #[test]
    fn failures() {
        let hello: (&[u8], &[u8]) = (b"\x05\x01\x00", b"\x05\x00");
        for (answer, error) in [
            (
                &b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"[..],
                SocksFailure::ConnectionRefused,
            ),
            (b"\x05\x05", SocksFailure::ConnectionRefused),
            (b"\x05\x02", SocksFailure::NotAllowed),
            (b"\x05\x77", SocksFailure::Other(0x77)),
        ] {
            let failed = talk("socks5h://p", &[hello, (ASKED, answer)], 999);
            assert_eq!(failed, Err(ProxyError::Failed(error)));
            let failed = talk("socks5h://p", &[hello, (ASKED, answer)], 1);
            assert_eq!(failed, Err(ProxyError::Failed(error)));
        }
        for (answer, error) in [
            (&b"\x05\xff"[..], ProxyError::Authentication),
            (b"\x05\x02", ProxyError::Malformed),
            (b"\x05\x01", ProxyError::Malformed),
            (b"\x04\x00", ProxyError::Malformed),
            (b"HTTP/1.1 400 Bad Request\r\n", ProxyError::Malformed),
        ] {
            assert_eq!(
                talk("socks5h://p", &[(b"\x05\x01\x00", answer)], 1),
                Err(error.clone())
            );
            assert_eq!(
                talk("socks5h://p", &[(b"\x05\x01\x00", answer)], 999),
                Err(error)
            );
        }
        let with_login: (&[u8], &[u8]) = (b"\x05\x02\x00\x02", b"\x05\x02");
        let login: (&[u8], &[u8]) = (b"\x01\x03ada\x02pw", b"\x01\x01");
        let refused = says("socks5h://ada:pw@p", &[with_login, login]);
        assert_eq!(refused, Err(ProxyError::Credentials));
        let bad: (&[u8], &[u8]) = (ASKED, b"\x05\x00\x00\x02\x00\x00");
        assert_eq!(
            says("socks5h://p", &[hello, bad]),
            Err(ProxyError::Malformed)
        );
    }

    #[test]
    fn answers_before_their_question() {
        let mut tunnel = tunnel("socks5h://p");
        tunnel.poll_transmit().unwrap().clear();
        let mut early = *b"\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";
        let result = tunnel.receive(&mut Input::new(&mut early));
        assert_eq!(result, Err(ProxyError::Malformed));
    }

    #[test]
    fn what_follows_is_the_servers() {
        let mut tunnel = tunnel("socks5h://p");
        for answer in [
            &b"\x05\x00"[..],
            b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00rest",
        ] {
            tunnel.poll_transmit().unwrap().clear();
            let mut answer = answer.to_vec();
            let mut input = Input::new(&mut answer);
            let result = tunnel.receive(&mut input).unwrap();
            if result.is_some() {
                assert_eq!(input.as_slice(), b"rest");
            }
        }
    }

    #[test]
    fn addresses() {
        let asked: Vec<_> = ["1.2.3.4", "::1"]
            .into_iter()
            .map(|host| request(host, 80))
            .collect();
        assert_eq!(asked[0], &b"\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50"[..]);
        assert_eq!(asked[1].len(), 4 + 16 + 2);
        assert_eq!(asked[1][3], IPV6);
    }
}
