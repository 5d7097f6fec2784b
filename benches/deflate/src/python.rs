//! python-websockets, where it is installed.

use std::io::Write;
use std::process::{Command, Stdio};

pub fn rows(messages: &[String]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/websockets_peer.py");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let check = Command::new(&python)
        .args(["-c", "import websockets"])
        .stderr(Stdio::null())
        .status();
    if !check.is_ok_and(|status| status.success()) {
        println!("| python-websockets: not installed | | | | | | | |");
        return;
    }
    let child = Command::new(&python)
        .arg(script)
        .stdin(Stdio::piped())
        .spawn();
    let mut child = child.expect("it ran a moment ago");
    let mut input = child.stdin.take().expect("piped");
    input
        .write_all(messages.join("\n").as_bytes())
        .expect("it reads");
    drop(input);
    assert!(child.wait().expect("it ends").success());
}
