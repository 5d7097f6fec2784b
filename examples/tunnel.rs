//! Carries TCP connections through a WebSocket server, byte by byte: SSH through a firewall that lets
//! only HTTP through, say.
//!
//! ```text
//! ssh ──TCP──► tunnel enter 2222 ──WebSocket──► tunnel exit 8080 ──TCP──► sshd
//! ```
//!
//! Each TCP connection is a WebSocket connection of its own, and both of its directions end by
//! themselves. Whoever may connect to the exit may use it: put it behind authentication.
#![allow(clippy::print_stdout, reason = "it talks to people")]

use core::time::Duration;
use std::io;
use std::net::SocketAddr;

use clap::{Parser, Subcommand};
use sockeye::handshake::ClientRequest;
use sockeye::tokio::{accept, connect_with};
use sockeye::{ByteStream, Config, Deflate, Delivery, ReadIo, SocketError, WebSocket, WriteIo};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

#[derive(Parser)]
#[command(about = "Carries TCP connections through WebSockets")]
struct Options {
    #[command(subcommand)]
    end: End,
    /// Compresses what goes through.
    #[arg(long, global = true)]
    deflate: bool,
}

#[derive(Subcommand)]
enum End {
    /// Takes TCP connections, and carries each to a WebSocket server.
    Enter {
        /// Where to listen.
        addr: SocketAddr,
        /// The exit: `ws://HOST:PORT/` or `wss://HOST/`.
        url: String,
    },
    /// Takes WebSocket connections, and carries each to a TCP server.
    Exit {
        /// Where to listen.
        addr: SocketAddr,
        /// The TCP server.
        to: String,
    },
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Options { end, deflate } = Options::parse();
    match end {
        End::Enter { addr, url } => {
            let config = config(deflate.then(Deflate::client));
            let request = ClientRequest::new(&url)?;
            let listener = listen(addr).await?;
            loop {
                let stream = next(&listener).await;
                let (request, config) = (request.clone(), config.clone());
                tokio::spawn(async move { report(enter(stream, &request, &config).await) });
            }
        }
        End::Exit { addr, to } => {
            let config = config(deflate.then(Deflate::server));
            let listener = listen(addr).await?;
            loop {
                let stream = next(&listener).await;
                let (to, config) = (to.clone(), config.clone());
                tokio::spawn(async move { report(exit(stream, &to, &config).await) });
            }
        }
    }
}

fn config(deflate: Option<Deflate>) -> Config {
    // Pieces of messages: what is in the middle is never put together. And no pings: whoever has read
    // to the end of a direction answers none while the other one is silent.
    let config = Config::new().with_delivery(Delivery::Chunks);
    match deflate {
        Some(deflate) => config.with_deflate(deflate),
        None => config,
    }
}

async fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(listener)
}

/// The next connection.
async fn next(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // Out of file descriptors, perhaps: some will be free soon.
            Err(error) => {
                eprintln!("cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn report(result: Result<(u64, u64), SocketError>) {
    match result {
        Ok((there, back)) => println!("{there} bytes there, {back} back"),
        Err(error) => println!("{error}"),
    }
}

async fn enter(
    stream: TcpStream,
    request: &ClientRequest,
    config: &Config,
) -> Result<(u64, u64), SocketError> {
    let (ws, _) = connect_with(request, config).await?;
    carry(stream, ws).await
}

async fn exit(stream: TcpStream, to: &str, config: &Config) -> Result<(u64, u64), SocketError> {
    stream.set_nodelay(true)?;
    let ws = accept(stream, config).await?;
    carry(TcpStream::connect(to).await?, ws).await
}

/// Until both directions have ended.
async fn carry<I>(mut tcp: TcpStream, ws: WebSocket<I>) -> Result<(u64, u64), SocketError>
where
    I: ReadIo + WriteIo,
    ByteStream<I>: AsyncRead + AsyncWrite + Unpin,
{
    tcp.set_nodelay(true)?;
    let mut stream = ws.into_byte_stream().with_half_close();
    Ok(copy_bidirectional(&mut tcp, &mut stream).await?)
}
