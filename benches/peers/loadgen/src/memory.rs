//! What the server's process holds for each connection.

use std::io::{self, ErrorKind, Read, Write};
use std::thread::sleep;
use std::time::Duration;

use common::{FIN, RSV1, TEXT, ascii_text, push_frame};

use crate::server::Server;
use crate::upgrade;

/// Until what was freed is back.
const SETTLE: Duration = Duration::from_millis(300);

/// KiB of each connection.
pub struct Memory {
    pub idle: f64,
    /// After one message of 1 KiB each way.
    pub used: f64,
    /// Whether the server compresses.
    pub deflate: bool,
}

pub fn run(server: &Server, connections: usize, deflate: bool) -> io::Result<Memory> {
    let before = server.resident_kib()?;
    let mut streams = Vec::with_capacity(connections);
    let mut compresses = deflate;
    for _ in 0..connections {
        let (stream, agreed) = upgrade::connect(server.address(), deflate)?;
        compresses &= agreed;
        streams.push(stream);
    }
    sleep(SETTLE);
    let idle = server.resident_kib()?;

    let text = ascii_text(1024, 3);
    let mut frame = Vec::new();
    match compresses {
        true => push_frame(
            &mut frame,
            FIN | RSV1 | TEXT,
            &stored(&text),
            Some([9, 8, 7, 6]),
        ),
        false => push_frame(&mut frame, FIN | TEXT, &text, Some([9, 8, 7, 6])),
    }
    for stream in &mut streams {
        stream.write_all(&frame)?;
        let (first, payload) = receive(stream)?;
        if first & RSV1 == 0 && payload != text {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                "something else comes back",
            ));
        }
    }
    sleep(SETTLE);
    let used = server.resident_kib()?;
    let each = |kib: u64| kib.saturating_sub(before) as f64 / connections as f64;
    Ok(Memory {
        idle: each(idle),
        used: each(used),
        deflate: compresses,
    })
}

/// A message as RFC 7692 has it, in one block that is not compressed: the client needs no codec.
fn stored(text: &[u8]) -> Vec<u8> {
    let [low, high] = (text.len() as u16).to_le_bytes();
    let mut message = vec![0, low, high, !low, !high];
    message.extend_from_slice(text);
    message.push(0);
    message
}

/// The first byte and the payload of a small frame.
fn receive(stream: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let [mut header, mut extended] = [[0; 2]; 2];
    stream.read_exact(&mut header)?;
    let [first, second] = header;
    let mut len = usize::from(second);
    if second == 126 {
        stream.read_exact(&mut extended)?;
        len = usize::from(u16::from_be_bytes(extended));
    }
    let mut payload = vec![0; len];
    stream.read_exact(&mut payload)?;
    Ok((first, payload))
}
