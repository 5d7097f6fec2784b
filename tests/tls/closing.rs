//! How a TLS connection ends: neither side takes an end that somebody else made for the peer's.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sockeye::handshake::{Acceptance, ServerHandshake};
use sockeye::tls::rustls;
use sockeye::{Config, HandshakeError, Input, Instant, SocketError};

use crate::certificates::Authority;
use crate::sides::{Server, Sides};

crate::on_every_adapter!(
    close_notify_comes_before_the_end,
    a_peer_without_close_notify_after_the_closing_handshake,
    a_peer_without_close_notify_in_the_middle,
    a_peer_with_close_notify_in_the_middle,
    a_refusal_without_close_notify,
);

type Raw = StreamOwned<ServerConnection, TcpStream>;

/// A server by hand, once the opening handshake is done.
fn raw<T: Send + 'static>(
    config: ServerConfig,
    serve: impl FnOnce(Raw) -> T + Send + 'static,
) -> Server<T> {
    Server::new(move |stream| {
        let session = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(session, stream);
        let now = Instant::from_nanos(0);
        let mut handshake = ServerHandshake::new(&Config::new(), now);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let request = handshake.receive(now, &mut Input::new(&mut head));
        assert!(request.unwrap().is_some());
        handshake.accept(Acceptance::new()).unwrap();
        let answer = handshake.poll_transmit().unwrap();
        stream.write_all(answer).unwrap();
        stream.flush().unwrap();
        serve(stream)
    })
}

/// Reads the client's Close frame: with a code and without a reason, masked.
fn read_close(stream: &mut Raw) {
    let mut frame = [0; 8];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame[..2], [0x88, 0x82]);
}

/// 6455-7.1.1-01, and 6455-4.1-16 on the way.
fn close_notify_comes_before_the_end<S: Sides>() {
    let authority = Authority::new();
    let server = raw(authority.server("localhost"), |mut stream| {
        assert_eq!(stream.conn.server_name(), Some("localhost"));
        read_close(&mut stream);
        stream.write_all(b"\x88\x02\x03\xe8").unwrap();
        // A server closes first (RFC 6455 section 7.1.1).
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        stream.sock.shutdown(Shutdown::Write).unwrap();
        // The end is an error without `close_notify`.
        stream.read(&mut [0]).unwrap()
    });
    let visit = S::visit(&authority.connector(), &server.url("localhost"), &[]).unwrap();
    assert!(visit.closed.clean);
    assert_eq!(server.join(), 0);
}

fn a_peer_without_close_notify_after_the_closing_handshake<S: Sides>() {
    let authority = Authority::new();
    let server = raw(authority.server("localhost"), |mut stream| {
        read_close(&mut stream);
        stream.write_all(b"\x88\x02\x03\xe8").unwrap();
        stream.sock.shutdown(Shutdown::Write).unwrap();
        drop(stream.read(&mut [0]));
    });
    let visit = S::visit(&authority.connector(), &server.url("localhost"), &[]).unwrap();
    assert!(visit.closed.clean);
    server.join();
}

fn a_peer_without_close_notify_in_the_middle<S: Sides>() {
    let authority = Authority::new();
    let server = raw(authority.server("localhost"), |mut stream| {
        stream.write_all(b"\x82\x05ab").unwrap();
        stream.sock.shutdown(Shutdown::Write).unwrap();
        drop(stream.read(&mut [0]));
    });
    let error = S::listen(&authority.connector(), &server.url("localhost")).unwrap_err();
    assert!(
        matches!(&error, SocketError::Io(error) if error.kind() == ErrorKind::UnexpectedEof),
        "{error:?}"
    );
    server.join();
}

/// Then the TLS session is in order, but the WebSocket connection is not.
fn a_peer_with_close_notify_in_the_middle<S: Sides>() {
    let authority = Authority::new();
    let server = raw(authority.server("localhost"), |mut stream| {
        stream.write_all(b"\x82\x05ab").unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        stream.sock.shutdown(Shutdown::Write).unwrap();
        drop(stream.read(&mut [0]));
    });
    let error = S::listen(&authority.connector(), &server.url("localhost")).unwrap_err();
    assert!(
        matches!(error, SocketError::Connection(sockeye::Error::Eof)),
        "{error:?}"
    );
    server.join();
}

/// The head of the answer came under TLS as a whole; only the body may have been cut off.
fn a_refusal_without_close_notify<S: Sides>() {
    for length in ["", "Content-Length: 9\r\n"] {
        let authority = Authority::new();
        let config = authority.server("localhost");
        let server = Server::new(move |stream| {
            let session = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = StreamOwned::new(session, stream);
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            let answer = format!("HTTP/1.1 401 x\r\n{length}\r\nno");
            stream.write_all(answer.as_bytes()).unwrap();
            stream.flush().unwrap();
            stream.sock.shutdown(Shutdown::Write).unwrap();
            drop(stream.read(&mut [0]));
        });
        let error = S::listen(&authority.connector(), &server.url("localhost")).unwrap_err();
        let SocketError::Handshake(HandshakeError::Refused(response)) = error else {
            panic!("{error:?}");
        };
        assert_eq!(response.status(), 401);
        assert_eq!(&response.body()[..], b"no");
        assert!(!response.is_complete());
        server.join();
    }
}
