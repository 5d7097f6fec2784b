//! Who the client is: the `Authorization` header of both roles (RFC 7617, RFC 6750).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt::{self, Write as _};
use core::hint::black_box;

use super::answer::Refusal;
use super::request::Request;
use crate::error::RequestError;

pub(super) const HEADER: &str = "Authorization";

/// The user name and password of a request: Basic authentication (RFC 7617).
///
/// They are in the header as plain text, but for Base64: use it over TLS only.
///
/// ```
/// # #[cfg(feature = "tokio")]
/// # mod example {
/// use sockeye::handshake::{Acceptance, Basic};
/// use sockeye::{Config, SocketError};
/// use tokio::net::TcpStream;
///
/// async fn serve(stream: TcpStream, password: &str) -> Result<(), SocketError> {
///     let upgrade = sockeye::tokio::receive(stream, &Config::new()).await?;
///     let credentials = Basic::from_request(upgrade.request());
///     if !credentials.is_some_and(|credentials| credentials.matches("ada", password)) {
///         return upgrade.reject(Basic::challenge("chat")).await;
///     }
///     let mut ws = upgrade.accept(Acceptance::new()).await?;
///     // ...
/// #   ws.send("welcome").await
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Basic {
    user: Box<str>,
    password: Box<str>,
}

impl Basic {
    /// Reads them from a request.
    ///
    /// `None` if there is no `Authorization`, if it is of another scheme or not valid, or if there
    /// are two. What is decoded has to be UTF-8 without control characters.
    pub fn from_request(request: &Request) -> Option<Self> {
        let bytes = STANDARD.decode(credentials(request, "Basic")?).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (user, password) = text.split_once(':')?;
        has_no_controls(&text).then(|| Self {
            user: user.into(),
            password: password.into(),
        })
    }

    /// The user name, which nobody has verified yet.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password, for whoever keeps a hash of it: `Debug` does not show it, and neither should a
    /// log.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Whether these are the user name and password, both compared by [`constant_time_eq`].
    pub fn matches(&self, user: &str, password: &str) -> bool {
        // Not `&&`: how long it takes must not tell that the user exists.
        constant_time_eq(self.user.as_bytes(), user.as_bytes())
            & constant_time_eq(self.password.as_bytes(), password.as_bytes())
    }

    /// The answer with status 401 that asks for a user name and password. `realm` tells people what
    /// for; it has no control characters, or the answer is an
    /// [`AnswerError::Header`](super::AnswerError::Header).
    pub fn challenge(realm: &str) -> Refusal {
        // RFC 7617 section 2.1: without the charset, clients may use any.
        challenge(&format!("Basic realm={}, charset=\"UTF-8\"", Quoted(realm)))
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basic")
            .field("user", &self.user)
            .field("password", &format_args!("(hidden)"))
            .finish()
    }
}

/// The token of a request: whoever has it may enter (RFC 6750). Use it over TLS only.
///
/// Scripts in browsers cannot set the header; how they send a token is in `docs/AUTH.md`.
#[derive(Clone)]
pub struct Bearer {
    token: Box<str>,
}

impl Bearer {
    /// Reads it from a request.
    ///
    /// `None` if there is no `Authorization`, if it is of another scheme or not valid, or if there
    /// are two.
    pub fn from_request(request: &Request) -> Option<Self> {
        let token = credentials(request, "Bearer")?;
        is_bearer_token(token).then(|| Self {
            token: token.into(),
        })
    }

    /// The token, which nobody has verified yet; it is not empty. For whoever keeps a hash of it,
    /// or reads what is in it.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Whether this is the token, compared by [`constant_time_eq`].
    pub fn matches(&self, token: &str) -> bool {
        constant_time_eq(self.token.as_bytes(), token.as_bytes())
    }

    /// The answer with status 401 to a request without a token. `realm` is as in
    /// [`Basic::challenge`].
    pub fn challenge(realm: &str) -> Refusal {
        challenge(&format!("Bearer realm={}", Quoted(realm)))
    }

    /// The answer with status 401 to a token that is wrong, expired or revoked (RFC 6750 section
    /// 3.1).
    pub fn invalid(realm: &str) -> Refusal {
        challenge(&format!(
            "Bearer realm={}, error=\"invalid_token\"",
            Quoted(realm)
        ))
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(hidden)")
    }
}

/// Whether two secrets are the same, in a time that depends on their lengths but not on what is in
/// them.
///
/// With `==`, an attacker who measures well enough learns how many bytes of a guess are right, and
/// finds the secret byte by byte. For tokens that do not come in an `Authorization` header.
///
/// That the lengths differ is told at once: give secrets one length, or compare hashes of them.
///
/// ```
/// use sockeye::handshake::constant_time_eq;
///
/// assert!(constant_time_eq(b"secret", b"secret"));
/// assert!(!constant_time_eq(b"secret", b"Secret"));
/// ```
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // Nothing here branches on the bytes. `black_box` keeps the compiler from seeing that the
    // outcome is settled at the first difference, and from leaving the loop there. It promises
    // nothing, so this is as much as the language offers without volatile reads.
    let difference = a
        .iter()
        .zip(b)
        .fold(0, |difference, (a, b)| black_box(difference | (a ^ b)));
    black_box(difference) == 0
}

/// The value of a client's `Authorization`, or why there can be none.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Authorization(Result<Box<str>, RequestError>);

impl Authorization {
    pub(super) fn basic(user: &str, password: &str) -> Self {
        let value = basic_value(user, password).map(Box::from);
        Self(value.ok_or(RequestError::Credentials))
    }

    pub(super) fn bearer(token: &str) -> Self {
        Self(if is_bearer_token(token) {
            Ok(format!("Bearer {token}").into())
        } else {
            Err(RequestError::Token)
        })
    }

    pub(super) fn value(&self) -> Result<&str, RequestError> {
        self.0.as_deref().map_err(|error| *error)
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

fn challenge(value: &str) -> Refusal {
    // RFC 9110 section 15.5.2.
    Refusal::new(401).with_header("WWW-Authenticate", value)
}

/// What follows the scheme in the only `Authorization` line.
fn credentials<'a>(request: &'a Request, scheme: &str) -> Option<&'a str> {
    let lines: Vec<_> = request
        .headers()
        .filter(|(name, _)| name.eq_ignore_ascii_case(HEADER))
        .take(2)
        .collect();
    // Of two, somebody in between may have looked at the other one.
    let [(_, value)] = lines.as_slice() else {
        return None;
    };
    // RFC 9110 section 11.4: the scheme ignores case; one space or more.
    let (name, rest) = core::str::from_utf8(value).ok()?.split_once(' ')?;
    name.eq_ignore_ascii_case(scheme)
        .then(|| rest.trim_start_matches(' '))
}

/// RFC 7617 section 2: a log, or a file with a user in each line, would break at them.
/// What a user name and password are in a header, if they can be sent (RFC 7617).
pub(super) fn basic_value(user: &str, password: &str) -> Option<String> {
    // Section 2: the first colon ends the user name.
    let is_valid = !user.contains(':') && has_no_controls(user) && has_no_controls(password);
    is_valid.then(|| format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

pub(super) fn has_no_controls(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_control())
}

/// `b64token` (RFC 6750 section 2.1), which is not empty.
fn is_bearer_token(token: &str) -> bool {
    let digits = token.trim_end_matches('=');
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !digits.is_empty() && digits.bytes().all(is_digit)
}

/// A quoted string (RFC 9110 section 5.6.4). Control characters stay, and are found when the answer
/// is written.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for char in self.0.chars() {
            if matches!(char, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(char)?;
        }
        f.write_char('"')
    }
}
