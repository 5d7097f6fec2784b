//! `wss://`, with certificates that nobody knows.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use common::{assert_exit, run, server, stderr, stdout};
use rcgen::{CertificateParams, KeyPair};
use sockeye::handshake::Refusal;
use sockeye::tls::rustls::crypto::ring;
use sockeye::tls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sockeye::tls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use sockeye::{Config, blocking};

/// An echo server for one client that shows a certificate for `host`, its URL, and a file with the
/// certificate.
fn echo(host: &str, file: &str) -> (String, PathBuf, JoinHandle<bool>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([host.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(file);
    fs::write(&path, certificate.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let (url, serving) = server(move |stream| {
        let tls = ServerConnection::new(Arc::new(config)).unwrap();
        let stream = blocking::Untimed(StreamOwned::new(tls, stream));
        let Ok(mut ws) = blocking::accept(stream, &Config::new()) else {
            return false; // the client does not trust it
        };
        while let Some(message) = ws.recv().unwrap() {
            ws.send(message).unwrap();
        }
        ws.closed().unwrap().clean
    });
    (url.replace("ws:", "wss:"), path, serving)
}

#[test]
fn a_certificate_from_a_file() {
    let (url, certificate, serving) = echo("127.0.0.1", "trusted.pem");
    let args = [
        "connect",
        &url,
        "--one",
        "-v",
        "--ca",
        certificate.to_str().unwrap(),
    ];
    let output = run(&args, b"hello\n");
    assert_exit(&output, 0);
    assert_eq!(stdout(&output), "hello\n");
    assert!(
        stderr(&output).contains("* TLSv1_3, "),
        "{}",
        stderr(&output)
    );
    assert!(serving.join().unwrap());
}

#[test]
fn any_certificate() {
    let (url, _, serving) = echo("elsewhere.example", "insecure.pem");
    let output = run(&["connect", &url, "--one", "--insecure"], b"hello\n");
    assert_exit(&output, 0);
    assert_eq!(stdout(&output), "hello\n");
    assert!(serving.join().unwrap());
}

#[test]
fn a_certificate_for_another_name() {
    let (url, certificate, serving) = echo("elsewhere.example", "other.pem");
    let args = [
        "connect",
        &url,
        "--one",
        "--ca",
        certificate.to_str().unwrap(),
    ];
    let output = run(&args, b"hello\n");
    assert_exit(&output, 2);
    assert!(
        stderr(&output).contains("--insecure"),
        "{}",
        stderr(&output)
    );
    assert!(!serving.join().unwrap());
}

#[test]
fn a_server_without_tls() {
    let (url, serving) = server(|stream| {
        let _refused = blocking::accept(stream, &Config::new());
    });
    let output = run(&["connect", &url.replace("ws:", "wss:"), "--insecure"], b"");
    assert_exit(&output, 2);
    assert!(stderr(&output).contains("ws://"), "{}", stderr(&output));
    serving.join().unwrap();
}

#[test]
fn files_that_are_no_certificates() {
    for file in [
        "/no/such/file",
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
    ] {
        let output = run(&["connect", "wss://127.0.0.1:1/", "--ca", file], b"");
        assert_exit(&output, 1);
        assert!(stderr(&output).contains(file), "{}", stderr(&output));
    }
}

#[test]
fn redirects() {
    let (target, arriving) = server(|stream| {
        let mut ws = blocking::accept(stream, &Config::new()).unwrap();
        ws.send("here").unwrap();
        while ws.recv().unwrap().is_some() {}
    });
    let redirect = |location: String| {
        server(move |stream| {
            let upgrade = blocking::Upgrade::receive(stream, &Config::new()).unwrap();
            let refusal = Refusal::new(302).with_header("Location", location);
            upgrade.reject(refusal).unwrap();
        })
    };
    let (url, serving) = redirect(target.clone());
    let output = run(&["connect", &url, "--one"], b"");
    assert_exit(&output, 3);
    assert!(stderr(&output).contains(&target), "{}", stderr(&output));
    serving.join().unwrap();

    let (url, serving) = redirect(target);
    let output = run(&["connect", &url, "--one", "-L"], b"");
    assert_exit(&output, 0);
    assert_eq!(stdout(&output), "here\n");
    serving.join().unwrap();
    arriving.join().unwrap();
}
