//! What a client offered, and whether the server's answer keeps to it.

use alloc::boxed::Box;

use super::accept::accept_key;
use super::opening::ClientRequest;
use crate::error::{Field, HandshakeError};
use crate::extension::{BadAnswer, Wanted, grammar};
use crate::http::token::has_member;
use crate::http::{Fields, Name, Response};
use crate::negotiated::Negotiated;

/// What a client offered.
#[derive(Debug)]
pub(super) struct Terms {
    /// What answers the key; `None` over HTTP/2 and HTTP/3, where there is none.
    accept: Option<[u8; 28]>,
    subprotocols: Box<[Box<str>]>,
    wanted: Wanted,
}

impl Terms {
    pub(super) fn new(request: &ClientRequest, key: Option<&[u8; 24]>, wanted: Wanted) -> Self {
        Self {
            accept: key.map(|key| accept_key(key)),
            subprotocols: request.subprotocols().map(Box::from).collect(),
            wanted,
        }
    }

    /// Whether there is no key, so that the answer is that of an extended CONNECT.
    pub(super) fn is_extended(&self) -> bool {
        self.accept.is_none()
    }

    /// Checks everything that RFC 6455 sections 4.1 and 4.2.2, or RFC 8441 section 5, ask of an
    /// answer that accepts (6455-4.1-37).
    pub(super) fn check(&self, response: &Response) -> Result<Negotiated, HandshakeError> {
        let fields = response.fields();
        // 8441-5-05: without a key there is nothing that answers it. RFC 9110 section 9.3.6: what an
        // answer to CONNECT says of a body means nothing.
        if let Some(accept) = &self.accept {
            check_upgrade(fields, accept)?;
        }
        // 6455-4.1-42, 6455-9.1-01.
        let extensions = grammar::parse(fields.all(Name::Extensions))
            .map_err(|_| HandshakeError::BadExtension)?;
        let mut negotiated = Negotiated::new();
        self.wanted
            .check(&extensions, &mut negotiated)
            .map_err(|bad| match bad {
                BadAnswer::Unoffered => HandshakeError::UnofferedExtension,
                #[cfg(feature = "deflate")]
                BadAnswer::Parameter => HandshakeError::BadExtension,
            })?;
        // 6455-4.1-43, 6455-4.3-04, 6455-11.3.4-02. A list is not what was offered either.
        let Some(chosen) = fields.once(Field::Protocol)? else {
            // the application may mind, this crate does not.
            return Ok(negotiated);
        };
        self.subprotocols
            .iter()
            .find(|name| name.as_bytes() == chosen)
            .map(|name| negotiated.with_subprotocol(name))
            .ok_or(HandshakeError::UnofferedProtocol)
    }
}

/// Checks that the protocol was switched, by a server that saw the key.
fn check_upgrade(fields: &Fields, accept: &[u8; 28]) -> Result<(), HandshakeError> {
    // 6455-4.1-44. R-10: a length of zero is seen in the wild, and harmless.
    let has_length = fields.all(Name::ContentLength).any(|length| length != b"0");
    if has_length || fields.has(Name::TransferEncoding) {
        return Err(HandshakeError::Body);
    }
    let required = |field| fields.once(field)?.ok_or(HandshakeError::Missing(field));
    // 6455-4.1-39, K20.
    if !required(Field::Upgrade)?.eq_ignore_ascii_case(b"websocket") {
        return Err(HandshakeError::Bad(Field::Upgrade));
    }
    // 6455-4.1-40.
    let connection = Field::Connection;
    if !has_member(fields.all(Name::Connection), b"upgrade") {
        return Err(if fields.has(Name::Connection) {
            HandshakeError::Bad(connection)
        } else {
            HandshakeError::Missing(connection)
        });
    }
    // 6455-4.1-41, 6455-11.3.3-01. No need for constant time: the key went over the wire
    // (6455-10.8-01).
    if required(Field::Accept)? != accept {
        return Err(HandshakeError::AcceptMismatch);
    }
    Ok(())
}
