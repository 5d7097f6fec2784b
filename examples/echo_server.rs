//! An echo server on any of the three adapters, with a page to try it from a browser.
//!
//! ```sh
//! cargo run --release --example echo_server -- --addr 127.0.0.1:9001 --adapter tokio
//! ```
//!
//! Then open <http://127.0.0.1:9001/>. Ctrl-C closes all connections with code 1001 before it ends.
#![expect(clippy::print_stdout, reason = "a program that tells what it does")]

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use sockeye::handshake::{Acceptance, Refusal, Request};
use sockeye::{
    CloseCode, Config, Deflate, Memory, ReadIo, SocketError, WebSocket, WriteIo, blocking,
};

/// What a browser gets for a plain request.
const PAGE: &str = include_str!("pages/echo.html");

/// Echoes text and binary messages.
#[derive(Parser)]
struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9001")]
    addr: SocketAddr,
    /// What the connections run on.
    #[arg(long, value_enum, default_value_t = Adapter::Tokio)]
    adapter: Adapter,
    /// Agree to compress, and keep this between messages.
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "window")]
    deflate: Option<Keep>,
}

impl Options {
    fn config(&self) -> Config {
        Config::new().with_deflate(self.deflate.map(|keep| {
            let memory = match keep {
                Keep::Retained => Memory::Retained,
                Keep::Window => Memory::Window,
                Keep::Nothing => Memory::NoTakeover,
            };
            Deflate::server()
                .with_send_memory(memory)
                .with_receive_memory(memory)
        }))
    }
}

/// What a connection keeps between compressed messages.
#[derive(Clone, Copy, ValueEnum)]
enum Keep {
    Retained,
    Window,
    Nothing,
}

#[derive(Clone, Copy, ValueEnum)]
enum Adapter {
    Tokio,
    Blocking,
    Futures,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let listener = TcpListener::bind(options.addr)?;
    let addr = listener.local_addr()?;
    println!("listening on ws://{addr}, page at http://{addr}/");
    match options.adapter {
        Adapter::Tokio => run_tokio(listener, options.config()),
        Adapter::Blocking => run_blocking(listener, options.config()),
        Adapter::Futures => run_futures(listener, options.config()),
    }
}

/// Calls back once, from a thread of its own, when the program is asked to end.
fn on_interrupt(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            println!("closing all connections");
            stop();
        }
    });
    Ok(())
}

/// The page for `/`, nothing for the rest.
fn answer_plain(request: &Request) -> Refusal {
    match request.path() {
        "/" => Refusal::new(200)
            .with_header("Content-Type", "text/html; charset=utf-8")
            .with_body(PAGE),
        _ => Refusal::new(404).with_body("nothing here\n"),
    }
}

/// Without file descriptors no connection can be accepted. Some will be free later.
fn accepted<T>(result: io::Result<T>) -> Option<T> {
    result
        .inspect_err(|error| {
            println!("cannot accept a connection: {error}");
            thread::sleep(Duration::from_millis(50));
        })
        .ok()
}

fn report(peer: SocketAddr, result: Result<(), SocketError>) {
    if let Err(error) = result {
        println!("{peer}: {error}");
    }
}

// --- tokio: a task a connection; a watch channel tells them to close ---

fn run_tokio(listener: TcpListener, config: Config) -> Result<(), Box<dyn Error>> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        on_interrupt(move || {
            stop.send_replace(true);
        })?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let mut stopping = stopped.clone();
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => break,
                Some(_ended) = connections.join_next() => {}
                accepted = listener.accept() => {
                    let Some((stream, peer)) = self::accepted(accepted) else { continue };
                    let (config, stopped) = (config.clone(), stopped.clone());
                    connections.spawn(async move { report(peer, serve_tokio(stream, config, stopped).await) });
                }
            }
        }
        while connections.join_next().await.is_some() {}
        Ok(())
    })
}

async fn serve_tokio(
    stream: tokio::net::TcpStream,
    config: Config,
    mut stopped: tokio::sync::watch::Receiver<bool>,
) -> Result<(), SocketError> {
    stream.set_nodelay(true)?;
    let stop = async move {
        // An error means that nobody can tell any more.
        let _told = stopped.wait_for(|stop| *stop).await;
    };
    tokio::pin!(stop);
    let upgrade = tokio::select! {
        upgrade = sockeye::tokio::receive_any(stream, &config) => upgrade?,
        () = &mut stop => return Ok(()),
    };
    if !upgrade.request().is_upgrade() {
        let refusal = answer_plain(upgrade.request());
        return upgrade.reject(refusal).await;
    }
    let mut ws = upgrade.accept(Acceptance::new()).await?;
    tokio::select! {
        result = echo_all(&mut ws) => return result,
        () = &mut stop => {}
    }
    // Serving is cancel safe, so the connection can be closed where it was.
    ws.close(CloseCode::GOING_AWAY, "the server ends").await?;
    Ok(())
}

/// Echoes until the connection ends. Runs on every asynchronous adapter.
async fn echo_all<I: ReadIo + WriteIo>(ws: &mut WebSocket<I>) -> Result<(), SocketError> {
    ws.serve(async |message, replies| replies.send(message).await)
        .await?;
    Ok(())
}

// --- futures: the same on smol ---

fn run_futures(listener: TcpListener, config: Config) -> Result<(), Box<dyn Error>> {
    let (stop, stopped) = smol::channel::bounded::<()>(1);
    on_interrupt(move || {
        // Every receiver sees the end of the channel.
        drop(stop);
    })?;
    smol::block_on(async {
        let listener = smol::net::TcpListener::try_from(listener)?;
        let mut connections = Vec::new();
        loop {
            let accept = async { Some(listener.accept().await) };
            let stop = async {
                let _closed = stopped.recv().await;
                None
            };
            let Some(accepted) = smol::future::or(stop, accept).await else {
                break;
            };
            let Some((stream, peer)) = self::accepted(accepted) else {
                continue;
            };
            let (config, stopped) = (config.clone(), stopped.clone());
            connections.retain(|task: &smol::Task<()>| !task.is_finished());
            connections.push(smol::spawn(async move {
                report(peer, serve_futures(stream, config, stopped).await);
            }));
        }
        for connection in connections {
            connection.await;
        }
        Ok(())
    })
}

async fn serve_futures(
    stream: smol::net::TcpStream,
    config: Config,
    stopped: smol::channel::Receiver<()>,
) -> Result<(), SocketError> {
    stream.set_nodelay(true)?;
    let receive = async { Some(sockeye::futures::receive_any(stream, &config).await) };
    let Some(upgrade) = smol::future::or(ended(&stopped), receive).await else {
        return Ok(());
    };
    let upgrade = upgrade?;
    if !upgrade.request().is_upgrade() {
        let refusal = answer_plain(upgrade.request());
        return upgrade.reject(refusal).await;
    }
    let mut ws = upgrade.accept(Acceptance::new()).await?;
    let echo = async { Some(echo_all(&mut ws).await) };
    if let Some(result) = smol::future::or(ended(&stopped), echo).await {
        return result;
    }
    ws.close(CloseCode::GOING_AWAY, "the server ends").await?;
    Ok(())
}

/// `None` once the server ends: for racing against what gives `Some`.
async fn ended<T>(stopped: &smol::channel::Receiver<()>) -> Option<T> {
    let _closed = stopped.recv().await;
    None
}

// --- blocking: a thread a connection, which keeps its sending half where the interrupt can reach
// it ---

type Senders = Arc<Mutex<HashMap<SocketAddr, Arc<Mutex<blocking::SendHalf<TcpStream>>>>>>;

fn run_blocking(listener: TcpListener, config: Config) -> Result<(), Box<dyn Error>> {
    let senders = Senders::default();
    let open = Arc::clone(&senders);
    on_interrupt(move || {
        let senders: Vec<_> = lock(&open).values().cloned().collect();
        for sender in senders {
            // Each on its own: one may be busy sending to a client that does not read. One that is
            // closing already needs no second Close frame.
            thread::spawn(move || {
                let _closing = lock(&sender).close(CloseCode::GOING_AWAY, "the server ends");
            });
        }
        // The threads see the closing handshakes through.
        for _ in 0..500 {
            if lock(&open).is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        std::process::exit(0);
    })?;
    for stream in listener.incoming() {
        let Some(stream) = accepted(stream) else {
            continue;
        };
        let (config, senders) = (config.clone(), Arc::clone(&senders));
        thread::spawn(move || {
            if let Ok(peer) = stream.peer_addr() {
                report(peer, serve_blocking(stream, peer, &config, &senders));
                lock(&senders).remove(&peer);
            }
        });
    }
    Ok(())
}

fn serve_blocking(
    stream: TcpStream,
    peer: SocketAddr,
    config: &Config,
    senders: &Senders,
) -> Result<(), SocketError> {
    stream.set_nodelay(true)?;
    let upgrade = blocking::Upgrade::receive_any(stream, config)?;
    if !upgrade.request().is_upgrade() {
        let refusal = answer_plain(upgrade.request());
        return upgrade.reject(refusal);
    }
    let (mut receiver, sender) = upgrade.accept(Acceptance::new())?.split()?;
    let sender = Arc::new(Mutex::new(sender));
    lock(senders).insert(peer, Arc::clone(&sender));
    while let Some(message) = receiver.recv()? {
        lock(&sender).send(message)?;
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
