//! `ws bench` against `ws echo`.
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod common;

use std::time::Duration;

use common::{Echo, assert_exit, run, server, stderr, stdout};
use serde_json::Value;
use sockeye::{Config, blocking};

fn measure(url: &str, args: &[&str]) -> Value {
    let output = run(&[&["bench", url, "--json"], args].concat(), b"");
    assert_exit(&output, 0);
    assert_eq!(stderr(&output), "", "no bar, no colours in a pipe");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(value: &Value, path: &str) -> f64 {
    value
        .pointer(path)
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("{path} in {value}"))
}

/// What holds for every measurement.
fn check(report: &Value) {
    let messages = number(report, "/messages");
    assert!(messages > 0.0);
    assert_eq!(number(report, "/errors"), 0.0);
    assert_eq!(number(report, "/lost"), 0.0);
    let rate = messages / number(report, "/seconds");
    assert!((number(report, "/messages_per_second") / rate - 1.0).abs() < 0.01);
    let mut before = 0.0;
    for name in ["min", "p50", "p90", "p99", "p99.9", "max"] {
        let latency = number(report, &format!("/latency_us/{name}"));
        assert!(latency >= before, "{report}");
        before = latency;
    }
    let counted: f64 = report["histogram"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bucket| number(bucket, "/count"))
        .sum();
    assert_eq!(counted, messages);
}

#[test]
fn for_a_while() {
    let echo = Echo::start(&[]);
    let report = measure(
        &echo.url,
        &[
            "--duration",
            "0.5",
            "--warmup",
            "0.1",
            "-c",
            "3",
            "--depth",
            "8",
        ],
    );
    check(&report);
    assert_eq!(report["kind"], "binary");
    assert_eq!(number(&report, "/depth"), 8.0);
    assert!(
        (0.4..5.0).contains(&number(&report, "/seconds")),
        "{report}"
    );
}

#[test]
fn so_many_messages() {
    let echo = Echo::start(&["--compress"]);
    let args = [
        "-n",
        "500",
        "--warmup",
        "0",
        "--text",
        "--size",
        "2k",
        "--compress",
        "-c",
        "4",
    ];
    let report = measure(&echo.url, &args);
    check(&report);
    assert_eq!(number(&report, "/messages"), 500.0);
    assert_eq!(report["kind"], "text");
    assert_eq!(report["compressed"], true);
}

/// Messages that do not fit any queue: nobody may wait for room before he receives.
#[test]
fn large_messages_deep() {
    let echo = Echo::start(&[]);
    let args = [
        "-n", "40", "--warmup", "0", "--size", "1M", "--depth", "8", "-c", "2",
    ];
    check(&measure(&echo.url, &args));
}

#[test]
fn by_the_clock() {
    let echo = Echo::start(&[]);
    let args = [
        "--rate",
        "200",
        "--duration",
        "1",
        "--warmup",
        "0.2",
        "-c",
        "3",
    ];
    let report = measure(&echo.url, &args);
    check(&report);
    // Every message that was due, whatever the machine did meanwhile.
    assert!(
        (199.0..=201.0).contains(&number(&report, "/messages")),
        "{report}"
    );
    assert!(report["depth"].is_null());
}

/// A server that stops for half a second. By the clock, all messages that were due meanwhile are late;
/// without it, only the one that is under way.
#[test]
fn no_coordinated_omission() {
    let stalling = |stream| {
        let mut ws = blocking::accept(stream, &Config::new()).unwrap();
        let mut count = 0;
        while let Some(message) = ws.recv().unwrap() {
            count += 1;
            if count == 20 {
                std::thread::sleep(Duration::from_millis(500));
            }
            ws.send(message).unwrap();
        }
    };
    let args = ["-n", "100", "--warmup", "0", "-c", "1"];
    let late = |report: &Value| -> f64 {
        let buckets = report["histogram"].as_array().unwrap().iter();
        buckets
            .filter(|bucket| number(bucket, "/below_us") > 65_536.0)
            .map(|bucket| number(bucket, "/count"))
            .sum()
    };
    let (url, serving) = server(stalling);
    let by_the_clock = measure(&url, &[&args[..], &["--rate", "100"]].concat());
    serving.join().unwrap();
    // 50 messages are due in half a second; 43 of them wait longer than 65 ms.
    assert!(late(&by_the_clock) >= 35.0, "{by_the_clock}");

    let (url, serving) = server(stalling);
    let in_turns = measure(&url, &args);
    serving.join().unwrap();
    assert!(late(&in_turns) < 20.0, "{in_turns}");
}

/// Many messages that are due while nobody takes them, of which a few fit into buffers.
const UNSENT: [&str; 10] = [
    "--json",
    "--rate",
    "1000",
    "--size",
    "64k",
    "-c",
    "1",
    "--warmup",
    "0",
    "--duration",
];

/// A server that stops to read and then is gone: what was due meanwhile is lost, sent or not.
#[test]
fn what_was_due_on_a_lost_connection() {
    let (url, serving) = server(|stream| {
        let mut ws = blocking::accept(stream, &Config::new()).unwrap();
        let first = ws.recv().unwrap().unwrap();
        ws.send(first).unwrap();
        std::thread::sleep(Duration::from_millis(1500));
    });
    let output = run(&[&["bench", &url], &UNSENT[..], &["10"]].concat(), b"");
    serving.join().unwrap();
    assert_ne!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(number(&report, "/errors"), 1.0);
    assert!(number(&report, "/lost") >= 1300.0, "{report}");
}

/// Interrupted while the server does not read: what was due until then is sent or lost.
#[cfg(unix)]
#[test]
fn what_was_due_before_an_interrupt() {
    let (interrupted, is_interrupted) = std::sync::mpsc::channel();
    let (url, serving) = server(move |stream| {
        let mut ws = blocking::accept(stream, &Config::new()).unwrap();
        is_interrupted.recv().unwrap();
        while let Some(message) = ws.recv().unwrap() {
            ws.send(message).unwrap();
        }
    });
    let args = [&["bench", &url], &UNSENT[..], &["60"]].concat();
    let child = common::command(&args).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    common::signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(500));
    interrupted.send(()).unwrap();
    let output = common::wait(child);
    serving.join().unwrap();
    assert_exit(&output, 0);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(number(&report, "/errors"), 0.0);
    let due = number(&report, "/lost") + number(&report, "/messages");
    assert!((1500.0..3500.0).contains(&due), "{report}");
    assert!(number(&report, "/lost") >= 1000.0, "{report}");
}

/// Interrupted while all is well: nothing is lost.
#[cfg(unix)]
#[test]
fn an_interrupt_loses_nothing() {
    let echo = Echo::start(&[]);
    for load in [&["--rate", "2000"], &["--depth", "8"]] {
        let args = [&["bench", &echo.url, "--json", "--warmup", "0"], &load[..]].concat();
        let child = common::command(&args).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(1200));
        common::signal(&child, "INT");
        let output = common::wait(child);
        assert_exit(&output, 0);
        check(&serde_json::from_slice(&output.stdout).unwrap());
    }
}

#[test]
fn for_people() {
    let echo = Echo::start(&[]);
    let output = run(&["bench", &echo.url, "-n", "100", "--warmup", "0"], b"");
    assert_exit(&output, 0);
    let text = stdout(&output);
    for part in ["100 messages", "messages/s", "p99.9", "max", "#"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains('\x1b'), "{text}");
}

#[test]
fn failures() {
    let (url, serving) = server(|stream| {
        let mut ws = blocking::accept(stream, &Config::new()).unwrap();
        ws.send("welcome").unwrap();
        while let Ok(Some(_)) = ws.recv() {}
    });
    let output = run(
        &[
            "bench", &url, "-c", "1", "-n", "1", "--warmup", "0", "--json",
        ],
        b"",
    );
    assert_exit(&output, 4);
    assert!(
        stderr(&output).contains("echo server"),
        "{}",
        stderr(&output)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(number(&report, "/errors"), 1.0);
    assert!(report["latency_us"].is_null());
    serving.join().unwrap();

    // A server that is silent.
    let (url, serving) = server(|stream| {
        let mut ws = blocking::accept(stream, &Config::new()).unwrap();
        while let Ok(Some(_)) = ws.recv() {}
    });
    let args = [
        "bench",
        &url,
        "-c",
        "1",
        "-n",
        "1",
        "--warmup",
        "0",
        "--timeout",
        "0.2",
    ];
    assert_exit(&run(&args, b""), 5);
    serving.join().unwrap();

    assert_exit(&run(&["bench", "ws://127.0.0.1:1/"], b""), 2);
}
