//! The bytes that one connection holds: the object and its heap, without the transport.

use std::io::{self, Write};
use std::sync::Arc;

use common::{BINARY, FIN, JsonLine, push_frame, random_bytes, table};

use crate::case::{Case, Work};
use crate::column::Column;
use crate::heap;
use crate::io::MemIo;
use crate::peer::{Compression, Peer};
use crate::upgrade;

const HEAD: [&str; 11] = [
    "",
    "object",
    "waits",
    "accepted",
    "after 16 B",
    "16 KiB",
    "1 MiB",
    "context",
    "used",
    "no context",
    "used",
];

/// What one connection holds, in several states.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    object: i64,
    /// It waits for its first message.
    waits: i64,
    /// As the opening handshake left it.
    accepted: Option<i64>,
    /// After one message of the size and 64 small ones, received and sent.
    after_16b: i64,
    after_16kib: i64,
    after_1mib: i64,
    /// Compressed: it waits for its first message, and after one.
    context: Option<[i64; 2]>,
    no_context: Option<[i64; 2]>,
}

/// Prints a table, and writes a line for each column to `out`.
pub fn report(columns: &[Column], out: &mut impl Write) -> io::Result<()> {
    let mut rows = Vec::new();
    // The others hold what another column does.
    for column in columns.iter().filter(|column| column.can_send()) {
        let held = (column.held)();
        let first = |pair: Option<[i64; 2]>| pair.map(|[waits, _]| waits);
        let second = |pair: Option<[i64; 2]>| pair.map(|[_, used]| used);
        let cells = [
            Some(held.object),
            Some(held.waits),
            held.accepted,
            Some(held.after_16b),
            Some(held.after_16kib),
            Some(held.after_1mib),
            first(held.context),
            second(held.context),
            first(held.no_context),
            second(held.no_context),
        ];
        let show = |cell: Option<i64>| cell.map_or_else(|| "-".to_owned(), |cell| cell.to_string());
        let mut row = vec![column.name.to_owned()];
        row.extend(cells.map(show));
        rows.push(row);
        let line = JsonLine::new()
            .text("case", "memory")
            .text("peer", column.name)
            .value("object", held.object)
            .value("waits", held.waits)
            .optional("accepted", held.accepted)
            .value("after_16b", held.after_16b)
            .value("after_16kib", held.after_16kib)
            .value("after_1mib", held.after_1mib)
            .optional("context_waits", first(held.context))
            .optional("context_used", second(held.context))
            .optional("no_context_waits", first(held.no_context))
            .optional("no_context_used", second(held.no_context));
        writeln!(out, "{}", line.end())?;
    }
    println!(
        "\n## Memory of one connection, bytes\n\n{}",
        table(&HEAD, &rows)
    );
    Ok(())
}

pub fn held<P: Peer>() -> Held {
    let compressed =
        |able: bool, compression| able.then(|| [waits::<P>(compression), used::<P>(compression)]);
    Held {
        object: object::<P>(),
        waits: waits::<P>(Compression::Off),
        accepted: P::ABILITIES.handshakes.then(accepted::<P>),
        after_16b: after::<P>(16),
        after_16kib: after::<P>(16 << 10),
        after_1mib: after::<P>(1 << 20),
        context: compressed(P::ABILITIES.context, Compression::Context),
        no_context: compressed(P::ABILITIES.no_context, Compression::NoContext),
    }
}

/// The transport is not the peer's.
fn object<P: Peer>() -> i64 {
    size_of::<P>() as i64 - size_of::<MemIo>() as i64
}

fn waits<P: Peer>(compression: Compression) -> i64 {
    let setup = Case::waiting(compression).setup;
    let nothing = Arc::default();
    object::<P>() + growth(&nothing, |io| P::open(io, setup), |peer| peer.wait())
}

fn after<P: Peer>(size: usize) -> i64 {
    const SMALL: usize = 64;

    let setup = Case::waiting(Compression::Off).setup;
    let payload = random_bytes(size, 1);
    let mut input = Vec::new();
    for len in [size].into_iter().chain([16; SMALL]) {
        push_frame(
            &mut input,
            FIN | BINARY,
            &payload[..len],
            Some([1, 2, 3, 4]),
        );
    }
    let input = input.into();
    let use_it = |peer: &mut P| {
        peer.echo(1 + SMALL, 1);
        peer.wait();
    };
    object::<P>() + growth(&input, |io| P::open(io, setup), use_it)
}

fn used<P: Peer>(compression: Compression) -> i64 {
    let case = Case::waiting(compression);
    let work = Work::new(&case);
    let use_it = |peer: &mut P| {
        peer.receive(work.hashes.len(), |_| ());
        peer.send(&work.payloads, 1, 1);
        peer.wait();
    };
    object::<P>() + growth(&work.input, |io| P::open(io, case.setup), use_it)
}

fn accepted<P: Peer>() -> i64 {
    let request = Arc::from(upgrade::REQUEST);
    let object = size_of::<P::Server>() as i64 - size_of::<MemIo>() as i64;
    object + growth(&request, P::accept, |_| ())
}

/// How much more the thread holds with what `open` makes, used once. What belongs to the thread, such
/// as read buffers and generators, is there before it counts.
fn growth<T>(input: &Arc<[u8]>, open: impl Fn(MemIo) -> T, use_it: impl Fn(&mut T)) -> i64 {
    let measure = || {
        let io = MemIo::once(input);
        let before = heap::counts().live;
        let mut opened = open(io);
        use_it(&mut opened);
        heap::counts().live - before
    };
    let _first = measure();
    measure()
}
