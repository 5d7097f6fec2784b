//! Connections that work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ServerConnection};
use sockeye::tls::{Tls, rustls};
use sockeye::{Config, Connector, SocketError, blocking};

use crate::certificates::Authority;
use crate::sides::{Server, Sides, serve};

crate::on_every_adapter!(
    messages_of_all_sizes,
    an_address_in_the_certificate,
    more_roots_than_the_platforms,
    a_session_that_is_resumed,
    alpn_of_a_custom_configuration,
    both_ways_at_the_same_time,
    a_server_that_sends_before_it_reads,
);

fn payloads() -> Vec<Vec<u8>> {
    [0, 1, 125, 4096, 20_000, 1 << 20]
        .map(|len| vec![42; len])
        .into()
}

/// 6455-4.1-15, 6455-10.6-01.
fn messages_of_all_sizes<S: Sides>() {
    let authority = Authority::new();
    let server = serve::<S>(authority.server("localhost"));
    let url = server.url("localhost");
    let visit = S::visit(&authority.connector(), &url, &payloads()).unwrap();
    assert!(visit.closed.clean);
    assert!(visit.is_secure);
    assert!(visit.has_tcp);
    assert_eq!(visit.alpn, None, "this server does not know ALPN");
    server.join().unwrap();
}

fn an_address_in_the_certificate<S: Sides>() {
    let authority = Authority::new();
    let server = serve::<S>(authority.server("127.0.0.1"));
    let url = server.url("127.0.0.1");
    S::visit(&authority.connector(), &url, &payloads()).unwrap();
    server.join().unwrap();
}

/// The platform may have no certificates at all, which is no reason to fail then.
fn more_roots_than_the_platforms<S: Sides>() {
    let authority = Authority::new();
    let server = serve::<S>(authority.server("localhost"));
    let connector = Connector::new().with_tls(Tls::platform_and([authority.root()]));
    S::visit(&connector, &server.url("localhost"), &payloads()).unwrap();
    server.join().unwrap();
}

/// Clones of the settings share what a server gave for the next time.
fn a_session_that_is_resumed<S: Sides>() {
    let authority = Authority::new();
    let config = authority.server("localhost");
    let connector = authority.connector();
    for _ in 0..3 {
        let server = serve::<S>(config.clone());
        let url = server.url("localhost");
        S::visit(&connector.clone(), &url, &payloads()).unwrap();
        server.join().unwrap();
    }
}

/// A server that would rather speak HTTP/2, and a client whose own settings offer it: it is not offered.
fn alpn_of_a_custom_configuration<S: Sides>() {
    let authority = Authority::new();
    let mut config = authority.server("localhost");
    config.alpn_protocols = [b"h2".to_vec(), b"http/1.1".to_vec()].into();
    let server = serve::<S>(config);

    let trusting = Tls::only([authority.root()]).client_config().unwrap();
    let mut custom = ClientConfig::clone(&trusting);
    custom.alpn_protocols = [b"h2".to_vec(), b"http/1.1".to_vec()].into();
    let connector = Connector::new().with_tls(Tls::custom(Arc::new(custom)));
    let visit = S::visit(&connector, &server.url("localhost"), &payloads()).unwrap();
    assert_eq!(visit.alpn.as_deref(), Some(&b"http/1.1"[..]));
    server.join().unwrap();
}

/// More than fits between the two: neither side may wait for the other to read first.
fn both_ways_at_the_same_time<S: Sides>() {
    let authority = Authority::new();
    let server = serve::<S>(authority.server("localhost"));
    S::both_ways(
        &authority.connector(),
        &server.url("localhost"),
        16,
        1 << 20,
    )
    .unwrap();
    server.join().unwrap();
}

/// What is to be sent has to wait for the server, and must not keep the client from reading meanwhile: one
/// direction takes about as long as the other.
fn a_server_that_sends_before_it_reads<S: Sides>() {
    const COUNT: usize = 16;
    const SIZE: usize = 1 << 20;
    let authority = Authority::new();
    let config = Arc::new(authority.server("localhost"));
    let server = Server::new(move |stream| {
        let session = ServerConnection::new(config).unwrap();
        let stream = blocking::TlsStream::new(session, stream);
        let mut ws = blocking::accept(stream, &Config::new())?;
        let message = vec![7; SIZE];
        let started = Instant::now();
        for _ in 0..COUNT {
            ws.send(&*message)?;
        }
        let sending = started.elapsed();
        while ws.recv()?.is_some() {}
        Ok::<_, SocketError>((sending, started.elapsed() - sending))
    });
    let url = server.url("localhost");
    S::both_ways(&authority.connector(), &url, COUNT, SIZE).unwrap();
    let (sending, receiving) = server.join().unwrap();
    assert!(
        sending < Duration::from_secs(1) + 5 * receiving,
        "{sending:?} and {receiving:?}"
    );
}
