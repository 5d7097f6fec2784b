//! How many bytes parsers look at. Only tests have it: a clock cannot show that work is linear, but
//! a count can.
//!
//! What looks at bytes that a peer sent says so, each time: the header decoder, masks, UTF-8, the
//! inflater, the head of a handshake and the lists in it. What is copied shows in `tests/allocation.rs`.

extern crate std;

use core::cell::Cell;

std::thread_local! {
    /// Each test has a thread of its own.
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

/// So many bytes are looked at.
pub(crate) fn looked_at(bytes: usize) {
    STEPS.set(STEPS.get() + bytes);
}

/// How many bytes `work` looked at.
pub(crate) fn count<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = STEPS.get();
    let result = work();
    (result, STEPS.get() - before)
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use crate::frame::{Header, OpCode};
    use crate::mask::Mask;
    use crate::{Config, Connection, Delivery, Input, Instant, Limits, Negotiated, Role};

    const NOW: Instant = Instant::from_millis(1);
    const KEY: [u8; 4] = [1, 2, 3, 4];

    fn frame(role: Role, opcode: OpCode, fin: bool, rsv: u8, payload: &[u8]) -> Vec<u8> {
        let header = Header::new(opcode, payload.len() as u64);
        let mut header = header.with_fin(fin).with_rsv(rsv);
        let mut payload = payload.to_vec();
        if role == Role::Server {
            header = header.with_mask(KEY);
            Mask::new(KEY).apply(&mut payload);
        }
        [&header.encode()[..], &payload].concat()
    }

    /// A message of which each fragment has so many bytes.
    fn fragments(role: Role, kind: OpCode, rsv: u8, payload: &[u8], size: usize) -> Vec<u8> {
        let mut wire = frame(role, kind, false, rsv, &[]);
        for piece in payload.chunks(size) {
            wire.extend(frame(role, OpCode::Continuation, false, 0, piece));
        }
        wire.extend(frame(role, OpCode::Continuation, true, 0, &[]));
        wire
    }

    fn connection(role: Role, delivery: Delivery) -> Connection {
        let limits = Limits::new().with_max_empty_fragments(u32::MAX);
        let config = Config::new().with_delivery(delivery).with_limits(limits);
        match role {
            Role::Client => Connection::client(&config, negotiated(), || KEY, NOW),
            Role::Server => Connection::server(&config, negotiated(), NOW),
        }
    }

    #[cfg(feature = "deflate")]
    fn negotiated() -> Negotiated {
        Negotiated::new().with_deflate(crate::DeflateParams::new())
    }

    #[cfg(not(feature = "deflate"))]
    fn negotiated() -> Negotiated {
        Negotiated::new()
    }

    /// Feeds a wire that was made for `len` bytes of payload, in reads of so many bytes, and asks
    /// that each is looked at no more than `most` times.
    fn each_at_most(most: usize, wire: impl Fn(Role, usize) -> Vec<u8>) {
        for role in [Role::Client, Role::Server] {
            for delivery in [Delivery::Messages, Delivery::Chunks] {
                for (len, size) in [(1 << 10, 1), (1 << 14, 1), (1 << 14, 7), (1 << 14, 4096)] {
                    let mut wire = wire(role, len);
                    let mut conn = connection(role, delivery);
                    let ((), steps) = super::count(|| {
                        for read in wire.chunks_mut(size) {
                            let mut input = Input::new(read);
                            while conn.receive(NOW, &mut input).unwrap().is_some() {}
                        }
                    });
                    assert_eq!(conn.received().messages, 1);
                    let total = wire.len() + usize::try_from(conn.received().inflated).unwrap();
                    assert!(
                        steps <= most * total + 64,
                        "{steps} for {total} bytes in reads of {size}"
                    );
                }
            }
        }
    }

    fn text(len: usize) -> Vec<u8> {
        "aé€\u{1f600}".repeat(len / 10).into_bytes()
    }

    #[test]
    fn g_07_a_frame_in_small_reads() {
        // Unmasked, and checked to be UTF-8.
        each_at_most(2, |role, len| {
            frame(role, OpCode::Text, true, 0, &text(len))
        });
        each_at_most(1, |role, len| {
            frame(role, OpCode::Binary, true, 0, &text(len))
        });
    }

    #[test]
    fn g_01_g_05_fragments_in_small_reads() {
        // Until a header is complete it is looked at again with each of its few bytes.
        each_at_most(7, |role, len| {
            fragments(role, OpCode::Text, 0, &text(len), 1)
        });
        each_at_most(7, |role, len| {
            let mut wire = frame(role, OpCode::Binary, false, 0, &[]);
            let empty = frame(role, OpCode::Continuation, false, 0, &[]);
            wire.extend(empty.repeat(len));
            wire.extend(frame(role, OpCode::Continuation, true, 0, &[]));
            wire
        });
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn d_06_compressed_fragments_in_small_reads() {
        for size in [1, usize::MAX] {
            each_at_most(5, |role, len| {
                // A stored block, and the empty one that ends a message.
                let size_of_block = u16::try_from(len).unwrap();
                let stored = [
                    &[0][..],
                    &size_of_block.to_le_bytes(),
                    &(!size_of_block).to_le_bytes(),
                    &vec![b'x'; len],
                    &[0],
                ];
                fragments(role, OpCode::Text, Header::RSV1, &stored.concat(), size)
            });
        }
    }

    #[cfg(feature = "handshake")]
    #[test]
    fn a1_01_a_head_in_small_reads() {
        use crate::handshake::ServerHandshake;

        const HEAD: &str = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let limit = Limits::new().max_head_size();
        for len in [limit / 8, limit] {
            // One long line, and many short ones.
            for line in [usize::MAX, 200] {
                let mut head = HEAD.as_bytes().to_vec();
                while head.len() + 8 < len {
                    let most = len - head.len() - 2;
                    let rest = most - line.min(most);
                    let value = if rest < 10 { most } else { line } - 5;
                    head.extend_from_slice(b"X: ");
                    head.resize(head.len() + value, b'x');
                    head.extend_from_slice(b"\r\n");
                }
                head.extend_from_slice(b"\r\n");
                assert_eq!(head.len(), len);
                let mut server = ServerHandshake::new(&Config::new(), NOW);
                let (request, steps) = super::count(|| {
                    let receive = |read| server.receive(NOW, &mut Input::new(read)).unwrap();
                    head.chunks_mut(1).filter_map(receive).count()
                });
                assert_eq!(request, 1);
                // As it comes, and when it is split into lines; then the lists in it, which are short.
                assert!(steps <= 2 * len + 100, "{steps}");
            }
        }
    }

    /// What a server does with a request that has this line.
    #[cfg(feature = "handshake")]
    fn steps_for_line(name: &str, value: &str) -> usize {
        use crate::handshake::ServerHandshake;

        let mut head = alloc::format!(
            "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            {name}: {value}\r\n\r\n"
        )
        .into_bytes();
        let limits = Limits::new().with_max_head_size(1 << 16);
        let mut server = ServerHandshake::new(&Config::new().with_limits(limits), NOW);
        let ((), steps) = super::count(|| {
            if let Ok(Some(request)) = server.receive(NOW, &mut Input::new(&mut head)) {
                let _offered = request.subprotocols().count();
            }
        });
        steps
    }

    /// HARDENING A1.2, A1.3: long lists, spaces, and strings that do not end, at the double length
    /// take double the work.
    #[cfg(feature = "handshake")]
    #[test]
    fn h_45_x_28_lists_take_linear_work() {
        let protocols = [
            "b,", "b ,", ",", " ", "\t", "b", "b, ", "b\t,\t", "\"", "\\c",
        ];
        let extensions = [
            ",", ";", " ", "\t", "a", "a,", "a;", "a;b,", "=", "\"", "\\c", "\\", "c\\", "a=\"b\",",
        ];
        let fronts = ["", "a", "a ", "a; b=\"", "a; b=\"c", "a;b=c;"];
        let inputs = [
            ("Sec-WebSocket-Protocol", &protocols[..]),
            ("Sec-WebSocket-Extensions", &extensions[..]),
        ];
        for (name, fillers) in inputs {
            for filler in fillers {
                for front in fronts {
                    for end in ["", "x", "\""] {
                        let steps = [8, 16, 32].map(|kib: usize| {
                            let middle = filler.repeat((kib << 10) / filler.len());
                            let steps = steps_for_line(name, &[front, &middle, end].concat());
                            let most = 14 * (kib << 10) + 1000;
                            assert!(
                                steps <= most,
                                "{steps} for {kib} KiB: {name}: {front}{filler}"
                            );
                            steps
                        });
                        for pair in steps.windows(2) {
                            assert!(
                                pair[1] <= 2 * pair[0] + 1000,
                                "{steps:?}: {name}: {front}{filler}"
                            );
                        }
                    }
                }
            }
        }
    }
}
