//! TLS inside a tunnel, and over a Unix socket: the certificate is that of the server.

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

#[cfg(unix)]
mod unix {
    use std::os::unix::net::UnixListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use rustls::ServerConnection;
    use sockeye::tls::rustls;
    use sockeye::{Config, blocking};

    use crate::certificates::Authority;
    use crate::sides::Sides;

    crate::on_every_adapter!(over_a_unix_socket);

    fn over_a_unix_socket<S: Sides>() {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("sockeye-tls-{}-{number}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).unwrap();

        let authority = Authority::new();
        let config = authority.server("localhost");
        let serving = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let session = ServerConnection::new(Arc::new(config)).unwrap();
            let stream = blocking::TlsStream::new(session, stream);
            let mut ws = blocking::accept(stream, &Config::new()).unwrap();
            while let Some(message) = ws.recv().unwrap() {
                ws.send(message).unwrap();
            }
        });
        let url = format!("wss+unix:{}:/a", path.display());
        let visit = S::visit(&authority.connector(), &url, &[vec![1; 100_000]]).unwrap();
        assert!(visit.is_secure && !visit.has_tcp && visit.closed.clean);
        serving.join().unwrap();
        std::fs::remove_file(path).unwrap();
    }
}
