//! Through a proxy. What the proxies say in detail is tested without I/O.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use sockeye::backoff::Class;
use sockeye::connector::{ConnectError, Phase, PhaseTimeouts};
use sockeye::proxy::{Proxy, ProxyError, SocksFailure};
use sockeye::{Connector, HandshakeError, SocketError};

use crate::client::Client;
use crate::server::{echo, read_head, serve};

crate::on_every_adapter!(
    an_http_proxy,
    a_socks_proxy_that_looks_up,
    a_socks_proxy_that_does_not,
    an_http_proxy_that_refuses,
    a_socks_proxy_that_fails,
    a_proxy_that_hangs_up,
    a_proxy_that_says_nothing,
    a_proxy_that_says_too_much,
);

fn through(proxy: String) -> Connector {
    Connector::new().with_proxy(Proxy::parse(&proxy).unwrap())
}

/// The proxy is the server too: what it is asked for need not be there.
const URL: &str = "ws://server.example:81/a";

/// 6455-4.1-09.
fn an_http_proxy<C: Client>() {
    let (address, serving) = serve(1, |_, mut stream| {
        let head = read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        (head, echo(stream).unwrap())
    });
    C::visit_url(&through(format!("http://ada:sesame@{address}")), URL).unwrap();
    let (head, (target, headers)) = serving.join().unwrap().remove(0);
    assert!(
        head.starts_with("CONNECT server.example:81 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("Proxy-Authorization: Basic "), "{head}");
    assert_eq!(target, "/a");
    assert!(!headers.iter().any(|(name, _)| name.starts_with("Proxy")));
}

/// Reads a request of a client without credentials, up to the port, and gives the address in it.
fn read_socks(stream: &mut TcpStream) -> Vec<u8> {
    let mut greeting = [0; 3];
    stream.read_exact(&mut greeting).unwrap();
    assert_eq!(greeting, [5, 1, 0]);
    stream.write_all(&[5, 0]).unwrap();
    let mut start = [0; 5];
    stream.read_exact(&mut start).unwrap();
    let len = match start[3] {
        1 => 3,
        3 => usize::from(start[4]),
        _ => 15,
    };
    let mut rest = vec![0; len + 2];
    stream.read_exact(&mut rest).unwrap();
    [&start[3..], &rest].concat()
}

fn a_socks_proxy_that_looks_up<C: Client>() {
    let (address, serving) = serve(1, |_, mut stream| {
        let request = read_socks(&mut stream);
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        echo(stream).unwrap();
        request
    });
    C::visit_url(&through(format!("socks5h://{address}")), URL).unwrap();
    let request = serving.join().unwrap().remove(0);
    assert_eq!(request, b"\x03\x0eserver.example\x00\x51");
}

fn a_socks_proxy_that_does_not<C: Client>() {
    let (address, serving) = serve(1, |_, mut stream| {
        let request = read_socks(&mut stream);
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        echo(stream).unwrap();
        request
    });
    let url = "ws://localhost:81/a";
    C::visit_url(&through(format!("socks5://{address}")), url).unwrap();
    let request = serving.join().unwrap().remove(0);
    assert!(matches!(request[0], 1 | 4), "an address: {request:?}");
}

fn refused<C: Client>(
    scheme: &str,
    serve_one: impl FnMut(usize, TcpStream) + Send + 'static,
) -> (ConnectError, Class) {
    let (address, serving) = serve(1, serve_one);
    let timeouts = PhaseTimeouts::new().with_proxy(Duration::from_millis(300));
    let connector = through(format!("{scheme}://{address}")).with_timeouts(timeouts);
    let error = C::visit_url(&connector, URL).unwrap_err();
    serving.join().unwrap();
    assert_eq!(error.phase(), Some(Phase::Proxy), "{error:?}");
    let class = error.class();
    match error {
        SocketError::Connect(error) => (error, class),
        other => panic!("{other:?}"),
    }
}

fn an_http_proxy_that_refuses<C: Client>() {
    for (status, is_fatal) in [
        (407, true),
        (403, true),
        (501, true),
        (511, true),
        (502, false),
        (503, false),
    ] {
        let (error, class) = refused::<C>("http", move |_, mut stream| {
            read_head(&mut stream);
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let ConnectError::Proxy(ProxyError::Refused(response)) = error else {
            panic!("{error:?}");
        };
        assert_eq!(response.status(), status);
        assert_eq!(class == Class::Fatal, is_fatal, "{status}: {class:?}");
    }
}

fn a_socks_proxy_that_fails<C: Client>() {
    let (error, class) = refused::<C>("socks5h", |_, mut stream| {
        read_socks(&mut stream);
        stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    });
    assert!(
        matches!(
            error,
            ConnectError::Proxy(ProxyError::Failed(SocksFailure::ConnectionRefused))
        ),
        "{error:?}"
    );
    assert_eq!(class, Class::Transient);
}

fn a_proxy_that_hangs_up<C: Client>() {
    let (error, class) = refused::<C>("http", |_, mut stream| {
        read_head(&mut stream);
    });
    assert!(
        matches!(error, ConnectError::Proxy(ProxyError::Eof)),
        "{error:?}"
    );
    assert_eq!(class, Class::Transient);
}

fn a_proxy_that_says_nothing<C: Client>() {
    let (error, class) = refused::<C>("http", |_, mut stream| {
        drop(stream.read_to_end(&mut Vec::new()));
    });
    assert!(
        matches!(error, ConnectError::Timeout(Phase::Proxy)),
        "{error:?}"
    );
    assert_eq!(class, Class::Transient);
}

/// Bytes before the client has spoken to the server would be taken for the server's.
fn a_proxy_that_says_too_much<C: Client>() {
    let (error, _) = refused::<C>("http", |_, mut stream| {
        read_head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 x\r\n")
            .unwrap();
    });
    assert!(
        matches!(error, ConnectError::Proxy(ProxyError::Malformed)),
        "{error:?}"
    );
}

#[test]
fn classes() {
    use SocksFailure as Socks;
    for (error, class) in [
        (ProxyError::Failed(Socks::General), Class::Transient),
        (ProxyError::Failed(Socks::NotAllowed), Class::Fatal),
        (
            ProxyError::Failed(Socks::NetworkUnreachable),
            Class::Transient,
        ),
        (ProxyError::Failed(Socks::HostUnreachable), Class::Transient),
        (
            ProxyError::Failed(Socks::ConnectionRefused),
            Class::Transient,
        ),
        (ProxyError::Failed(Socks::TtlExpired), Class::Transient),
        (ProxyError::Failed(Socks::CommandNotSupported), Class::Fatal),
        (ProxyError::Failed(Socks::AddressNotSupported), Class::Fatal),
        (ProxyError::Failed(Socks::Other(9)), Class::Fatal),
        (ProxyError::Eof, Class::Transient),
        (ProxyError::Target, Class::Fatal),
        (ProxyError::Http(HandshakeError::Malformed), Class::Fatal),
        (ProxyError::Malformed, Class::Fatal),
        (ProxyError::Authentication, Class::Fatal),
        (ProxyError::Credentials, Class::Fatal),
    ] {
        assert_eq!(error.class(), class, "{error}");
    }
}
