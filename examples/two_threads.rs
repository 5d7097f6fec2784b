//! A chat on the terminal with two threads, which block: one sends the lines of the standard input,
//! the other one prints what arrives. Neither waits for the other, and there is no lock to share.
//!
//! `cargo run --example two_threads -- ws://127.0.0.1:9001`
#![expect(clippy::print_stdout, reason = "it prints what arrives")]

use std::error::Error;
use std::process::ExitCode;
use std::{io, thread};

use sockeye::{CloseCode, SocketError, blocking};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: two_threads URL")?;
    let (mut receiver, sender) = blocking::connect(&url)?.split()?;
    thread::spawn(move || {
        // If the connection is over, the other thread says how.
        let _over = send_lines(sender);
    });
    // The main thread is the one that sees the end of the connection, whoever began it: the other one
    // may sit and wait for a line until the program ends.
    while let Some(message) = receiver.recv()? {
        match message.as_text() {
            Some(text) => println!("{text}"),
            None => println!("({} bytes)", message.as_bytes().len()),
        }
    }
    let closed = receiver.closed().ok_or("the connection has ended")?;
    eprintln!("closed: {} {}", closed.code(), closed.reason());
    Ok(match closed.clean {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn send_lines(mut sender: blocking::SendHalf<blocking::ClientStream>) -> Result<(), SocketError> {
    for line in io::stdin().lines() {
        sender.send(line?)?;
    }
    // Nobody has more to say. What the server still sends arrives all the same, up to its Close frame.
    sender.close(CloseCode::NORMAL, "")
}
