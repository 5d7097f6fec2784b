//! The example for mio: the core without an adapter, on one thread, with one write for all answers to
//! a read.

#[path = "../../../../../examples/mio_server.rs"]
mod mio_server;

fn main() -> std::io::Result<()> {
    mio_server::main()
}
