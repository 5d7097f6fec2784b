//! Replays what the Autobahn test suite sent, as `autobahn/record.py` recorded it: its document
//! says what a fixture is.

use std::fs;

use sockeye::Config;

use crate::wire::*;

struct Record {
    case: String,
    /// The close code that the suite saw from us; 0 if none.
    code: u16,
    frames: Vec<u8>,
}

/// Takes `count` bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (front, back) = bytes.split_at(count);
    *bytes = back;
    front
}

fn number(bytes: &mut &[u8], size: usize) -> usize {
    take(bytes, size)
        .iter()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

fn read(fixture: &str) -> (Role, Vec<Record>) {
    let path = format!("{}/tests/data/{fixture}", env!("CARGO_MANIFEST_DIR"));
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    records(&bytes)
}

fn records(mut bytes: &[u8]) -> (Role, Vec<Record>) {
    let bytes = &mut bytes;
    assert_eq!(take(bytes, 9), b"AUTOBAHN\x01");
    let role = match number(bytes, 1) {
        0 => Role::Server,
        _ => Role::Client,
    };
    let count = number(bytes, 2);
    let record = |_| {
        let len = number(bytes, 1);
        let case = String::from_utf8(take(bytes, len).to_vec()).unwrap();
        let code = number(bytes, 2) as u16;
        let len = number(bytes, 4);
        Record {
            case,
            code,
            frames: take(bytes, len).to_vec(),
        }
    };
    let records = (0..count).map(record).collect();
    assert!(bytes.is_empty(), "bytes after the last record");
    (role, records)
}

fn replay(role: Role, records: &[Record]) {
    for Record { case, code, frames } in records {
        // In pieces of every size, in both deliveries, and all with the same result.
        let outcome = feed_with(role, &Config::new(), frames);
        let sent = parse(role, &outcome.output);
        let close = sent.iter().find(|frame| frame.first == 0x88);
        let closed_with = close.and_then(|close| close.payload.first_chunk());
        // The suite has no code to tell if it ended the transport first.
        if *code != 0 {
            let closed_with = closed_with.map(|code| u16::from_be_bytes(*code));
            assert_eq!(closed_with, Some(*code), "case {case}");
        }
    }
}

#[test]
fn the_suite_as_client() {
    let (role, records) = read("autobahn-server.bin");
    assert_eq!(role, Role::Server);
    assert!(records.len() > 200);
    replay(role, &records);
}

#[test]
fn the_suite_as_server() {
    let (role, records) = read("autobahn-client.bin");
    assert_eq!(role, Role::Client);
    assert!(records.len() > 200);
    replay(role, &records);
}

#[test]
fn a_fixture_by_hand() {
    for (number, role) in [(0, Role::Server), (1, Role::Client)] {
        let mut fixture = [b"AUTOBAHN\x01", &[number, 0, 2][..]].concat();
        for (case, code, frames) in [
            ("1.1.1", 1000u16, "8105 48656c6c6f 8802 03E8"),
            ("4.1.1", 1002, "8300 8100"),
        ] {
            let frames = to(role, &hex(frames));
            fixture.push(case.len() as u8);
            fixture.extend(case.as_bytes());
            fixture.extend(code.to_be_bytes());
            fixture.extend((frames.len() as u32).to_be_bytes());
            fixture.extend(frames);
        }
        let (read, records) = records(&fixture);
        assert_eq!((read, records.len(), &*records[1].case), (role, 2, "4.1.1"));
        replay(role, &records);
    }
}
