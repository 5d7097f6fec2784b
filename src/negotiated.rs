//! What the opening handshake settled.

use alloc::boxed::Box;

#[cfg(feature = "deflate")]
use crate::config::DeflateParams;

/// What both ends agreed on before the first frame.
///
/// The crate's own handshakes return one. When somebody else did the upgrade (an HTTP server, an
/// HTTP/2 extended CONNECT), make one by hand and hand it to [`Connection`](crate::Connection) (RFC
/// 6455 section 4.2).
///
/// ```
/// use sockeye::Negotiated;
///
/// let negotiated = Negotiated::new().with_subprotocol("graphql-transport-ws");
/// assert_eq!(negotiated.subprotocol(), Some("graphql-transport-ws"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    subprotocol: Option<Box<str>>,
    #[cfg(feature = "deflate")]
    deflate: Option<DeflateParams>,
}

impl Negotiated {
    /// No subprotocol and no extension.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the subprotocol that the server chose.
    #[must_use]
    pub fn with_subprotocol(mut self, name: &str) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// Sets the parameters of permessage-deflate that both ends agreed on.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, params: DeflateParams) -> Self {
        self.set_deflate(Some(params));
        self
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn set_deflate(&mut self, params: Option<DeflateParams>) {
        self.deflate = params;
    }

    /// The parameters of permessage-deflate, if messages may be compressed (RFC 7692).
    #[cfg(feature = "deflate")]
    pub fn deflate(&self) -> Option<DeflateParams> {
        self.deflate
    }

    /// The subprotocol that the server chose, if any (RFC 6455 section 1.9).
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }
}
