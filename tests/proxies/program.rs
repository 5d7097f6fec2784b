//! The program `ws` through all of them, as it is used: pipes, and an exit code.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use std::{str, thread};

use serde_json::Value;

use crate::forward::{microsocks, tinyproxy};
use crate::processes::{Gateway, Kind, Process, built, example, free_address};

/// Runs `ws` with this on stdin to its end.
fn ws(arguments: &[&str], input: &[u8]) -> Output {
    let child = Command::new(built("ws"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{error}: tests/proxies/run.sh builds it"));
    let mut stdin = child.stdin.take().unwrap();
    let id = child.id().to_string();
    let (done, is_done) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        // It may not want all of it.
        scope.spawn(move || stdin.write_all(input));
        scope.spawn(move || {
            let waited = is_done.recv_timeout(Duration::from_secs(50));
            if waited.is_err() {
                let _sent = Command::new("kill").args(["-s", "KILL", &id]).status();
            }
        });
        let output = child.wait_with_output().unwrap();
        done.send(()).unwrap();
        output
    })
}

#[track_caller]
fn assert_exit(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", errors(output));
}

fn errors(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

/// `ws connect` with these arguments gets to an echo server.
#[track_caller]
fn connects(arguments: &[&str]) {
    let text = "one\ntwo\n\ngrößer\n";
    let output = ws(
        &[&["connect", "--count", "4"], arguments].concat(),
        text.as_bytes(),
    );
    assert_exit(&output, 0);
    assert_eq!(str::from_utf8(&output.stdout).unwrap(), text);
    assert_eq!(errors(&output), "");

    let bytes: Vec<u8> = (0..=250).cycle().take(3 << 20).collect();
    for how in [
        &["--binary", "--one"][..],
        &["--chunk", "64k", "--count", "48"],
    ] {
        let output = ws(&[&["connect"], how, arguments].concat(), &bytes);
        assert_exit(&output, 0);
        assert!(output.stdout == bytes, "{how:?}");
    }
    // Nothing to send, and an ordinary end.
    let output = ws(
        &[&["connect", "--wait", "0", "-v"], arguments].concat(),
        b"",
    );
    assert_exit(&output, 0);
    assert!(output.stdout.is_empty());
    assert!(errors(&output).contains("closed by this side, clean: sent 1000, received 1000"));
}

/// `ws bench` with these arguments measures an echo server.
#[track_caller]
fn measures(arguments: &[&str]) {
    let for_a_while = ["--warmup", "0.2", "--duration", "1", "-c", "4", "--json"];
    for load in [&["--depth", "4"], &["--rate", "500"]] {
        let output = ws(
            &[&["bench"], &for_a_while[..], load, arguments].concat(),
            b"",
        );
        assert_exit(&output, 0);
        assert_eq!(errors(&output), "");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(report["messages"].as_u64().unwrap() >= 100, "{report}");
        assert_eq!((&report["errors"], &report["lost"]), (&0.into(), &0.into()));
        assert!(report["latency_us"]["p99"].as_f64().unwrap() > 0.0);
    }
}

fn echo_server() -> (Process, SocketAddr) {
    example("echo_server", &[])
}

#[test]
#[ignore = "needs proxies: tests/proxies/run.sh"]
fn connect_through_nginx() {
    connect_behind(Kind::Nginx, "502");
}

#[test]
#[ignore = "needs proxies: tests/proxies/run.sh"]
fn connect_through_haproxy() {
    connect_behind(Kind::Haproxy, "503");
}

fn connect_behind(kind: Kind, without_server: &str) {
    let (_server, address) = echo_server();
    let gateway = Gateway::start(kind, address, "60s");
    connects(&[&format!("ws://{}/", gateway.address)]);

    let gateway = Gateway::start(kind, free_address(), "60s");
    let output = ws(&["connect", &format!("ws://{}/", gateway.address)], b"");
    assert_exit(&output, 3);
    assert!(
        errors(&output).contains(without_server),
        "{}",
        errors(&output)
    );
}

#[test]
#[ignore = "needs proxies: tests/proxies/run.sh"]
fn connect_through_an_http_proxy() {
    let (_server, address) = echo_server();
    let url = format!("ws://{address}/");
    let (_process, proxy, _scratch) = tinyproxy(address, "BasicAuth ada sesame");
    connects(&[&url, "--proxy", &format!("http://ada:sesame@{proxy}")]);
    // By name.
    let by_name = format!("ws://localhost:{}/", address.port());
    connects(&[&by_name, "--proxy", &format!("http://ada:sesame@{proxy}")]);

    let output = ws(
        &["connect", &url, "--proxy", &format!("http://{proxy}")],
        b"",
    );
    assert_exit(&output, 2);
    assert!(
        errors(&output).contains("user:password"),
        "{}",
        errors(&output)
    );
    let wrong = format!("http://ada:wrong@{proxy}");
    let output = ws(&["connect", &url, "--proxy", &wrong], b"");
    assert_exit(&output, 2);
    assert!(!errors(&output).contains("wrong"), "{}", errors(&output));
}

#[test]
#[ignore = "needs proxies: tests/proxies/run.sh"]
fn connect_through_a_socks_proxy() {
    let (_server, address) = echo_server();
    let url = format!("ws://localhost:{}/", address.port());
    let (_process, proxy) = microsocks(&["-u", "ada", "-P", "sesame"]);
    connects(&[&url, "--proxy", &format!("socks5h://ada:sesame@{proxy}")]);

    let output = ws(
        &["connect", &url, "--proxy", &format!("socks5h://{proxy}")],
        b"",
    );
    assert_exit(&output, 2);
    assert!(
        errors(&output).contains("user:password"),
        "{}",
        errors(&output)
    );
    let nowhere = format!("ws://{}/", free_address());
    let known = format!("socks5h://ada:sesame@{proxy}");
    assert_exit(&ws(&["connect", &nowhere, "--proxy", &known], b""), 2);
}

#[test]
#[ignore = "needs proxies: tests/proxies/run.sh"]
fn bench_of_the_echo_server() {
    let (_server, address) = echo_server();
    measures(&[&format!("ws://{address}/")]);
}

#[test]
#[ignore = "needs proxies: tests/proxies/run.sh"]
fn bench_through_nginx() {
    let (_server, address) = echo_server();
    let gateway = Gateway::start(Kind::Nginx, address, "60s");
    measures(&[&format!("ws://{}/", gateway.address)]);
}
