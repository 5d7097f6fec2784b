//! One connection under load.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::ops::Range;
use std::time::Instant;

use common::{BINARY, CONTINUATION, FIN};
use mio::net::TcpStream;

use crate::frames::Frames;
use crate::histogram::Histogram;

pub struct Client {
    stream: TcpStream,
    /// The message that is sent next.
    next: usize,
    /// What of the frames is to be written.
    unwritten: Range<usize>,
    is_full: bool,
    sent_at: VecDeque<Instant>,
    check: Check,
}

impl Client {
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            next: 0,
            unwritten: 0..0,
            is_full: false,
            sent_at: VecDeque::new(),
            check: Check::default(),
        }
    }

    /// For registering it.
    pub fn stream_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Sends so many more messages, as far as the socket takes them.
    pub fn send(&mut self, frames: &Frames, count: usize, now: Instant) -> io::Result<()> {
        if self.unwritten.is_empty() {
            let start = self.next * frames.frame();
            self.unwritten = start..start;
        }
        self.unwritten.end += count * frames.frame();
        self.next = (self.next + count) % frames.count();
        self.sent_at.extend(std::iter::repeat_n(now, count));
        self.write(frames)
    }

    /// To be called when the socket is writable.
    pub fn writable(&mut self, frames: &Frames) -> io::Result<()> {
        if self.is_full {
            self.write(frames)?;
        }
        Ok(())
    }

    /// To be called when the socket is readable: takes what comes back, and sends as many messages
    /// again. Returns whether there were any.
    pub fn readable(
        &mut self,
        frames: &Frames,
        buffer: &mut [u8],
        latencies: &mut Histogram,
    ) -> io::Result<bool> {
        let mut any = false;
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(any),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let messages = self.check.take(frames, &buffer[..count])?;
            if messages > 0 {
                let now = Instant::now();
                for _ in 0..messages {
                    let sent_at = self.sent_at.pop_front().ok_or_else(wrong)?;
                    latencies.add(now - sent_at);
                }
                self.send(frames, messages, now)?;
                any = true;
            }
            // It would have filled the buffer.
            if count < buffer.len() {
                return Ok(any);
            }
        }
    }

    fn write(&mut self, frames: &Frames) -> io::Result<()> {
        self.is_full = false;
        while !self.unwritten.is_empty() {
            // What lies in the second copy lies in the first one, too.
            if self.unwritten.start >= frames.cycle() {
                self.unwritten.start -= frames.cycle();
                self.unwritten.end -= frames.cycle();
            }
            let end = self.unwritten.end.min(frames.wire().len());
            match self.stream.write(&frames.wire()[self.unwritten.start..end]) {
                Ok(count) => self.unwritten.start += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.is_full = true;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Compares what comes back with what was sent.
#[derive(Default)]
struct Check {
    /// The message that is to come back, and how much of it has.
    message: usize,
    done: usize,
    /// The header that is incomplete.
    header: Vec<u8>,
    /// What is left of the payload of the frame.
    left: usize,
    fin: bool,
}

impl Check {
    /// Returns how many messages end in there.
    fn take(&mut self, frames: &Frames, mut bytes: &[u8]) -> io::Result<usize> {
        let mut messages = 0;
        while let Some((byte, rest)) = bytes.split_first() {
            if self.left == 0 {
                self.header.push(*byte);
                bytes = rest;
                if !self.read_header()? {
                    continue;
                }
            }
            let (part, rest) = bytes.split_at(bytes.len().min(self.left));
            let payload = frames.payload(self.message);
            if payload.get(self.done..self.done + part.len()) != Some(part) {
                return Err(wrong());
            }
            bytes = rest;
            self.done += part.len();
            self.left -= part.len();
            if self.left == 0 && self.fin {
                if self.done != payload.len() {
                    return Err(wrong());
                }
                self.message = (self.message + 1) % frames.count();
                self.done = 0;
                messages += 1;
            }
        }
        Ok(messages)
    }

    /// Whether the header is complete, and announces a payload.
    fn read_header(&mut self) -> io::Result<bool> {
        let [first, second, extended @ ..] = &self.header[..] else {
            return Ok(false);
        };
        let size = match second {
            126 => 2,
            127 => 8,
            128.. => return Err(wrong()),
            _ => 0,
        };
        if extended.len() < size {
            return Ok(false);
        }
        let opcode = if self.done == 0 { BINARY } else { CONTINUATION };
        self.fin = first & FIN != 0;
        if first & !FIN != opcode {
            return Err(wrong());
        }
        self.left = match size {
            0 => usize::from(*second),
            _ => extended
                .iter()
                .fold(0, |len, byte| len << 8 | usize::from(*byte)),
        };
        self.header.clear();
        Ok(self.left > 0)
    }
}

fn wrong() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "something else comes back")
}
