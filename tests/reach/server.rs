//! Servers for the clients.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use sockeye::blocking::{self, Stream};
use sockeye::handshake::Acceptance;
use sockeye::{Config, SocketError};

/// Serves so many connections, one after the other, each by its number.
pub(crate) fn serve<T: Send + 'static>(
    count: usize,
    mut each: impl FnMut(usize, TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<Vec<T>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        (0..count)
            .map(|number| each(number, listener.accept().unwrap().0))
            .collect()
    });
    (address, serving)
}

/// Echoes up to the end, and gives the target and the headers of the request.
pub(crate) fn echo<S: Stream>(stream: S) -> Result<(String, Vec<(String, String)>), SocketError> {
    let upgrade = blocking::Upgrade::receive(stream, &Config::new())?;
    let request = upgrade.request();
    let headers = request
        .headers()
        .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
        .collect();
    let seen = (request.target().to_owned(), headers);
    let mut ws = upgrade.accept(Acceptance::new())?;
    while let Some(message) = ws.recv()? {
        ws.send(message)?;
    }
    Ok(seen)
}

/// An echo server for one connection.
pub(crate) fn echo_server() -> (SocketAddr, JoinHandle<Vec<(String, Vec<(String, String)>)>>) {
    serve(1, |_, stream| echo(stream).unwrap())
}

/// Reads a head, up to the empty line.
pub(crate) fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap() == 0 {
            break;
        }
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

/// Answers a request with a redirect.
pub(crate) fn redirect(mut stream: TcpStream, status: u16, location: &str) -> String {
    let head = read_head(&mut stream);
    let answer =
        format!("HTTP/1.1 {status} x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).unwrap();
    head
}
