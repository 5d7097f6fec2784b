//! The example `tunnel` carries streams without loss.
#![cfg(feature = "tokio")]
#![allow(
    clippy::unwrap_used,
    clippy::std_instead_of_core,
    clippy::cast_possible_truncation,
    reason = "a test"
)]

mod programs;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use programs::Program;

/// The example, and where it listens.
fn start(arguments: &[&str]) -> (Program, SocketAddr) {
    let program = Program::start("tunnel", arguments);
    let address = program.address("listening on ");
    (program, address)
}

fn pattern(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A server that answers each connection with as many bytes as came, but others, after their end.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream?;
                let mut all = Vec::new();
                stream.read_to_end(&mut all)?;
                all.reverse();
                stream.write_all(&all)
            });
        }
    });
    address
}

fn carries(options: &[&str]) {
    let server = server().to_string();
    let with = |arguments: &[&str]| start(&[arguments, options].concat());
    let exit = with(&["exit", "127.0.0.1:0", &server]);
    let enter = with(&["enter", "127.0.0.1:0", &format!("ws://{}/", exit.1)]);
    let clients: Vec<_> = [0, 1, 1000, 2_000_000]
        .into_iter()
        .zip(1..)
        .map(|(len, seed)| {
            let address = enter.1;
            thread::spawn(move || {
                let mut sent = pattern(len, seed);
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(&sent).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                let mut came = Vec::new();
                stream.read_to_end(&mut came).unwrap();
                sent.reverse();
                assert!(came == sent, "{len}");
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn streams_without_loss() {
    carries(&[]);
}

#[test]
fn compressed_streams_without_loss() {
    carries(&["--deflate"]);
}
