//! Whether a peer does what a case asks for, before anything is timed.

use std::sync::Arc;

use common::{RSV1, hash, messages};
use flate2::{Decompress, FlushDecompress};

use crate::case::{Case, Operation, Work};
use crate::io::{MemIo, Written};
use crate::peer::{Compression, Peer};
use crate::upgrade;

/// When messages are sent, so many flushes or bytes are looked at, and one flush at least.
const FLUSHES: usize = 8;
const MAX_BYTES: usize = 8 << 20;

/// Runs the case, and looks at every message. Returns how many bytes each message that is sent has
/// on the wire.
pub fn verify<P: Peer>(case: &Case, work: &Work) -> Result<usize, String> {
    match case.operation {
        Operation::Receive => receive::<P>(case, work),
        Operation::Send => {
            let count = sent(case) + 2;
            let (io, written) = MemIo::endless(&work.input).recorded();
            P::open(io, case.setup).send(&work.payloads, count, case.flush_every);
            let hashes: Vec<u64> = work.payloads.iter().map(|payload| hash(payload)).collect();
            compare(case, &written, count, &hashes)
        }
        Operation::Echo => {
            let count = sent(case);
            let (io, written) = MemIo::endless(&work.input).recorded();
            P::open(io, case.setup).echo(count, case.flush_every);
            compare(case, &written, count, &work.hashes)
        }
        Operation::Accept => {
            let (io, written) = MemIo::once(&Arc::from(upgrade::REQUEST)).recorded();
            let _server = P::accept(io);
            let answer = written.lock().expect("no panic");
            let answer = String::from_utf8_lossy(&answer);
            if !answer.starts_with("HTTP/1.1 101") || !answer.contains(upgrade::ACCEPT) {
                return Err(format!("answers: {answer}"));
            }
            Ok(answer.len())
        }
        Operation::Connect => {
            // It panics if it does not like the answer.
            let (io, written) = MemIo::server().recorded();
            let _client = P::connect(io);
            let len = written.lock().expect("no panic").len();
            Ok(len)
        }
    }
}

/// How many messages are sent. Not all peers flush at the end.
fn sent(case: &Case) -> usize {
    let flushes = MAX_BYTES / case.size / case.flush_every;
    case.flush_every * flushes.clamp(1, FLUSHES)
}

fn receive<P: Peer>(case: &Case, work: &Work) -> Result<usize, String> {
    let mut peer = P::open(MemIo::endless(&work.input), case.setup);
    let count = 2 * work.hashes.len() + 1;
    let mut expected = work.hashes.iter().cycle();
    let (mut received, mut wrong) = (0, 0);
    peer.receive(count, |payload| {
        received += 1;
        wrong += usize::from(expected.next() != Some(&hash(payload)));
    });
    if (received, wrong) != (count, 0) {
        return Err(format!(
            "{received} messages of {count}, {wrong} of them wrong"
        ));
    }
    Ok(0)
}

/// Compares the messages that were written, fragments joined, with those that were to be.
fn compare(case: &Case, written: &Written, count: usize, hashes: &[u64]) -> Result<usize, String> {
    let written = written.lock().expect("no panic");
    let messages = messages(&written);
    if messages.len() != count {
        return Err(format!("{} messages instead of {count}", messages.len()));
    }
    let mut inflate = Decompress::new(false);
    let expected = hashes.iter().cycle();
    for (index, ((first, mut payload), expected)) in messages.into_iter().zip(expected).enumerate()
    {
        if first & RSV1 != 0 {
            if case.setup.compression == Compression::NoContext {
                inflate.reset(false);
            }
            payload.extend_from_slice(&[0, 0, 0xff, 0xff]);
            let mut inflated = Vec::with_capacity(case.size + 64);
            inflate
                .decompress_vec(&payload, &mut inflated, FlushDecompress::Sync)
                .map_err(|error| format!("message {index}: {error}"))?;
            payload = inflated;
        }
        if hash(&payload) != *expected {
            return Err(format!("message {index} is another one"));
        }
    }
    Ok(written.len() / count)
}
