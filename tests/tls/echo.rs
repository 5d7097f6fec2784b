//! Connections that work.

use std::sync::Arc;

use rustls::ClientConfig;
use sockeye::Connector;
use sockeye::tls::{Tls, rustls};

use crate::certificates::Authority;
use crate::sides::{Sides, serve};

crate::on_every_adapter!(
    messages_of_all_sizes,
    an_address_in_the_certificate,
    more_roots_than_the_platforms,
    a_session_that_is_resumed,
    alpn_of_a_custom_configuration,
    both_ways_at_the_same_time,
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
