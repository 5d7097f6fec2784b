//! An echo server on io_uring: one thread, which hands the kernel all that is next and waits, in one
//! call. What arrives lies in buffers that the kernel picks and gets back in the same turn, and what
//! leaves are owned segments, kept until it is done with them. Read `sans_io_min` first, then `server.rs`.
//!
//! `cargo run --example uring_server -- 9001`. It exits with 3 where io_uring is not to be had.

#[cfg(target_os = "linux")]
mod ring;
#[cfg(target_os = "linux")]
mod server;

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).map(|port| port.parse());
    let port = port.unwrap_or(Ok(9001)).map_err(std::io::Error::other)?;
    let ring = ring::Ring::new().unwrap_or_else(|error| {
        eprintln!("the kernel gives this program no io_uring: {error}");
        std::process::exit(3);
    });
    server::serve(port, ring)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("io_uring is Linux's");
    std::process::exit(3);
}
