//! Peers that are slow on purpose: the deadlines are met all the same.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::ServerConnection;
use sockeye::tls::rustls;
use sockeye::{Config, HandshakeError, SocketError, Timeouts, blocking};

use crate::certificates::Authority;
use crate::sides::Server;

/// A record that comes byte by byte keeps the session reading, but not the deadline from passing.
#[test]
fn a_record_that_comes_byte_by_byte() {
    let config = Arc::new(Authority::new().server("localhost"));
    let server = Server::new(move |stream| {
        let session = ServerConnection::new(config).unwrap();
        let stream = blocking::TlsStream::new(session, stream);
        let short = Some(Duration::from_millis(300));
        let timeouts = Timeouts::new().with_handshake(short).with_close(short);
        let started = Instant::now();
        let accepted = blocking::accept(stream, &Config::new().with_timeouts(timeouts));
        (accepted.err(), started.elapsed())
    });
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let mut other = stream.try_clone().unwrap();
    let reading = thread::spawn(move || drop(other.read_to_end(&mut Vec::new())));
    // A handshake record of 16 KiB, and the first bytes of it.
    for byte in [22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc]
        .into_iter()
        .chain([0; 300])
    {
        if stream.write_all(&[byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    reading.join().unwrap();
    let (error, elapsed) = server.join();
    assert!(
        matches!(error, Some(SocketError::Handshake(HandshakeError::Timeout))),
        "{error:?}"
    );
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
}
