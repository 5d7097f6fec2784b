//! Ctrl-C and SIGTERM.
#![cfg(unix)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod common;

use std::io::{Read as _, Write as _};
use std::sync::mpsc;
use std::time::Duration;

use common::{Echo, assert_exit, command, server, signal, stderr, wait};
use sockeye::{CloseCode, Config, Delivery, Event, Initiator, blocking};

#[test]
fn a_client_closes_properly() {
    let (url, serving) = server(|stream| {
        let mut ws = blocking::accept(stream, &Config::new()).unwrap();
        ws.send("hi").unwrap();
        while ws.recv().unwrap().is_some() {}
        ws.closed().unwrap()
    });
    let mut child = command(&["connect", &url]).spawn().unwrap();
    // Open, but silent.
    let stdin = child.stdin.take();
    let mut greeting = [0; 3];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut greeting)
        .unwrap();
    signal(&child, "INT");
    assert_exit(&wait(child), 0);
    drop(stdin);
    let closed = serving.join().unwrap();
    assert_eq!(closed.code(), CloseCode::NORMAL);
    assert_eq!(closed.initiator, Initiator::Peer);
    assert!(closed.clean);
}

#[test]
fn a_server_goes_away() {
    for name in ["INT", "TERM"] {
        let mut echo = Echo::start(&[]);
        let mut child = command(&["connect", &echo.url, "-v"]).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"x\n").unwrap();
        let mut answer = [0; 2];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut answer)
            .unwrap();
        signal(&echo.child, name);
        let output = wait(child);
        assert_exit(&output, 0);
        let stderr = stderr(&output);
        assert!(
            stderr.contains("received close 1001 (going away): the server ends"),
            "{stderr}"
        );
        drop(stdin);
        assert_eq!(echo.child.wait().unwrap().code(), Some(0));
    }
}

/// The second signal ends it, whatever the peer does.
#[test]
fn twice() {
    let (connected, is_connected) = mpsc::channel();
    let (done, is_done) = mpsc::channel::<()>();
    let (url, serving) = server(move |stream| {
        let ws = blocking::accept(stream, &Config::new()).unwrap();
        connected.send(()).unwrap();
        let _done = is_done.recv();
        drop(ws); // never having answered
    });
    let mut child = command(&["connect", &url]).spawn().unwrap();
    let stdin = child.stdin.take();
    is_connected.recv_timeout(Duration::from_secs(30)).unwrap();
    while child.try_wait().unwrap().is_none() {
        signal(&child, "INT");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_exit(&wait(child), 130);
    drop((stdin, done));
    serving.join().unwrap();
}

/// A message that is sent while it is read ends with the connection.
#[test]
fn in_the_middle_of_a_message() {
    let (begun, has_begun) = mpsc::channel();
    let (url, serving) = server(move |stream| {
        let config = Config::new().with_delivery(Delivery::Chunks);
        let mut ws = blocking::accept(stream, &config).unwrap();
        while let Some(event) = ws.recv_event().unwrap() {
            if let Event::Fragment(fragment) = event {
                begun.send(fragment.payload().to_vec()).unwrap();
            }
        }
        ws.closed().unwrap()
    });
    let mut child = command(&["connect", &url, "--binary"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"half").unwrap();
    let half = has_begun.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(half, b"half");
    signal(&child, "INT");
    assert_exit(&wait(child), 0);
    drop(stdin);
    assert_eq!(serving.join().unwrap().code(), CloseCode::NORMAL);
}
