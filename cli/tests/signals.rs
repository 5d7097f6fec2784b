//! Ctrl-C and SIGTERM.
#![cfg(unix)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ExitStatus};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{Echo, assert_exit, command, listening_at, server, signal, stderr, wait};
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
        thread::sleep(Duration::from_millis(200));
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

/// Much more than a pipe and the buffers on the way take.
const MUCH: usize = 48;

/// Who does not read what is written to stdout does not keep a signal from being seen.
#[test]
fn a_reader_that_stalls() {
    let (url, serving) = server(|stream| {
        let mut ws = blocking::accept(stream, &Config::new()).unwrap();
        let megabyte = "x".repeat(1 << 20);
        for _ in 0..MUCH {
            ws.send(&*megabyte).unwrap();
        }
        while ws.recv().unwrap().is_some() {}
        ws.closed().unwrap()
    });
    let mut child = command(&["connect", &url]).spawn().unwrap();
    let stdin = child.stdin.take();
    let stdout = child.stdout.take();
    thread::sleep(Duration::from_secs(1));
    signal(&child, "INT");
    let status = ends_within(&mut child, Duration::from_secs(15));
    // Not all of it was written.
    assert_eq!(status.code(), Some(2));
    drop((stdin, stdout));
    let closed = serving.join().unwrap();
    assert_eq!(closed.code(), CloseCode::NORMAL);
    assert!(closed.clean);
}

/// What was received before is written to a reader that takes it.
#[test]
fn a_reader_that_is_slow() {
    let (url, serving) = server(|stream| {
        let mut ws = blocking::accept(stream, &Config::new()).unwrap();
        ws.send("x".repeat(200_000)).unwrap();
        while ws.recv().unwrap().is_some() {}
    });
    let mut child = command(&["connect", &url]).spawn().unwrap();
    let stdin = child.stdin.take();
    thread::sleep(Duration::from_millis(700));
    signal(&child, "INT");
    thread::sleep(Duration::from_millis(300));
    let output = wait(child);
    assert_exit(&output, 0);
    assert_eq!(output.stdout.len(), 200_001);
    drop(stdin);
    serving.join().unwrap();
}

#[test]
fn a_reader_of_many_clients_that_stalls() {
    let mut listening = command(&["listen", "127.0.0.1:0"]).spawn().unwrap();
    let url = listening_at(&mut listening);
    let stdin = listening.stdin.take();
    let stdout = listening.stdout.take();
    let client = thread::spawn(move || {
        let mut ws = blocking::connect(&url).unwrap();
        let megabyte = "x".repeat(1 << 20);
        // It ends before all of it is sent.
        while ws.send(&*megabyte).is_ok() {}
    });
    thread::sleep(Duration::from_secs(1));
    signal(&listening, "INT");
    let status = ends_within(&mut listening, Duration::from_secs(15));
    assert_eq!(status.code(), Some(2));
    drop((stdin, stdout));
    client.join().unwrap();
}

/// A client that reads nothing has as long as the closing handshake may take.
#[test]
fn a_client_that_never_reads() {
    let mut listening = command(&["listen", "127.0.0.1:0"]).spawn().unwrap();
    let url = listening_at(&mut listening);
    let client = blocking::connect(&url).unwrap();
    let mut stdin = listening.stdin.take().unwrap();
    let mut line = "x".repeat(1 << 20);
    line.push('\n');
    for _ in 0..MUCH {
        stdin.write_all(line.as_bytes()).unwrap();
    }
    thread::sleep(Duration::from_millis(500));
    signal(&listening, "INT");
    let status = ends_within(&mut listening, Duration::from_secs(15));
    assert_eq!(status.code(), Some(0));
    drop((client, stdin));
}

/// A connection on which nobody asks for anything.
#[test]
fn a_client_that_says_nothing() {
    for command_name in ["listen", "echo"] {
        let mut server = command(&[command_name, "127.0.0.1:0"]).spawn().unwrap();
        let url = match command_name {
            "listen" => listening_at(&mut server),
            _ => first_line(&mut server),
        };
        let client = TcpStream::connect(address(&url)).unwrap();
        thread::sleep(Duration::from_millis(500));
        signal(&server, "INT");
        // Far less than the opening handshake may take.
        let status = ends_within(&mut server, Duration::from_secs(5));
        assert_eq!(status.code(), Some(0), "{command_name}");
        drop(client);
    }
}

#[test]
fn before_anybody_has_connected() {
    let mut listening = command(&["listen", "127.0.0.1:0", "--once"])
        .spawn()
        .unwrap();
    let url = listening_at(&mut listening);
    // Who says nothing has not.
    let client = TcpStream::connect(address(&url)).unwrap();
    signal(&listening, "INT");
    assert_exit(&wait(listening), 130);
    drop(client);
}

fn address(url: &str) -> &str {
    url.strip_prefix("ws://").unwrap().trim_end_matches('/')
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    line.trim_end().to_owned()
}

/// Its end, without anybody reading what it writes.
#[track_caller]
fn ends_within(child: &mut Child, time: Duration) -> ExitStatus {
    let since = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if since.elapsed() > time {
            child.kill().unwrap();
            panic!("it hangs");
        }
        thread::sleep(Duration::from_millis(5));
    }
}
