//! How the program ends, and that it says why in one line.
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod common;

use std::io::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use common::{Echo, assert_exit, run, server, stderr};
use sockeye::handshake::Refusal;
use sockeye::{CloseCode, Config, blocking};

/// Runs `ws connect` and checks its exit code and the one line that it says.
#[track_caller]
fn connect(args: &[&str], input: &[u8], code: i32, says: &str) {
    let output = run(&[&["connect"], args].concat(), input);
    assert_exit(&output, code);
    let stderr = stderr(&output);
    assert!(stderr.starts_with("error: "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains(says), "{says} in {stderr}");
}

#[test]
fn usage() {
    connect(&["http://127.0.0.1/"], b"", 1, "ws://host:port/path");
    connect(&["ws://user:pass@127.0.0.1/"], b"", 1, "--user");
    connect(&["ws://"], b"", 1, "host");
    connect(&["ws://127.0.0.1:1/#there"], b"", 1, "fragment");
    connect(
        &["ws://127.0.0.1:1/", "-H", "Host: there"],
        b"",
        1,
        "reserved",
    );
    connect(
        &["ws://127.0.0.1:1/", "--subprotocol", "a b"],
        b"",
        1,
        "token",
    );
    for args in [
        &["connect"][..],
        &["connect", "ws://127.0.0.1:1/", "--close", "1006"],
        &["connect", "ws://127.0.0.1:1/", "--count", "0"],
        &["bench", "ws://127.0.0.1:1/", "--size", "big"],
        &["bench", "ws://127.0.0.1:1/", "--size", "9000000000G"],
        &["bench", "ws://127.0.0.1:1/", "--size", "2G"],
        &["unknown"],
    ] {
        assert_exit(&run(args, b""), 1);
    }
    assert_exit(&run(&["--help"], b""), 0);
    assert_exit(&run(&["connect", "--help"], b""), 0);
}

/// Whatever is wrong about them.
#[test]
fn credentials_are_not_told() {
    let url = "ws://127.0.0.1:1/";
    for args in [
        &["connect", "ws://ada:sesame@127.0.0.1:1/"][..],
        &["connect", "ada:sesame@127.0.0.1:1"],
        &["connect", "http://ada:sesame@127.0.0.1:1/"],
        &["connect", "ws://ada:ses/@me:sesame@127.0.0.1:1/"],
        &["bench", "wss://ada:sesame@127.0.0.1:1/"],
        &["connect", url, "--proxy", "ftp://ada:sesame@127.0.0.1:1"],
        &["connect", url, "--proxy=http://ada:sesame@127.0.0.1:x"],
        &["bench", url, "--proxy", "http://ada:sesame@"],
        // There is no such argument, and no such command.
        &["ws://ada:sesame@127.0.0.1:1/"],
        &["connect", url, "http://ada:sesame@127.0.0.1:1"],
        &["connect", url, "--via=http://ada:sesame@127.0.0.1:1"],
        &["connect", url, "-H", "Authorization Bearer sesame"],
    ] {
        let output = run(args, b"");
        assert_exit(&output, 1);
        let stderr = stderr(&output);
        assert!(!stderr.contains("sesame"), "{args:?}: {stderr}");
        assert!(stderr.contains("error"), "{stderr}");
    }
}

#[test]
fn input_that_is_not_text() {
    let echo = Echo::start(&[]);
    connect(&[&echo.url], b"\xff\n", 1, "--binary");
}

#[test]
fn nobody_listens() {
    // Bound and closed again: nobody else gets it that soon.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    connect(&[&format!("ws://{address}/")], b"", 2, "refused");
}

#[test]
fn refused() {
    for (status, says) in [
        (403, "403 Forbidden"),
        (401, "--user"),
        (404, "path"),
        (200, "web server"),
    ] {
        let (url, serving) = server(move |stream| {
            let upgrade = blocking::Upgrade::receive(stream, &Config::new()).unwrap();
            upgrade
                .reject(Refusal::new(status).with_body("no\n"))
                .unwrap();
        });
        connect(&[&url], b"", 3, says);
        serving.join().unwrap();
    }
}

#[test]
fn no_websocket_server() {
    let (url, serving) = server(|mut stream| stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").unwrap());
    connect(&[&url], b"", 3, "HTTP");
    serving.join().unwrap();
}

#[test]
fn broken_protocol() {
    for (bytes, says) in [
        (&b"\x83\x00"[..], "reserved opcode"),
        (b"\x81\x82\0\0\0\0hi", "masked"),
        (b"\x81\x01\xff", "UTF-8"),
    ] {
        let (url, serving) = server(|stream| {
            let mut raw = stream.try_clone().unwrap();
            let mut ws = blocking::accept(stream, &Config::new()).unwrap();
            raw.write_all(bytes).unwrap();
            while let Ok(Some(_)) = ws.recv() {}
        });
        connect(&[&url, "--wait", "forever"], b"", 4, says);
        serving.join().unwrap();
    }
}

#[test]
fn too_large() {
    let echo = Echo::start(&[]);
    connect(
        &[&echo.url, "--max-message", "10"],
        b"more than ten\n",
        4,
        "--max-message",
    );
}

#[test]
fn no_answer() {
    let (url, serving) = server(|stream| {
        std::thread::sleep(Duration::from_millis(1500));
        drop(stream);
    });
    connect(
        &[&url, "--connect-timeout", "0.2"],
        b"",
        5,
        "--connect-timeout",
    );
    serving.join().unwrap();
}

#[test]
fn closed_with_a_code_or_without_one() {
    let (url, serving) = server(|stream| {
        let mut ws = blocking::accept(stream, &Config::new()).unwrap();
        ws.close(CloseCode::POLICY_VIOLATION, "not you\x1b[2J")
            .unwrap();
    });
    connect(
        &[&url, "--wait", "forever"],
        b"",
        6,
        "closed with 1008 (policy violation): not you\\u{1b}[2J",
    );
    serving.join().unwrap();

    let (url, serving) = server(|stream| {
        drop(blocking::accept(stream, &Config::new()).unwrap());
    });
    connect(
        &[&url, "--wait", "forever"],
        b"",
        6,
        "without a closing handshake",
    );
    serving.join().unwrap();

    for code in [CloseCode::NORMAL, CloseCode::GOING_AWAY] {
        let (url, serving) = server(move |stream| {
            let mut ws = blocking::accept(stream, &Config::new()).unwrap();
            ws.close(code, "").unwrap();
        });
        assert_exit(&run(&["connect", &url, "--wait", "forever"], b""), 0);
        serving.join().unwrap();
    }
}

#[test]
fn servers_that_cannot_be() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for command in ["echo", "listen"] {
        let output = run(&[command, &address], b"");
        assert_exit(&output, 2);
        assert!(
            stderr(&output).contains("another program"),
            "{}",
            stderr(&output)
        );
        assert_exit(&run(&[command, "nonsense"], b""), 1);
    }
}
