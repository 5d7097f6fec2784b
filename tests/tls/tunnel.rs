//! TLS inside a tunnel: the certificate is that of the server.

use std::io::{Read, Write};
use std::sync::Arc;

use sockeye::connector::Phase;
use sockeye::proxy::Proxy;

use crate::certificates::Authority;
use crate::sides::{Server, Sides};

crate::on_every_adapter!(through_a_proxy, through_a_proxy_to_another_server);

/// A proxy that is the server too, once it was asked.
fn proxy<S: Sides>(authority: &Authority, host: &str) -> Server<bool> {
    let config = authority.server(host);
    Server::new(move |mut stream| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"CONNECT chat.example:443 HTTP/1.1\r\n"));
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        S::serve(stream, Arc::new(config)).is_ok()
    })
}

fn through_a_proxy<S: Sides>() {
    let authority = Authority::new();
    let server = proxy::<S>(&authority, "chat.example");
    let proxy = Proxy::parse(&format!("http://127.0.0.1:{}", server.port)).unwrap();
    let connector = authority.connector().with_proxy(proxy);
    let payloads = [vec![1; 1 << 20]];
    let visit = S::visit(&connector, "wss://chat.example/", &payloads).unwrap();
    assert!(visit.is_secure && visit.has_tcp && visit.closed.clean);
    assert!(server.join());
}

fn through_a_proxy_to_another_server<S: Sides>() {
    let authority = Authority::new();
    let server = proxy::<S>(&authority, "elsewhere.example");
    let proxy = Proxy::parse(&format!("http://127.0.0.1:{}", server.port)).unwrap();
    let connector = authority.connector().with_proxy(proxy);
    let error = S::visit(&connector, "wss://chat.example/", &[]).unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Tls), "{error:?}");
    assert!(!server.join());
}
