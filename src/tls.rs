//! What a client goes by when it makes a TLS connection, for `wss://`.
//!
//! The adapters make them on their own: this is for other certificates than those that the platform
//! trusts. TLS itself is [`rustls`].
//!
//! ```no_run
//! use rustls::pki_types::{CertificateDer, pem::PemObject};
//! use sockeye::tls::{Tls, rustls};
//! use sockeye::{Connector, blocking, handshake::ClientRequest};
//!
//! let root = CertificateDer::from_pem_file("/etc/chat/root.pem")?;
//! let connector = Connector::new().with_tls(Tls::platform_and([root]));
//! let request = ClientRequest::new("wss://chat.internal/")?;
//! let (mut ws, _) = blocking::connect_through(&connector, &request)?;
//! ws.send("hello")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{LazyLock, OnceLock};

pub use rustls;
use rustls::client::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{Error, RootCertStore};
use rustls_platform_verifier::Verifier;

/// All that is spoken here. A server that can do HTTP/2 would choose it if it were offered, and RFC 6455
/// begins with HTTP/1.1.
const HTTP_1_1: &[u8] = b"http/1.1";

/// Which servers a client trusts, and how it speaks TLS with them.
///
/// It is made once and kept: clones share what was read of the platform, and the sessions that a server
/// lets a client resume. The first connection reads the platform's certificates, which takes some
/// milliseconds.
///
/// All kinds ask for HTTP/1.1 by ALPN and nothing else, so that no server takes the connection for
/// HTTP/2. The cryptography is that of the process
/// ([`CryptoProvider::install_default`](rustls::crypto::CryptoProvider::install_default)), or else that of
/// `ring`.
#[derive(Clone)]
pub struct Tls(Arc<Settings>);

struct Settings {
    trust: Trust,
    /// Made when it is first needed. That may fail, and then the next one tries again.
    config: OnceLock<Arc<ClientConfig>>,
}

// The settings do not change, but for what is made once. Behind the trait objects of a `ClientConfig` there
// are the sessions to resume and whatever the application put there: they are shared between threads, so
// they have to be in order whenever one of them may panic. A connector is as unwind safe with TLS as without.
impl UnwindSafe for Tls {}
impl RefUnwindSafe for Tls {}

enum Trust {
    Platform(Vec<CertificateDer<'static>>),
    Roots(Vec<CertificateDer<'static>>),
    Custom(Arc<ClientConfig>),
}

impl Tls {
    /// Trusts whom the platform trusts: the default. All of the process share it.
    pub fn platform() -> Self {
        static PLATFORM: LazyLock<Tls> = LazyLock::new(|| Tls::platform_and([]));
        PLATFORM.clone()
    }

    /// Trusts whom the platform trusts, and these certificates too: those of authorities, or of a server
    /// itself.
    ///
    /// On Android the platform has to be told in the app's manifest, and this is an error when it is
    /// used.
    pub fn platform_and(roots: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        Self::new(Trust::Platform(roots.into_iter().collect()))
    }

    /// Trusts these certificates only.
    pub fn only(roots: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        Self::new(Trust::Roots(roots.into_iter().collect()))
    }

    /// Does as this configuration says: client certificates, versions, other verifiers. Its ALPN is
    /// replaced.
    ///
    /// A client certificate is offered to every server that asks for one, those that redirects lead to
    /// included. A resolver of your own ([`ResolvesClientCert`](rustls::client::ResolvesClientCert)) is not
    /// told which server asks; for a certificate that is for one server only, follow no redirects.
    pub fn custom(config: Arc<ClientConfig>) -> Self {
        Self::new(Trust::Custom(config))
    }

    fn new(trust: Trust) -> Self {
        Self(Arc::new(Settings {
            trust,
            config: OnceLock::new(),
        }))
    }

    /// The configuration, for connections that are not made by this crate.
    ///
    /// # Errors
    ///
    /// The platform has no certificates, or one of those that were added is not valid.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, Error> {
        let Settings { trust, config } = &*self.0;
        if let Some(config) = config.get() {
            return Ok(Arc::clone(config));
        }
        let made = trust.client_config()?;
        Ok(Arc::clone(config.get_or_init(|| made)))
    }
}

impl Default for Tls {
    /// [`Tls::platform`].
    fn default() -> Self {
        Self::platform()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.trust {
            Trust::Platform(roots) => write!(f, "Tls(platform and {} more)", roots.len()),
            Trust::Roots(roots) => write!(f, "Tls(only {})", roots.len()),
            Trust::Custom(_) => f.write_str("Tls(custom)"),
        }
    }
}

impl Trust {
    fn client_config(&self) -> Result<Arc<ClientConfig>, Error> {
        let mut config = match self {
            Self::Custom(config) => ClientConfig::clone(config),
            Self::Platform(extra) => {
                let provider = provider();
                let verifier = verifier(extra, Arc::clone(&provider))?;
                ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()?
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
                    .with_no_client_auth()
            }
            Self::Roots(roots) => {
                let mut store = RootCertStore::empty();
                for root in roots {
                    store.add(root.clone())?;
                }
                ClientConfig::builder_with_provider(provider())
                    .with_safe_default_protocol_versions()?
                    .with_root_certificates(store)
                    .with_no_client_auth()
            }
        };
        config.alpn_protocols = [HTTP_1_1.to_vec()].into();
        Ok(Arc::new(config))
    }
}

/// The cryptography of the process, which its features or its `main` decide.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().map_or_else(
        || Arc::new(rustls::crypto::ring::default_provider()),
        Arc::clone,
    )
}

#[cfg(not(target_os = "android"))]
fn verifier(
    extra: &[CertificateDer<'static>],
    provider: Arc<CryptoProvider>,
) -> Result<Verifier, Error> {
    Verifier::new_with_extra_roots(extra.iter().cloned(), provider)
}

#[cfg(target_os = "android")]
fn verifier(
    extra: &[CertificateDer<'static>],
    provider: Arc<CryptoProvider>,
) -> Result<Verifier, Error> {
    if !extra.is_empty() {
        let why = "Android trusts further certificates by the app's manifest only";
        return Err(Error::General(why.into()));
    }
    Verifier::new(provider)
}
