//! Servers that a client must not talk to, or cannot.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustls::{AlertDescription, CertificateError, Error, ServerConfig};
use sockeye::backoff::Class;
use sockeye::connector::{ConnectError, Phase, PhaseTimeouts};
use sockeye::tls::rustls;
use sockeye::{Connector, HandshakeError, SocketError};

use crate::certificates::{Authority, self_signed_server};
use crate::sides::{Server, Sides, serve};

crate::on_every_adapter!(
    a_certificate_for_another_host,
    an_expired_certificate,
    a_self_signed_certificate,
    an_authority_that_is_not_trusted,
    the_platform_does_not_trust_it_either,
    a_server_that_speaks_http_2_only,
    a_server_without_tls,
    a_client_without_tls,
    a_server_that_hangs_up,
    a_server_that_says_nothing,
);

/// What a client says of a server, which must be a TLS error that is not tried again.
fn refused<S: Sides>(connector: &Connector, config: ServerConfig) -> Error {
    let server = serve::<S>(config);
    let error = S::visit(connector, &server.url("localhost"), &[]).unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Tls), "{error:?}");
    assert_eq!(error.class(), Class::Fatal);
    assert!(error.to_string().starts_with("the TLS handshake failed: "));
    server.join().unwrap_err();
    let SocketError::Connect(error) = error else {
        panic!("{error:?}");
    };
    error.tls_error().unwrap().clone()
}

fn certificate_error(error: Error) -> CertificateError {
    match error {
        Error::InvalidCertificate(error) => error,
        other => panic!("{other:?}"),
    }
}

fn a_certificate_for_another_host<S: Sides>() {
    let authority = Authority::new();
    let config = authority.server("elsewhere.example");
    let error = certificate_error(refused::<S>(&authority.connector(), config));
    assert!(
        matches!(
            error,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        ),
        "{error:?}"
    );
}

/// 6455-4.1-14.
fn an_expired_certificate<S: Sides>() {
    let authority = Authority::new();
    let config = authority.expired_server("localhost");
    let error = certificate_error(refused::<S>(&authority.connector(), config));
    assert!(
        matches!(
            error,
            CertificateError::Expired | CertificateError::ExpiredContext { .. }
        ),
        "{error:?}"
    );
}

fn a_self_signed_certificate<S: Sides>() {
    let connector = Authority::new().connector();
    let error = certificate_error(refused::<S>(&connector, self_signed_server("localhost")));
    assert_eq!(error, CertificateError::UnknownIssuer);
}

fn an_authority_that_is_not_trusted<S: Sides>() {
    let connector = Authority::new().connector();
    let config = Authority::new().server("localhost");
    let error = certificate_error(refused::<S>(&connector, config));
    assert!(
        matches!(
            error,
            // Both authorities have the same name, so the keys are what tells them apart.
            CertificateError::BadSignature | CertificateError::UnknownIssuer
        ),
        "{error:?}"
    );
}

/// `connect` without further settings goes by the platform's certificates.
fn the_platform_does_not_trust_it_either<S: Sides>() {
    let server = serve::<S>(Authority::new().server("localhost"));
    let error = S::visit(&Connector::new(), &server.url("localhost"), &[]).unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Tls), "{error:?}");
    assert_eq!(error.class(), Class::Fatal);
    drop(server.join());
}

fn a_server_that_speaks_http_2_only<S: Sides>() {
    let authority = Authority::new();
    let mut config = authority.server("localhost");
    config.alpn_protocols = [b"h2".to_vec()].into();
    let error = refused::<S>(&authority.connector(), config);
    let alert = AlertDescription::NoApplicationProtocol;
    assert_eq!(error, Error::AlertReceived(alert));
}

/// HTTP on the port, in place of TLS. 6455-4.1-13: it gets no request.
fn a_server_without_tls<S: Sides>() {
    let server = Server::new(|mut stream: TcpStream| {
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        drop(stream.read(&mut [0; 1024]));
    });
    let connector = Authority::new().connector();
    let error = S::visit(&connector, &server.url("localhost"), &[]).unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Tls), "{error:?}");
    assert_eq!(error.class(), Class::Fatal);
    server.join();
}

/// TLS on the port, in place of HTTP.
fn a_client_without_tls<S: Sides>() {
    let server = serve::<S>(Authority::new().server("localhost"));
    let url = server.url("localhost").replace("wss:", "ws:");
    let error = S::visit(&Connector::new(), &url, &[]).unwrap_err();
    assert!(
        matches!(
            error,
            SocketError::Handshake(HandshakeError::Malformed | HandshakeError::Eof)
                | SocketError::Io(_)
        ),
        "{error:?}"
    );
    server.join().unwrap_err();
}

fn a_server_that_hangs_up<S: Sides>() {
    let server = Server::new(|mut stream: TcpStream| {
        drop(stream.read(&mut [0; 4096]));
    });
    let connector = Authority::new().connector();
    let error = S::visit(&connector, &server.url("localhost"), &[]).unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Tls), "{error:?}");
    assert_eq!(error.class(), Class::Transient, "{error:?}");
    server.join();
}

fn a_server_that_says_nothing<S: Sides>() {
    let server = Server::new(|mut stream: TcpStream| {
        drop(stream.read_to_end(&mut Vec::new()));
    });
    let timeouts = PhaseTimeouts::new().with_tls(Duration::from_millis(200));
    let connector = Authority::new().connector().with_timeouts(timeouts);
    let started = Instant::now();
    let error = S::visit(&connector, &server.url("localhost"), &[]).unwrap_err();
    assert!(
        matches!(
            error,
            SocketError::Connect(ConnectError::Timeout(Phase::Tls))
        ),
        "{error:?}"
    );
    assert_eq!(error.class(), Class::Transient);
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert!(started.elapsed() < Duration::from_secs(5));
    server.join();
}
