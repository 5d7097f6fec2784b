//! A client behind tinyproxy (HTTP CONNECT) or microsocks (SOCKS5).

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use sockeye::connector::ConnectError;
use sockeye::handshake::ClientRequest;
use sockeye::proxy::{Proxy, ProxyError, SocksFailure};
use sockeye::{CloseCode, Config, Connector, SocketError};
use tokio::time::timeout;

use crate::processes::{Process, Scratch, free_address, replace};
use crate::server::{Server, Socket, echo};

/// An HTTP proxy, which lets nobody through to any port but that of `server`.
pub(crate) fn tinyproxy(server: SocketAddr, credentials: &str) -> (Process, SocketAddr, Scratch) {
    let scratch = Scratch::new();
    let (process, address) = Process::listening(|address| {
        let text = include_str!("tinyproxy.conf");
        let text = replace(text, "{port}", &address.port().to_string());
        let text = replace(&text, "{server}", &server.port().to_string());
        let text = replace(&text, "{credentials}", credentials);
        let mut command = Command::new("tinyproxy");
        command.args(["-d", "-c", &scratch.file("tinyproxy.conf", &text)]);
        command
    });
    (process, address, scratch)
}

pub(crate) fn microsocks(options: &[&str]) -> (Process, SocketAddr) {
    Process::listening(|address| {
        let port = address.port().to_string();
        let mut command = Command::new("microsocks");
        command.args(["-i", "127.0.0.1", "-p", &port]).args(options);
        command.stderr(Stdio::null()); // it tells of every connection
        command
    })
}

/// Connects through the proxy at `url` to `host`.
async fn through(url: &str, host: &str, port: u16) -> Result<Socket, SocketError> {
    let connector = Connector::new().with_proxy(Proxy::parse(url).unwrap());
    let request = ClientRequest::new(&format!("ws://{host}:{port}/")).unwrap();
    let (ws, _) = sockeye::tokio::connect_through(&connector, &request).await?;
    Ok(ws)
}

/// All of a connection, through a proxy that lets it through.
async fn talks(url: &str, host: &str, port: u16) {
    let all = async {
        let mut ws = through(url, host, port).await.unwrap();
        for len in [0, 5, 200_000] {
            echo(&mut ws, &vec![7; len]).await;
        }
        assert!(ws.close(CloseCode::NORMAL, "").await.unwrap().clean);
    };
    timeout(Duration::from_secs(20), all).await.unwrap();
}

/// Why a proxy lets nobody through, and whether a client that reconnects comes back.
async fn refusal(url: &str, port: u16) -> (ProxyError, bool) {
    let attempt = timeout(Duration::from_secs(20), through(url, "127.0.0.1", port));
    let error = attempt.await.unwrap().expect_err("refused");
    let is_retried = error.class().is_retryable();
    match error {
        SocketError::Connect(ConnectError::Proxy(error)) => (error, is_retried),
        other => panic!("{other:?}"),
    }
}

fn status(error: &ProxyError) -> u16 {
    error
        .response()
        .unwrap_or_else(|| panic!("{error:?}"))
        .status()
}

#[tokio::test]
#[ignore = "needs proxies: tests/proxies/run.sh"]
async fn http() {
    let server = Server::start(Config::new()).await;
    let port = server.address.port();
    let (_process, proxy, _scratch) = tinyproxy(server.address, "");
    talks(&format!("http://{proxy}"), "127.0.0.1", port).await;
    talks(&format!("http://{proxy}"), "localhost", port).await;
    // Nobody asked for credentials.
    talks(&format!("http://ada:sesame@{proxy}"), "127.0.0.1", port).await;
    // A port that its rules do not allow.
    let (error, is_retried) = refusal(&format!("http://{proxy}"), free_address().port()).await;
    assert_eq!((status(&error), is_retried), (403, false));
}

#[tokio::test]
#[ignore = "needs proxies: tests/proxies/run.sh"]
async fn http_without_a_server() {
    let nowhere = free_address();
    let (_process, proxy, _scratch) = tinyproxy(nowhere, "");
    let (error, is_retried) = refusal(&format!("http://{proxy}"), nowhere.port()).await;
    assert_eq!((status(&error), is_retried), (500, true));
}

#[tokio::test]
#[ignore = "needs proxies: tests/proxies/run.sh"]
async fn http_with_credentials() {
    let server = Server::start(Config::new()).await;
    let port = server.address.port();
    let (_process, proxy, _scratch) = tinyproxy(server.address, "BasicAuth ada sesame");
    talks(&format!("http://ada:sesame@{proxy}"), "127.0.0.1", port).await;
    // tinyproxy has its own mind about who was right: RFC 9110 says 407 for all of them.
    for (credentials, expected) in [("", 407), ("ada:wrong@", 401), ("eve:sesame@", 401)] {
        let (error, is_retried) = refusal(&format!("http://{credentials}{proxy}"), port).await;
        assert_eq!((status(&error), is_retried), (expected, false));
    }
}

#[tokio::test]
#[ignore = "needs proxies: tests/proxies/run.sh"]
async fn socks5() {
    let server = Server::start(Config::new()).await;
    let port = server.address.port();
    let (_process, proxy) = microsocks(&[]);
    talks(&format!("socks5://{proxy}"), "127.0.0.1", port).await;
    talks(&format!("socks5h://{proxy}"), "localhost", port).await;
    let (error, is_retried) = refusal(&format!("socks5://{proxy}"), free_address().port()).await;
    assert_eq!(error, ProxyError::Failed(SocksFailure::ConnectionRefused));
    assert!(is_retried);
}

#[tokio::test]
#[ignore = "needs proxies: tests/proxies/run.sh"]
async fn socks5_with_credentials() {
    let server = Server::start(Config::new()).await;
    let port = server.address.port();
    let (_process, proxy) = microsocks(&["-u", "ada", "-P", "sesame"]);
    talks(&format!("socks5://ada:sesame@{proxy}"), "127.0.0.1", port).await;
    let (error, is_retried) = refusal(&format!("socks5://{proxy}"), port).await;
    assert_eq!((&error, is_retried), (&ProxyError::Authentication, false));
    let (error, is_retried) = refusal(&format!("socks5://ada:wrong@{proxy}"), port).await;
    assert_eq!((&error, is_retried), (&ProxyError::Credentials, false));
}
