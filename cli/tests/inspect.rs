//! `ws inspect`, against what it should say. With `BLESS=1` what it says is what it should.
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use common::{assert_exit, command, finish, run, stderr, stdout};

#[track_caller]
fn golden(name: &str, output: &Output) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
    let said = stdout(output);
    assert!(!said.contains('\x1b'), "{said}");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, said).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert!(said == expected, "{name}:\n{said}\nshould be:\n{expected}");
}

#[track_caller]
fn hex(name: &str, args: &[&str], text: &str, code: i32) {
    let output = run(&[&["inspect", "--hex"], args].concat(), text.as_bytes());
    assert_exit(&output, code);
    golden(name, &output);
}

#[test]
fn a_client() {
    let capture = "
        81 85 37fa213d 7f9f4d5158       # Hello, as in RFC 6455 section 5.7
        01 83 00000000 616263           # a message in two frames
        89 80 00000000                  # and a ping between
        80 82 00000000 c3bc
        82 fe 0080 01020304 ";
    let capture = format!("{capture} {} 88 85 00000000 03e8 627965", "ff".repeat(128));
    hex("client", &["--payload", "32"], &capture, 0);
}

#[test]
fn a_server_with_its_handshake() {
    let mut capture =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
            .to_vec();
    // RFC 7692 section 7.2.3: Hello, and again with the window of the first.
    capture.extend(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00");
    // In two frames.
    capture.extend(b"\x41\x03\xf2\x00\x11\x80\x02\x00\x00");
    capture.extend(b"\x88\x00");
    let output = run(&["inspect"], &capture);
    assert_exit(&output, 0);
    golden("server", &output);
    let shorter = run(&["inspect", "--skip-head"], &capture);
    assert!(stdout(&output).ends_with(&stdout(&shorter)));
    // As a file.
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("capture");
    fs::write(&path, &capture).unwrap();
    let from_file = run(&["inspect", path.to_str().unwrap()], b"");
    assert_eq!(from_file.stdout, output.stdout);
}

#[test]
fn broken_rules() {
    let capture = "
        7b 7e 007e                        # reserved in every way: cut below, where it is not all there
        ";
    hex("all_of_the_header", &["--from", "client"], capture, 4);
    let capture = "
        c1 07 f248cdc9c90700              # compressed, but nobody said so
        80 01 61                          # continues nothing
        01 01 61  82 01 62                # a message inside another
        81 02 c328                        # not UTF-8
        81 82 00000000 6869               # masked
        ff 00                             # reserved opcode and bits
        88 01 03                          # half a code
        88 02 03ed                        # a code that is never sent
        88 04 03e8 ff fe                  # a reason that is not UTF-8
        82 7f 8000000000000000            # 2^63 bytes";
    hex("broken", &["--from", "server"], capture, 4);
    hex(
        "not_deflate",
        &["--deflate"],
        "c1 02 ffff c1 05 f200110000 81 02 6869",
        4,
    );
}

#[test]
fn both_sides_in_one() {
    hex(
        "both",
        &["--from", "both"],
        "81 82 00000000 6869 81 02 6869 01 81 00000000 61 82 01 62",
        0,
    );
}

#[test]
fn ends_anywhere() {
    let whole = [0x82, 0xfe, 0x00, 0x80, 1, 2, 3, 4, 5, 6];
    for end in 0..=whole.len() {
        let output = run(&["inspect"], &whole[..end]);
        assert_exit(&output, 0);
        assert_eq!(
            stdout(&output).contains("the capture ends here"),
            end > 0,
            "{end}"
        );
    }
    hex("cut", &[], "81 05 48 65", 0);
    hex("nothing", &[], "", 0);
}

#[test]
fn garbage() {
    // Knuth's generator, so that it is the same garbage each time.
    let mut random: u64 = 1;
    let bytes: Vec<u8> = (0..4096)
        .map(|_| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            random.to_be_bytes()[0]
        })
        .collect();
    for (index, piece) in bytes.chunks(64).enumerate() {
        for args in [
            &["inspect"][..],
            &["inspect", "--deflate", "--from", "both", "--payload", "1G"],
        ] {
            let output = run(args, piece);
            let code = output.status.code();
            assert!(
                matches!(code, Some(0 | 4)),
                "{index}: {code:?} {}",
                stderr(&output)
            );
        }
    }
    let output = run(&["inspect"], &bytes);
    assert!(matches!(output.status.code(), Some(0 | 4)));
    golden("garbage", &output);
}

#[test]
fn what_cannot_be_read() {
    let output = run(&["inspect", "--hex"], b"81 00\nxyz");
    assert_exit(&output, 1);
    assert!(stderr(&output).contains("line 2"), "{}", stderr(&output));
    let output = run(&["inspect", "/no/such/file"], b"");
    assert_exit(&output, 1);
    assert!(
        stderr(&output).contains("/no/such/file"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn colours_only_where_they_are_wanted() {
    let capture = b"\x81\x05Hello";
    for (name, is_colored) in [("CLICOLOR_FORCE", true), ("NO_COLOR", false)] {
        let child = command(&["inspect"]).env(name, "1").spawn().unwrap();
        let output = finish(child, capture);
        assert_exit(&output, 0);
        assert_eq!(stdout(&output).contains('\x1b'), is_colored, "{name}");
    }
}
