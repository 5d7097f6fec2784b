//! `ws connect` and `ws echo`, with pipes on all sides.
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod common;

use std::io::{BufRead as _, BufReader, Write as _};

use common::{Echo, assert_exit, command, finish, listening_at, run, server, stderr, stdout};
use sockeye::handshake::Acceptance;
use sockeye::{CloseCode, Config, blocking};

#[test]
fn lines_go_there_and_back() {
    let echo = Echo::start(&[]);
    let output = run(&["connect", &echo.url], "one\ntwo\r\n\ngrößer".as_bytes());
    assert_exit(&output, 0);
    assert_eq!(stdout(&output), "one\ntwo\n\ngrößer\n");
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_url_needs_no_scheme() {
    let echo = Echo::start(&[]);
    let url = echo.url.strip_prefix("ws://").unwrap();
    let output = run(&["connect", url, "--one"], b"hello\n");
    assert_exit(&output, 0);
    assert_eq!(stdout(&output), "hello\n");
}

#[test]
fn a_mebibyte_of_any_bytes() {
    let bytes: Vec<u8> = (0..1_u32 << 20)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let echo = Echo::start(&["--compress"]);
    for args in [
        &["--binary", "--one"][..],
        &["--binary", "--one", "--compress"],
        &["--chunk", "64k", "--count", "16"],
        &["--chunk", "1000", "--count", "1049", "--compress"],
        &["--chunk", "8M", "--one"],
    ] {
        let output = run(&[&["connect", &echo.url], args].concat(), &bytes);
        assert_exit(&output, 0);
        assert!(output.stdout == bytes, "{args:?}");
    }
}

#[test]
fn nothing_is_no_message() {
    let echo = Echo::start(&[]);
    for args in [&["--wait", "0"][..], &["--wait", "0", "--binary"]] {
        let output = run(&[&["connect", &echo.url], args].concat(), b"");
        assert_exit(&output, 0);
        assert_eq!(output.stdout, b"");
    }
}

/// More than all buffers between the two take: who only sends would wait for ever.
#[test]
fn sends_and_receives_at_the_same_time() {
    let echo = Echo::start(&[]);
    let bytes = vec![b'x'; 48 << 20];
    let output = run(
        &["connect", &echo.url, "--chunk", "64k", "--count", "768"],
        &bytes,
    );
    assert_exit(&output, 0);
    assert!(output.stdout == bytes);
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let echo = Echo::start(&[]);
    let mut child = command(&["connect", &echo.url]).spawn().unwrap();
    let mut first = String::new();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"1\n").unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut first).unwrap();
    assert_eq!(first, "1\n", "it is not held back while stdin is open");
    drop(reader);
    // The next one finds the pipe broken.
    stdin.write_all(b"2\n").unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn what_the_server_is_told() {
    let (url, serving) = server(|stream| {
        let upgrade = blocking::Upgrade::receive(stream, &Config::new()).unwrap();
        let request = upgrade.request();
        let header = |name| {
            request
                .header(name)
                .map(|value| String::from_utf8_lossy(value).into_owned())
        };
        let told = [
            header("X-Test"),
            header("X-Other"),
            header("Origin"),
            header("Authorization"),
            header("Sec-WebSocket-Protocol"),
        ];
        let mut ws = upgrade
            .accept(Acceptance::new().with_subprotocol("b"))
            .unwrap();
        while ws.recv().unwrap().is_some() {}
        (told, ws.closed().unwrap())
    });
    let output = run(
        &[
            "connect",
            &url,
            "-H",
            "X-Test: one: two",
            "--header",
            "X-Other:3",
            "--origin",
            "https://example.com",
            "--user",
            "Aladdin:open sesame",
            "--subprotocol",
            "a",
            "--subprotocol",
            "b",
            "--wait",
            "0",
            "--close",
            "4000:good bye",
            "-v",
        ],
        b"",
    );
    assert_exit(&output, 0);
    let (told, closed) = serving.join().unwrap();
    let expected = [
        "one: two",
        "3",
        "https://example.com",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "a, b",
    ];
    assert_eq!(told, expected.map(|value| Some(value.to_owned())));
    assert_eq!(
        (closed.code(), closed.reason()),
        (CloseCode::from(4000), "good bye")
    );
    let stderr = stderr(&output);
    for line in [
        "> GET / HTTP/1.1",
        "> Authorization: (hidden)",
        "< HTTP/1.1 101 Switching Protocols",
        "< Sec-WebSocket-Protocol: b",
        "* received close 4000 (the application's own)",
    ] {
        assert!(stderr.contains(line), "{line} in {stderr}");
    }
    assert!(!stderr.contains("QWxhZGRpbj"), "{stderr}");
}

#[test]
fn secrets_are_not_shown() {
    let (url, serving) = server(|stream| {
        let upgrade = blocking::Upgrade::receive(stream, &Config::new()).unwrap();
        let acceptance = Acceptance::new().with_header("Set-Cookie", "session=sesame");
        let mut ws = upgrade.accept(acceptance).unwrap();
        while ws.recv().unwrap().is_some() {}
    });
    let args = [
        "connect",
        &url,
        "-v",
        "--wait",
        "0",
        "-H",
        "cookie: session=sesame",
        "-H",
        "Proxy-Authorization: Basic sesame",
        "-H",
        "authorization: Bearer sesame",
    ];
    let output = run(&args, b"");
    serving.join().unwrap();
    assert_exit(&output, 0);
    let stderr = stderr(&output);
    for line in [
        "> cookie: (hidden)",
        "> Proxy-Authorization: (hidden)",
        "> authorization: (hidden)",
        "< Set-Cookie: (hidden)",
    ] {
        assert!(stderr.contains(line), "{line} in {stderr}");
    }
    assert!(!stderr.contains("sesame"), "{stderr}");
}

#[test]
fn pings_and_round_trips() {
    let echo = Echo::start(&[]);
    let output = run(
        &["connect", &echo.url, "-v", "--ping", "0.05", "--wait", "2"],
        b"",
    );
    assert_exit(&output, 0);
    let stderr = stderr(&output);
    assert!(stderr.contains("* received pong"), "{stderr}");
    assert!(stderr.contains("* round trip "), "{stderr}");
}

/// One on each side of a pipe, as netcat.
#[test]
fn listen_once() {
    let mut listening = command(&["listen", "127.0.0.1:0", "--once", "--wait", "20"])
        .spawn()
        .unwrap();
    let url = listening_at(&mut listening);
    let client = command(&["connect", &url, "--wait", "3"]).spawn().unwrap();
    let listening = std::thread::spawn(move || finish(listening, b"from the server\n"));
    let client = finish(client, b"from the client\n");
    assert_exit(&client, 0);
    assert_eq!(stdout(&client), "from the server\n");
    let server = listening.join().unwrap();
    assert_exit(&server, 0);
    assert_eq!(stdout(&server), "from the client\n");
}

#[test]
fn listen_to_many() {
    let mut listening = command(&[
        "listen",
        "127.0.0.1:0",
        "--subprotocol",
        "chat",
        "--compress",
    ])
    .spawn()
    .unwrap();
    let url = listening_at(&mut listening);
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let mut child = command(&["connect", &url, "--one", "--compress"])
                .spawn()
                .unwrap();
            child.stdin.as_mut().unwrap().write_all(b"here\n").unwrap();
            child
        })
        .collect();
    let mut reader = BufReader::new(listening.stdout.take().unwrap());
    let mut lines: Vec<_> = (0..3)
        .map(|_| {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            line
        })
        .collect();
    lines.sort();
    assert_eq!(lines, ["1: here\n", "2: here\n", "3: here\n"]);

    // One line, to all of them.
    listening
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"news\n")
        .unwrap();
    for client in clients {
        let output = finish(client, b"");
        assert_exit(&output, 0);
        assert_eq!(stdout(&output), "news\n");
    }
    let output = run(&["connect", &url, "--binary", "--wait", "0"], b"\x00\xff");
    assert_exit(&output, 0);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "4: binary, 2 bytes: 00 ff\n");
    listening.kill().unwrap();
    listening.wait().unwrap();
}
