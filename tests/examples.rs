//! Examples, run as the programs that they are.
#![cfg(all(unix, feature = "blocking", feature = "tokio", feature = "futures"))]
#![allow(
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    reason = "a test"
)]

mod programs;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
#[cfg(target_os = "linux")]
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use programs::Program;
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
#[cfg(target_os = "linux")]
use rustls::pki_types::PrivateKeyDer;
use sockeye::handshake::ClientRequest;
use sockeye::tokio::{ClientStream, TokioIo};
use sockeye::{CloseCode, Config, Deflate, Timeouts, WebSocket, blocking};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// More than a test takes, even on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

fn run<F: Future>(scenario: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let scenario = async { tokio::time::timeout(PATIENCE, scenario).await };
    runtime.block_on(scenario).expect("it hangs")
}

type Client = WebSocket<TokioIo<ClientStream>>;

async fn connect(address: SocketAddr) -> Client {
    let url = format!("ws://{address}/");
    sockeye::tokio::connect(&url).await.unwrap()
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| ((at * 31) ^ (at >> 8)) as u8).collect()
}

async fn echo(client: &mut Client, message: &[u8]) {
    client.send(message).await.unwrap();
    let echo = client.recv().await.unwrap().unwrap();
    assert!(echo.as_bytes() == message, "{}", message.len());
}

async fn close(mut client: Client) {
    let closed = client.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(closed.clean, "{closed:?}");
}

/// A thousand clients at once are served by one thread with one read buffer.
#[test]
fn mio_server() {
    const CLIENTS: usize = 1000;
    // For this process and, because it is inherited, for the program.
    let mut files = getrlimit(Resource::Nofile);
    let needed = CLIENTS as u64 + 200;
    files.current = files.current.map(|current| current.max(needed));
    setrlimit(Resource::Nofile, files).unwrap();

    let server = Program::start("mio_server", &["0"]);
    let address = server.address("ws://");
    let before = status(&server, "VmRSS:");
    let messages: Vec<_> = [0, 1, 125, 126, 4096].into_iter().map(pattern).collect();
    let large = pattern(100 * 1024);
    run(async {
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(connect(address).await);
        }
        let open = status(&server, "VmRSS:");
        let all = clients.into_iter().map(async |mut client| {
            for message in &messages {
                echo(&mut client, message).await;
            }
            client
        });
        let clients = stream::iter(join_all(all).await);
        // As many at a time as they may be in memory.
        let clients: Vec<_> = clients
            .map(async |mut client| {
                echo(&mut client, &large).await;
                client
            })
            .buffer_unordered(20)
            .collect()
            .await;
        let most = status(&server, "VmHWM:");
        println!("resident KiB: {before} at first, {open} with open connections, {most} at most");
        if cfg!(target_os = "linux") {
            assert_eq!(status(&server, "Threads:"), 1);
            // KiB for each of them. A read buffer would be 20.
            assert!(open - before < 4 * CLIENTS as u64, "{before} to {open}");
            assert!(most - before < 8 * CLIENTS as u64, "{before} to {most}");
        }
        join_all(clients.into_iter().map(close)).await;
    });
}

/// A number of what Linux tells of the process.
fn status(program: &Program, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id()));
    let status = status.unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.map_or(0, |number| number.parse().unwrap())
}

/// On SIGTERM everybody is told, and nobody who has not finished the opening handshake is waited for.
#[test]
fn smol_server() {
    let server = Program::start("smol_server", &["0"]);
    let address = server.address("ws://");
    let terminate = || {
        let id = Pid::from_raw(server.id() as i32).unwrap();
        kill_process(id, Signal::TERM).unwrap();
    };
    run(async {
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let mut clients = [connect(address).await, connect(address).await];
        for client in &mut clients {
            for size in [0, 1, 125, 126, 65_536, 1 << 20] {
                echo(client, &pattern(size)).await;
            }
        }
        terminate();
        for mut client in clients {
            assert!(client.recv().await.unwrap().is_none());
            let closed = client.closed().unwrap();
            assert!(closed.clean, "{closed:?}");
            assert_eq!(closed.code(), CloseCode::GOING_AWAY);
        }
    });
    let (status, output) = server.finish();
    assert!(status.success(), "{status}: {output}");
}

/// Fifty clients at once, after some that went away in the middle of something.
///
/// Many containers refuse io_uring, and nothing can be tested there. With `CI_EXPECTS_IO_URING` set that is a
/// failure.
#[test]
fn uring_server() {
    let server = Program::start("uring_server", &["0"]);
    if server.first_line().is_empty() {
        let (status, _) = server.finish();
        assert_eq!(status.code(), Some(3), "{status}");
        let is_expected = std::env::var_os("CI_EXPECTS_IO_URING").is_some();
        assert!(!is_expected, "the kernel gives us no io_uring");
        // Not `println`, which nobody sees of a test that passes.
        let skipped = "uring_server: SKIPPED, the kernel gives us no io_uring";
        writeln!(std::io::stderr(), "{skipped}").unwrap();
        return;
    }
    let address = server.address("ws://");
    run(async {
        drop(TcpStream::connect(address).await.unwrap());
        let mut rude = connect(address).await;
        rude.feed(pattern(1 << 20)).await.unwrap();
        drop(rude);
        let sizes = [0, 1, 125, 126, 4095, 4096, 65_536, 1 << 20];
        let messages: Vec<_> = sizes.into_iter().map(pattern).collect();
        let all = (0..50).map(async |_| {
            let mut client = connect(address).await;
            for message in &messages {
                client.ping(b"between").await.unwrap();
                echo(&mut client, message).await;
            }
            close(client).await;
        });
        join_all(all).await;
    });
}

/// The program itself aborts if it needs more memory than it says, and fails if anything gets lost.
#[test]
fn ring() {
    let program = Program::start("ring", &[]);
    println!("{}", program.first_line());
    let (status, output) = program.finish();
    assert!(status.success(), "{status}: {output}");
}

/// More than the transport holds goes in both directions at once.
#[test]
fn two_threads() {
    const LINES: usize = 4000;
    let line = |at: usize| format!("{at}: {}", "x".repeat(1024));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    // A connection that hangs ends as well.
    let timeouts = Timeouts::new().with_lifetime(Some(PATIENCE), Duration::ZERO);
    let config = Config::new().with_timeouts(timeouts);
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let ws = blocking::accept(stream, &config).unwrap();
        let (mut receiver, mut sender) = ws.split().unwrap();
        let sending = thread::spawn(move || {
            for at in 0..LINES {
                sender.send(line(at)).unwrap();
            }
        });
        for at in 0..LINES {
            let message = receiver.recv().unwrap().unwrap();
            assert_eq!(message.as_text(), Some(&*line(at)));
        }
        sending.join().unwrap();
        tell.send(None).unwrap();
        assert!(receiver.recv().unwrap().is_none());
        tell.send(receiver.closed()).unwrap();
    });
    let mut program = Program::start("two_threads", &[&url]);
    assert_eq!(program.first_line(), line(0));
    let mut stdin = program.stdin();
    for at in 0..LINES {
        writeln!(stdin, "{}", line(at)).unwrap();
    }
    assert_eq!(told.recv_timeout(PATIENCE), Ok(None));
    drop(stdin); // It closes the connection.
    let (status, output) = program.finish();
    assert!(status.success(), "{status}");
    assert!(output.lines().eq((1..LINES).map(line)));
    let closed = told.recv_timeout(PATIENCE).unwrap().unwrap();
    assert!(closed.clean, "{closed:?}");
    assert_eq!(closed.code(), CloseCode::NORMAL);
}

/// Its own page gets in, and another one does not. (With TLS and HTTP/2: `tests/browser/run.sh`.)
#[test]
fn axum_server() {
    let server = Program::start("axum_server", &["127.0.0.1:0"]);
    let page = server.first_line().trim_end_matches('/');
    let address = page.strip_prefix("http://").unwrap();
    let request = ClientRequest::new(&format!("ws://{address}/echo")).unwrap();
    run(async {
        let config = Config::new().with_deflate(Deflate::client());
        let own = request.clone().with_origin(page);
        let (mut client, _) = sockeye::tokio::connect_with(&own, &config).await.unwrap();
        let hello = client.recv().await.unwrap().unwrap();
        assert_eq!(hello.as_text(), Some("over HTTP/1.1"));
        assert!(client.negotiated().deflate().is_some());
        for size in [0, 126, 65_536] {
            echo(&mut client, &pattern(size)).await;
        }
        close(client).await;
        let strange = request.with_origin("http://evil.example");
        let error = sockeye::tokio::connect_with(&strange, &config).await;
        let error = error.expect_err("another page").to_string();
        assert!(error.contains("403"), "{error}");
    });
}

/// Server and client in one process, and in two.
#[test]
fn h2_echo() {
    let echoes = ["first", "second", "third"].map(|name| format!("hello from the {name}"));
    let both = Program::start("h2_echo", &[]);
    let (status, output) = both.finish();
    assert!(status.success(), "{status}: {output}");
    assert!(output.lines().eq(&echoes), "{output}");

    let server = Program::start("h2_echo", &["serve", "127.0.0.1:0"]);
    let url = format!("ws://{}/", server.address("listening on "));
    for _ in 0..2 {
        let client = Program::start("h2_echo", &["connect", &url]);
        assert_eq!(client.first_line(), echoes[0]);
        let (status, output) = client.finish();
        assert!(status.success(), "{status}: {output}");
        assert!(output.lines().eq(&echoes[1..]), "{output}");
    }
}

/// It ends by itself when its own server has closed with 1000, after everything that goes wrong before.
#[test]
fn reconnect() {
    let program = Program::start("reconnect", &[]);
    let first = program.first_line().to_owned();
    let (status, output) = program.finish();
    assert!(status.success(), "{status}: {first}\n{output}");
    for number in 1..=9 {
        let message = format!("message {number}");
        assert!(output.contains(&message), "{number}: {first}\n{output}");
    }
}

/// Over TLS, by the certificates of the platform, which on Linux are those in a file. The first connection
/// ends with 1012, so there is a second one; that ends with 1000.
#[test]
#[cfg(target_os = "linux")]
fn wss_client() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let trusted = format!("{}/wss_client.pem", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&trusted, own.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());

    let variables = [("SSL_CERT_FILE", &*trusted), ("SSL_CERT_DIR", "")];
    let program = Program::start_with("wss_client", &[&url], &variables);
    assert_eq!(program.first_line(), "Connecting { attempt: 1 }");
    run(async {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        for code in [CloseCode::SERVICE_RESTART, CloseCode::NORMAL] {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = acceptor.accept(stream).await.unwrap();
            let config = Config::new().with_deflate(Deflate::server());
            let mut ws = sockeye::tokio::accept(stream, &config).await.unwrap();
            assert!(ws.negotiated().deflate().is_some());
            let hello = ws.recv().await.unwrap().unwrap();
            assert_eq!(hello.as_text(), Some("hello"));
            ws.send("welcome").await.unwrap();
            assert!(ws.close(code, "").await.unwrap().clean);
        }
    });
    let (status, output) = program.finish();
    assert!(status.success(), "{status}: {output}");
    println!("{output}");
    assert_eq!(output.matches("Connected(").count(), 2, "{output}");
    assert_eq!(output.matches("welcome").count(), 2, "{output}");
}
