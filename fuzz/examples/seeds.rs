//! Keeps the seeds: `fuzz/seeds/<target>.bin`, many in one file.
//!
//! ```text
//! cargo run --manifest-path fuzz/Cargo.toml --example seeds -- unpack TARGET FOLDER
//! cargo run --manifest-path fuzz/Cargo.toml --example seeds -- pack TARGET FOLDER
//! ```
//!
//! `unpack` writes each into a file. `pack` replaces them by the files of a folder, and by those from
//! which everything began: they are written by hand here, or cut out of `tests/data`.

#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::{env, fs};

use sockeye::{Compress, Config, Deflate, DeflateParams, Negotiated};
use sockeye_fuzz::wire::{Role, connection, drain, sent};
use sockeye_fuzz::{TARGETS, seeds};

fn main() {
    let args: Vec<_> = env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["unpack", target, folder] => unpack(target, Path::new(folder)),
        ["pack", target, folder] => pack(target, Path::new(folder)),
        _ => panic!("usage: seeds unpack|pack TARGET FOLDER"),
    }
}

fn file(target: &str) -> PathBuf {
    assert!(TARGETS.iter().any(|(name, _)| *name == target), "{target}?");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("seeds/{target}.bin"))
}

fn unpack(target: &str, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let packed = fs::read(file(target)).unwrap();
    for (number, seed) in seeds::unpack(&packed).into_iter().enumerate() {
        fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
    }
}

fn pack(target: &str, folder: &Path) {
    let entries = fs::read_dir(folder).unwrap();
    let files = entries.map(|entry| fs::read(entry.unwrap().path()).unwrap());
    let packed = seeds::pack(files.chain(made(target)).collect());
    let count = seeds::unpack(&packed).len();
    println!("{target}: {count} seeds, {} bytes", packed.len());
    fs::write(file(target), packed).unwrap();
}

fn made(target: &str) -> Vec<Vec<u8>> {
    match target {
        "request_head" => with_choices(&[0, 1, 2, 4, 8], &REQUESTS.map(|text| text.into())),
        "response_head" => with_choices(&[0, 1, 2, 4, 8], &RESPONSES.map(|text| text.into())),
        "extension_header" => EXTENSIONS
            .iter()
            .flat_map(|lines| {
                [[0, 0xFF, 0, 0xCC], [10, 0xCC, 5, 0xAF]]
                    .map(|choices| [&choices, lines.as_bytes()].concat())
            })
            .collect(),
        "frame_decoder" => [
            with_choices(&[8], &recorded("autobahn-server.bin", 300)),
            with_choices(&[1], &recorded("autobahn-client.bin", 300)),
        ]
        .concat(),
        "utf8" => TEXTS
            .iter()
            .flat_map(|text| [1, 40].map(|cuts| [&[cuts], *text].concat()))
            .collect(),
        "inflate" => inflate(),
        "server_bytes" => with_choices(&[0x29], &recorded("autobahn-server.bin", 1000)),
        "client_bytes" => with_choices(&[0x40], &recorded("autobahn-client.bin", 1000)),
        "split_invariance" => [
            with_choices(&[0], &recorded("autobahn-server.bin", 700)),
            with_choices(&[5], &recorded("autobahn-client.bin", 700)),
        ]
        .concat(),
        "operations" => operations(),
        "differential" => recorded("autobahn-server.bin", 1500),
        _ => panic!("no seeds for {target}"),
    }
}

/// Each input behind each byte of flags, and one that says how it is cut.
fn with_choices(flags: &[u8], inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for input in inputs {
        for flags in flags {
            let cuts = (seeds.len() * 7 % 60) as u8;
            seeds.push([&[*flags, cuts], &input[..]].concat());
        }
    }
    seeds
}

/// The conversations of a recording that are short, each once; `autobahn/record.py` says how they
/// are kept.
fn recorded(fixture: &str, longest: usize) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/data")
        .join(fixture);
    let file = fs::read(path).unwrap();
    let mut rest = &file[10..];
    let mut take = |len: usize| {
        let (front, back) = rest.split_at(len);
        rest = back;
        front.to_vec()
    };
    let number = |bytes: Vec<u8>| {
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let count = number(take(2));
    let mut conversations = Vec::new();
    for _ in 0..count {
        let len = number(take(1));
        take(len + 2);
        let len = number(take(4));
        let frames = take(len);
        if frames.len() <= longest {
            conversations.push(frames);
        }
    }
    conversations
}

/// Frames in the form of the target: compressed messages, one in two frames, some that are too
/// large, and what is not compressed at all.
fn inflate() -> Vec<Vec<u8>> {
    // "Hello" with a fixed code, from RFC 7692 section 7.2.3.1, and again out of the window.
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let again = b"\xf2\x00\x11\x00\x00";
    let stored = b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00";
    let last_block = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
    let frame = |kind: u8, payload: &[u8]| [&[kind, payload.len() as u8], payload].concat();
    let digits: Vec<_> = (0..90u8)
        .map(|n| (u32::from(n) * 37 % 90) as u8 + 32)
        .collect();
    let messages = [
        frame(1, hello),
        [frame(1, hello), frame(1, again)].concat(),
        frame(1, stored),
        frame(1, last_block),
        frame(5, &compressed(&[0; 5000])),
        frame(5, &compressed(&[0; 5001])),
        frame(1, &compressed(&[b'x'; 60_000])),
        frame(1, &compressed(&digits)),
        [
            frame(1, &compressed("😀".repeat(30).as_bytes())),
            frame(1, &compressed(&[0; 3])),
        ]
        .concat(),
        [
            frame(0, &hello[..3]),
            frame(0x11, b"ping"),
            frame(1, &hello[3..]),
        ]
        .concat(),
        [
            frame(0, b""),
            frame(1, hello),
            frame(3, b"plain"),
            frame(1, hello),
        ]
        .concat(),
        frame(1, b"\x07"),
        frame(1, b""),
    ];
    with_choices(&[0, 1, 2, 0x3C], &messages)
}

/// What this crate makes of a message.
fn compressed(message: &[u8]) -> Vec<u8> {
    let config = Config::new().with_deflate(Deflate::client());
    let negotiated = Negotiated::new().with_deflate(DeflateParams::new());
    let mut conn = connection(Role::Server, &config, negotiated);
    conn.send_with(message, Compress::Always).unwrap();
    let mut output = Vec::new();
    drain(&mut conn, &mut output);
    sent(Role::Server, &output).remove(0).payload
}

/// Noise, which is as good as any other sequence of operations.
fn operations() -> Vec<Vec<u8>> {
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    [20, 60, 100, 300, 600, 900]
        .map(|len| (0..len).map(|_| byte()).collect())
        .to_vec()
}

const REQUESTS: [&str; 15] = [
    "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\na: b\r\nc: d\r\ne: f\r\n\
     Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\na: b\r\nc: d\r\ne: f\r\ng: h\r\n\
     Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
     Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "GET /?a=b HTTP/1.1\r\nhost:[::1]:80\r\nConnection: keep-alive, upgrade\r\nupgrade: WebSocket\r\n\
     Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version:13\r\nCookie: a=b; c=\"d\"\r\n\
     Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n\x01\x02",
    "GET http://h/x HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 8\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
    "\r\nGET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: h\r\n\r\n",
    "GET / HTTP/1.1\nHost: h\n\n",
    "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03",
];

const RESPONSES: [&str; 13] = [
    "HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFF\r\nabc",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    "HTTP/1.1 101 \r\nupgrade:WebSocket\r\nconnection:a, upgrade\r\nSec-WebSocket-Protocol: superchat\r\n\
     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nContent-Length: 0\r\n\r\n\x01\x05Hello",
    "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
     Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
    "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nthere",
    "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\nuntil the end",
    "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13, 8\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\nContent-Length: 99999999999\r\n\r\n",
    "HTTP/2 200\r\n\r\n",
    "ICY 200 OK\r\n\r\n",
];

const EXTENSIONS: [&str; 14] = [
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_max_window_bits=10; client_max_window_bits=\"12\"",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits=8, permessage-deflate",
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; client_max_window_bits=09",
    "permessage-deflate; client_max_window_bits; client_max_window_bits",
    "foo, bar; baz=2; x=\"a\\b\"",
    "foo;, bar",
    ", ,foo ,\t",
    "x-webkit-deflate-frame\npermessage-deflate",
    "a; b=\"unclosed",
    "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q",
];

const TEXTS: [&[u8]; 12] = [
    "κόσμε".as_bytes(),
    "\u{FFFD}\u{10FFFF}\u{800}\u{7FF}\u{7F}\u{FFFF}".as_bytes(),
    b"\xf4\x90\x80\x80",
    b"\xed\xa0\x80",
    b"\xed\x9f\xbf",
    b"\xc0\xaf",
    b"\xe0\x80\x80",
    b"\xf0\x80\x80\x80",
    b"ab\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80ed",
    b"\xff",
    &[b'a'; 300],
    b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xf0\x9f\x98\x80aaaaaaaaaaaaaaaaaaaaaaaaaaaa\xf0\x9f\x98",
];
