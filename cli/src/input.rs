//! Stdin, read by a thread of its own: nothing else can be done while it is waited for.

use std::io::{self, BufRead as _, Read};
use std::thread;

use tokio::sync::mpsc;

/// How stdin is cut into messages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// A text message for each line.
    Lines,
    /// A binary message for so many bytes.
    Chunks(usize),
    /// One binary message of all there is, sent while it is read.
    Whole,
}

/// What was read of stdin.
#[derive(Debug)]
pub(crate) enum Item {
    Text(String),
    Binary(Vec<u8>),
    /// A piece of a binary message, and whether it is the last.
    Fragment(Vec<u8>, bool),
}

/// So many items are read ahead of what is sent.
const AHEAD: usize = 16;

/// A piece of a message that is sent while it is read.
const PIECE: usize = 64 * 1024;

/// Reads stdin from now on. The channel ends with it, after an error if there was one.
pub(crate) fn read(cut: Cut) -> mpsc::Receiver<io::Result<Item>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    thread::spawn(move || {
        let result = match cut {
            Cut::Lines => lines(&sender),
            Cut::Chunks(size) => chunks(size, &sender),
            Cut::Whole => whole(&sender),
        };
        if let Err(error) = result {
            // Nobody wants to know any more.
            let _told = sender.blocking_send(Err(error));
        }
    });
    receiver
}

type Items = mpsc::Sender<io::Result<Item>>;

fn lines(items: &Items) -> io::Result<()> {
    let mut stdin = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        if stdin.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.ends_with(b"\n") {
            line.pop();
        }
        if line.ends_with(b"\r") {
            line.pop();
        }
        let line = String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData)?;
        if items.blocking_send(Ok(Item::Text(line))).is_err() {
            return Ok(());
        }
    }
}

fn chunks(size: usize, items: &Items) -> io::Result<()> {
    let mut stdin = io::stdin().lock();
    loop {
        let mut chunk = Vec::new();
        (&mut stdin).take(size as u64).read_to_end(&mut chunk)?;
        if chunk.is_empty() || items.blocking_send(Ok(Item::Binary(chunk))).is_err() {
            return Ok(());
        }
    }
}

fn whole(items: &Items) -> io::Result<()> {
    let mut stdin = io::stdin().lock();
    let mut is_first = true;
    loop {
        let mut piece = vec![0; PIECE];
        let count = stdin.read(&mut piece)?;
        piece.truncate(count);
        // Of nothing there is no message.
        if is_first && count == 0 {
            return Ok(());
        }
        is_first = false;
        let item = Item::Fragment(piece, count == 0);
        if items.blocking_send(Ok(item)).is_err() || count == 0 {
            return Ok(());
        }
    }
}
