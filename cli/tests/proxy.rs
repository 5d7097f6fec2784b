//! `--proxy`, with a proxy that does the least.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::io::{Read as _, Write as _, copy};
use std::net::{Shutdown, TcpStream};
use std::thread;

use common::{Echo, assert_exit, run, server, stderr, stdout};

/// Reads a CONNECT request, and returns its target and whether it has credentials.
fn request(stream: &mut TcpStream) -> (String, bool) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head
        .strip_prefix("CONNECT ")
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    // ada:secret
    let is_known = head.contains("Basic YWRhOnNlY3JldA==");
    (target.to_owned(), is_known)
}

/// A proxy for one client that wants credentials, and its URL without a scheme.
fn proxy() -> (String, thread::JoinHandle<()>) {
    let (url, serving) = server(|mut client| {
        let (target, is_known) = request(&mut client);
        if !is_known {
            let answer =
                "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n";
            client.write_all(answer.as_bytes()).unwrap();
            return;
        }
        let mut server = TcpStream::connect(target).unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let there = thread::spawn(move || {
            let _copied = copy(&mut from, &mut to);
            let _shut = to.shutdown(Shutdown::Write);
        });
        let _copied = copy(&mut server, &mut client);
        let _shut = client.shutdown(Shutdown::Write);
        there.join().unwrap();
    });
    let address = url.strip_prefix("ws://").unwrap().trim_end_matches('/');
    (address.to_owned(), serving)
}

#[test]
fn through_a_tunnel() {
    let echo = Echo::start(&[]);
    let (address, serving) = proxy();
    let proxy = format!("http://ada:secret@{address}");
    let output = run(
        &["connect", &echo.url, "--one", "--proxy", &proxy],
        b"hello\n",
    );
    assert_exit(&output, 0);
    assert_eq!(stdout(&output), "hello\n");
    serving.join().unwrap();
}

#[test]
fn no_credentials() {
    let (address, serving) = proxy();
    let proxy = format!("http://{address}");
    let output = run(&["connect", "ws://127.0.0.1:1/", "--proxy", &proxy], b"");
    assert_exit(&output, 2);
    assert!(
        stderr(&output).contains("user:password"),
        "{}",
        stderr(&output)
    );
    serving.join().unwrap();
}

#[test]
fn no_proxy() {
    let output = run(
        &["connect", "ws://127.0.0.1:1/", "--proxy", "ftp://there"],
        b"",
    );
    assert_exit(&output, 1);
    assert!(stderr(&output).contains("socks5h"), "{}", stderr(&output));
}
