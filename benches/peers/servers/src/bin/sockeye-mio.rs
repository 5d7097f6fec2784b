//! The example for mio: the core without an adapter, on one thread, with one write for all answers of
//! a turn. Without keep-alive, which nobody has here.

#[path = "../../../../../examples/mio_server.rs"]
#[expect(dead_code, reason = "its `main` is for people")]
mod mio_server;

use std::net::Ipv4Addr;

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    let address = (Ipv4Addr::LOCALHOST, port.expect("a port"));
    mio_server::serve(address.into(), sockeye::Timeouts::new())
}
