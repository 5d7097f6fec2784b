//! `ws listen` and who connects to it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use common::{assert_exit, command, finish, listening_at, run, stdout};

/// Who connects and says nothing does not keep the others out.
#[test]
fn once_after_a_silent_client() {
    let mut listening = command(&["listen", "127.0.0.1:0", "--once", "--wait", "20"])
        .spawn()
        .unwrap();
    let url = listening_at(&mut listening);
    let address = url.strip_prefix("ws://").unwrap().trim_end_matches('/');
    let silent = TcpStream::connect(address).unwrap();
    thread::sleep(Duration::from_millis(300));
    let args = ["connect", &url, "--connect-timeout", "5", "--wait", "0"];
    let output = run(&args, b"hello\n");
    assert_exit(&output, 0);
    let output = finish(listening, b"");
    assert_exit(&output, 0);
    assert_eq!(stdout(&output), "hello\n");
    drop(silent);
}

/// Each message is one line, so that none looks like that of another client.
#[test]
fn nobody_speaks_for_others() {
    let mut listening = command(&["listen", "127.0.0.1:0"]).spawn().unwrap();
    let url = listening_at(&mut listening);
    let forged = "x\n2: forged\r3: \u{85}4: \u{2028}5: \\ \tgr\u{f6}\u{df}er";
    let mut ws = sockeye::blocking::connect(&url).unwrap();
    ws.send(forged).unwrap();
    ws.send("end").unwrap();
    let mut reader = BufReader::new(listening.stdout.take().unwrap());
    let mut lines = [String::new(), String::new()];
    for line in &mut lines {
        reader.read_line(line).unwrap();
    }
    let expected = "1: x\\n2: forged\\r3: \\u{85}4: \\u{2028}5: \\ \tgr\u{f6}\u{df}er\n";
    assert_eq!(lines, [expected, "1: end\n"]);
    listening.kill().unwrap();
    listening.wait().unwrap();
}
