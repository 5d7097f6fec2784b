//! What TLS sessions of all adapters have in common.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::Connector;

impl Connector {
    /// What a TLS session with this host begins with.
    pub(in crate::adapter) fn tls_session(
        &self,
        host: &str,
    ) -> io::Result<(Arc<ClientConfig>, ServerName<'static>)> {
        let name = ServerName::try_from(host)
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?
            .to_owned();
        let config = self
            .tls
            .client_config()
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        Ok((config, name))
    }

    /// Refuses a server that chose another protocol than the one that was offered.
    pub(in crate::adapter) fn check_alpn(session: Option<&ClientConnection>) -> io::Result<()> {
        match session.and_then(|session| session.alpn_protocol()) {
            None | Some(b"http/1.1") => Ok(()),
            Some(_) => Err(io::Error::new(
                ErrorKind::InvalidData,
                "the server chose another protocol than HTTP/1.1",
            )),
        }
    }
}
