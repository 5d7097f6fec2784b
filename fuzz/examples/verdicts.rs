//! What a connection makes of each input of a file, for `differential.py`.
//!
//! ```text
//! cargo run --manifest-path fuzz/Cargo.toml --example verdicts -- client|server FILE
//! ```
//!
//! FILE holds inputs as a file of seeds does. For each there is one line of JSON: the events, with
//! payloads in hexadecimal digits, and the verdict, which is `open`, `closed`, or a close code.

#![allow(missing_docs)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::{env, fs, io};

use sockeye::{Config, Limits, Negotiated};
use sockeye_fuzz::seeds;
use sockeye_fuzz::wire::{Cuts, Got, Role, connection, feed};

fn main() -> io::Result<()> {
    let args: Vec<_> = env::args().skip(1).collect();
    let [role, file] = &args[..] else {
        panic!("usage: verdicts client|server FILE");
    };
    let role = match &**role {
        "client" => Role::Client,
        "server" => Role::Server,
        _ => panic!("{role}?"),
    };
    let mut output = io::stdout().lock();
    for input in seeds::unpack(&fs::read(file)?) {
        writeln!(output, "{}", json(role, input))?;
    }
    Ok(())
}

/// The events and the verdict. There are no limits: the other side has none.
fn json(role: Role, input: &[u8]) -> String {
    let limits = Limits::new()
        .with_max_frame_size(u64::MAX)
        .with_max_message_size(u64::MAX);
    let config = Config::new().with_limits(limits);
    let mut conn = connection(role, &config, Negotiated::new());
    let outcome = feed(&mut conn, input, &mut Cuts::Whole, |_, _| {});
    let verdict = match outcome.error {
        Some(error) => u16::from(error.close_code().unwrap()).to_string(),
        None if matches!(outcome.events.last(), Some(Got::Close(..))) => "closed".into(),
        None => "open".into(),
    };
    let events: Vec<_> = outcome.events.iter().map(event).collect();
    format!(
        r#"{{"events": [{}], "verdict": "{verdict}"}}"#,
        events.join(", ")
    )
}

fn event(event: &Got) -> String {
    let (name, payload) = match event {
        Got::Text(text) => ("text", text.as_bytes().to_vec()),
        Got::Binary(bytes) => ("binary", bytes.clone()),
        Got::Ping(bytes) => ("ping", bytes.clone()),
        Got::Pong(bytes) => ("pong", bytes.clone()),
        Got::Close(code, reason) => {
            let close = [&code.to_be_bytes(), reason.as_bytes()].concat();
            ("close", close)
        }
        Got::Piece(..) => panic!("a piece"),
    };
    let mut json = format!(r#"["{name}", ""#);
    for byte in payload {
        write!(json, "{byte:02x}").unwrap();
    }
    json + "\"]"
}
