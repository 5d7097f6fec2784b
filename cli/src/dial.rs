//! How a connection to a server is made: the one place that knows of transports.

use std::path::PathBuf;
use std::sync::Arc;

use sockeye::handshake::{ClientRequest, Redirects, Response};
use sockeye::proxy::Proxy;
use sockeye::tls::Tls;
use sockeye::tls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use sockeye::tls::rustls::crypto::{CryptoProvider, ring};
use sockeye::tls::rustls::pki_types::pem::PemObject as _;
use sockeye::tls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use sockeye::tls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use sockeye::tokio::{ClientStream, TokioIo};
use sockeye::{Config, Connector, HandshakeError, SocketError, WebSocket};

use crate::exit::Failure;

/// A client's connection.
pub(crate) type Socket = WebSocket<TokioIo<ClientStream>>;

/// How to get to the server.
#[derive(Debug, clap::Args)]
pub(crate) struct Dial {
    /// Trust the certificates in this PEM file, and no others.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Accept any certificate: whoever is in between can read and change everything.
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
    /// Go through a proxy: http://, socks5:// or socks5h://, with user:password@ if it wants them.
    #[arg(long, value_name = "URL", value_parser = Proxy::parse)]
    proxy: Option<Proxy>,
    /// Follow redirects, up to five.
    #[arg(short = 'L', long)]
    location: bool,
}

impl Dial {
    /// What all connections have in common.
    pub(crate) fn connector(&self, config: Config) -> Result<Connector, Failure> {
        let mut connector = Connector::new()
            .with_config(config)
            .with_proxy(self.proxy.clone());
        if let Some(file) = &self.ca {
            connector = connector.with_tls(Tls::only(certificates(file)?));
        }
        if self.insecure {
            connector = connector.with_tls(trusting_anybody()?);
        }
        if self.location {
            connector = connector.with_redirects(Redirects::few());
        }
        Ok(connector)
    }
}

/// Connects and does the opening handshake, all within
/// [`Timeouts::with_handshake`](sockeye::Timeouts::with_handshake).
pub(crate) async fn connect(
    connector: &Connector,
    request: &ClientRequest,
) -> Result<(Socket, Response), SocketError> {
    sockeye::tokio::connect_through(connector, request).await
}

/// The server's answer, if it refused.
pub(crate) fn refusal(error: &SocketError) -> Option<&Response> {
    match error {
        SocketError::Handshake(HandshakeError::Refused(response)) => Some(response),
        _ => None,
    }
}

/// The TLS session of a connection, if it has one.
pub(crate) fn describe_tls(socket: &Socket) -> Option<String> {
    let tls = socket.io().stream().tls()?;
    let version = tls.protocol_version()?.as_str()?;
    let suite = tls.negotiated_cipher_suite()?.suite();
    Some(format!(
        "{version}, {}",
        suite.as_str().unwrap_or("unknown")
    ))
}

fn certificates(file: &PathBuf) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let failure = |why: String| Failure::usage(format!("{}: {why}", file.display()));
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| failure(error.to_string()))?;
    match certificates.is_empty() {
        true => Err(failure("no certificates in it".into()).with_hint("it has to be PEM")),
        false => Ok(certificates),
    }
}

fn trusting_anybody() -> Result<Tls, Failure> {
    let provider = Arc::new(ring::default_provider());
    let anybody = Arc::new(Anybody(Arc::clone(&provider)));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::usage(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(anybody)
        .with_no_client_auth();
    Ok(Tls::custom(Arc::new(config)))
}

/// Takes everybody for whom he says he is.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
