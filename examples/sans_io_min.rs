//! The contract of the core, driven by hand: an echo server without an adapter. Read this first.
//! Bytes and time go in; events, bytes and a deadline come out. No adapter does more than this.
//!
//! `cargo run --example sans_io_min`, and for instance in the console of a browser:
//! `ws = new WebSocket("ws://127.0.0.1:9001"); ws.onmessage = e => alert(e.data)`, `ws.send("hi")`
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use core::{error::Error, time::Duration};
use std::io::{self, ErrorKind::*, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use bytes::Buf;
use sockeye::handshake::{Acceptance, ServerHandshake};
use sockeye::{Closed, Config, Connection, Input, Instant, Limits, Transport};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:9001")?;
    println!("ws://{}", listener.local_addr()?);
    loop {
        let (tcp, peer) = listener.accept()?;
        std::thread::spawn(move || println!("{peer}: {:?}", serve(tcp)));
    }
}

fn serve(mut tcp: TcpStream) -> Result<Option<Closed>, Box<dyn Error>> {
    let now = || Instant::from(std::time::Instant::now());
    tcp.set_write_timeout(Some(Duration::from_secs(10)))?;
    // Each turn writes all it has, so the queue holds the echoes of one read and needs no limit.
    let config = Config::new().with_limits(Limits::new().with_max_queued(usize::MAX));
    let mut buffer = vec![0; 16 * 1024];
    // The opening handshake. What the client sent after its request belongs to the connection.
    let mut handshake = ServerHandshake::new(&config, now());
    let mut unread = loop {
        let mut input = Input::new(&mut []);
        let result = match read(&mut tcp, &mut buffer, handshake.poll_timeout())? {
            None => handshake.handle_timeout(now()).map(|()| None),
            Some([]) => handshake.handle_eof().map(|()| None),
            Some(bytes) => {
                input = Input::new(bytes);
                handshake.receive(now(), &mut input)
            }
        };
        write(&mut tcp, handshake.poll_transmit())?; // If it failed, an HTTP answer.
        if let Some(_request) = result? {
            break input.take_all();
        }
    };
    let mut conn = Connection::server(&config, handshake.accept(Acceptance::new())?, now());
    write(&mut tcp, handshake.poll_transmit())?;
    loop {
        // In: events, until every byte is consumed. They borrow the bytes, so `conn` can send. It
        // answers pings and Close frames by itself, and has a Close frame ready for any error.
        let mut input = Input::new(unread);
        while let Ok(Some(event)) = conn.receive(now(), &mut input) {
            if let Ok(message) = event.into_message() {
                conn.send(message)?;
            }
        }
        // Out: everything that waits, then what the transport is to do.
        write(&mut tcp, conn.poll_transmit())?;
        match conn.transport() {
            Transport::Close => return Ok(conn.closed()),
            Transport::ShutdownWrite => tcp.shutdown(Shutdown::Write)?,
            Transport::Open => {}
        }
        // Wait: for bytes, their end, or the deadline. Errors are in `closed`, too.
        unread = match read(&mut tcp, &mut buffer, conn.poll_timeout())? {
            None => conn.handle_timeout(now()).map_or(&mut [], |()| &mut []),
            Some([]) => conn.handle_eof().map_or(&mut [], |()| &mut []),
            Some(bytes) => bytes,
        };
    }
}

fn write(tcp: &mut TcpStream, mut output: Option<impl Buf>) -> io::Result<()> {
    while let Some(output) = output.as_mut().filter(|output| output.has_remaining()) {
        let mut slices = [IoSlice::new(&[]); 16];
        let count = output.chunks_vectored(&mut slices);
        match tcp.write_vectored(slices.get(..count).unwrap_or_default())? {
            0 => return Err(WriteZero.into()),
            written => output.advance(written),
        }
    }
    Ok(())
}

/// Reads some bytes, none if the peer sends no more. `None` if the deadline comes first.
fn read<'b>(
    tcp: &mut TcpStream,
    buffer: &'b mut [u8],
    deadline: Option<Instant>,
) -> io::Result<Option<&'b mut [u8]>> {
    let wait = deadline.map(|at| at.to_std().duration_since(std::time::Instant::now()));
    tcp.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
    match tcp.read(buffer) {
        Err(error) if matches!(error.kind(), WouldBlock | TimedOut | Interrupted) => Ok(None),
        result => Ok(buffer.get_mut(..result?)),
    }
}
