//! Which phase fails how.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use sockeye::backoff::Class;
use sockeye::connector::{ConnectError, Phase, PhaseTimeouts};
use sockeye::reconnect::{Cause, Update};
use sockeye::{Config, Connector, HandshakeError, SocketError, Timeouts};

use crate::client::Client;
use crate::server::{echo_server, serve};

crate::on_every_adapter!(
    a_name_without_an_address,
    nobody_listens,
    nobody_accepts,
    nobody_accepts_within_the_total,
    nobody_answers_within_the_total,
    the_handshake_has_its_own_bound_beside_a_total,
    one_family_of_two,
    reconnecting,
    reconnecting_to_nobody,
);

const SHORT: Duration = Duration::from_millis(200);

/// The label is too long for the DNS, so that nothing is asked.
fn a_name_without_an_address<C: Client>() {
    let url = format!("ws://{}/", "a".repeat(64));
    let error = C::visit_url(&Connector::new(), &url).unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Resolve), "{error:?}");
    assert_eq!(error.class(), Class::Transient, "{error:?}");
}

fn nobody_listens<C: Client>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = C::visit_url(&Connector::new(), &format!("ws://{address}/")).unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Tcp), "{error:?}");
    assert_eq!(error.class(), Class::Transient);
    assert!(error.to_string().starts_with("the TCP connection failed: "));
}

/// A listener that takes no connections any more: the system does not even refuse them.
#[cfg(target_os = "linux")]
fn full() -> (impl Sized, String) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.listen(0).unwrap()
    });
    let address = listener.local_addr().unwrap();
    let taken: Vec<_> = (0..8)
        .map(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(50)))
        .collect();
    assert!(taken.iter().any(Result::is_err), "it takes all");
    ((runtime, listener, taken), format!("ws://{address}/"))
}

#[cfg(target_os = "linux")]
fn nobody_accepts<C: Client>() {
    let (_listener, url) = full();
    let timeouts = PhaseTimeouts::new().with_tcp(SHORT);
    let started = Instant::now();
    let error = C::visit_url(&Connector::new().with_timeouts(timeouts), &url).unwrap_err();
    assert_timeout(&error, Phase::Tcp, started);
}

/// Without a bound of its own, a phase has that for everything.
#[cfg(target_os = "linux")]
fn nobody_accepts_within_the_total<C: Client>() {
    let (_listener, url) = full();
    let config = Config::new().with_timeouts(Timeouts::new().with_handshake(Some(SHORT)));
    let started = Instant::now();
    let error = C::visit_url(&Connector::new().with_config(config), &url).unwrap_err();
    assert_timeout(&error, Phase::Tcp, started);
}

#[cfg(not(target_os = "linux"))]
fn nobody_accepts<C: Client>() {}

#[cfg(not(target_os = "linux"))]
fn nobody_accepts_within_the_total<C: Client>() {}

fn assert_timeout(error: &SocketError, phase: Phase, started: Instant) {
    let is_timeout = matches!(
        error,
        SocketError::Connect(ConnectError::Timeout(at)) if *at == phase
    );
    assert!(is_timeout, "{error:?}");
    assert_eq!(error.phase(), Some(phase));
    assert_eq!(error.class(), Class::Transient);
    assert!(started.elapsed() >= SHORT);
    assert!(started.elapsed() < Duration::from_secs(5));
}

fn nobody_answers_within_the_total<C: Client>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let timeouts = PhaseTimeouts::new().with_total(SHORT);
    let started = Instant::now();
    let error = C::visit_url(&Connector::new().with_timeouts(timeouts), &url).unwrap_err();
    assert!(
        matches!(error, SocketError::Handshake(HandshakeError::Timeout)),
        "{error:?}"
    );
    assert_eq!(error.phase(), Some(Phase::Handshake));
    assert!(started.elapsed() >= SHORT);
    assert!(started.elapsed() < Duration::from_secs(5));
}

fn the_handshake_has_its_own_bound_beside_a_total<C: Client>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let config = Config::new().with_timeouts(Timeouts::new().with_handshake(Some(SHORT)));
    let connector = Connector::new()
        .with_config(config)
        .with_timeouts(PhaseTimeouts::new().with_total(Duration::from_secs(60)));
    let started = Instant::now();
    let error = C::visit_url(&connector, &url).unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Handshake), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// `localhost` has an address of each family on most systems, and only one has a listener.
fn one_family_of_two<C: Client>() {
    let (address, serving) = echo_server();
    let url = format!("ws://localhost:{}/a?b", address.port());
    C::visit_url(&Connector::new(), &url).unwrap();
    let [(target, _)] = &serving.join().unwrap()[..] else {
        panic!("one request");
    };
    assert_eq!(target, "/a?b");
}

fn reconnecting<C: Client>() {
    let (address, serving) = serve(2, |number, stream| {
        if number == 1 {
            let mut ws = sockeye::blocking::accept(stream, &Config::new()).unwrap();
            drop(ws.close(sockeye::CloseCode::NORMAL, ""));
        }
    });
    let updates = C::updates(&Connector::new(), &format!("ws://{address}/"));
    let connected = |update: &Update| matches!(update, Update::Connected(_));
    assert_eq!(updates.iter().filter(|update| connected(update)).count(), 1);
    serving.join().unwrap();
}

fn reconnecting_to_nobody<C: Client>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    drop(listener);
    let updates = C::updates(&Connector::new(), &url);
    let failures = updates.iter().filter(|update| {
        matches!(
            update,
            Update::Disconnected(lost) if matches!(
                &lost.cause,
                Cause::Failed(error) if error.phase() == Some(Phase::Tcp)
            )
        )
    });
    assert_eq!(failures.count(), 3, "{updates:?}");
}
