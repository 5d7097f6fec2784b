//! An echo server on smol, a task for each connection. On Ctrl-C or SIGTERM all of them are closed with
//! code 1001, and the program ends when they are.
//!
//! `cargo run --example smol_server -- 9001`
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use smol::channel::Receiver;
use smol::future::or;
use smol::net::{TcpListener, TcpStream};
use sockeye::futures::accept;
use sockeye::{CloseCode, Closed, Config, Role, SocketError, Timeouts};

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).map(|port| port.parse());
    let port = port.unwrap_or(Ok(9001)).map_err(io::Error::other)?;
    let config = Config::new().with_timeouts(Timeouts::suggested(Role::Server));
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    // Nothing is sent through it: that its sender is gone is what every receiver learns.
    let (stop, stopped) = smol::channel::bounded::<()>(1);
    smol::spawn(async move {
        smol::unblock(move || signals.forever().next()).await;
        drop(stop);
    })
    .detach();
    smol::block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        println!("ws://{}", listener.local_addr()?);
        let mut connections = Vec::new();
        while let Some(accepted) = unless(&stopped, listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => {
                    let connection = serve(stream, config.clone(), stopped.clone());
                    let report = async move { println!("{peer}: {:?}", connection.await) };
                    connections.retain(|task: &smol::Task<()>| !task.is_finished());
                    connections.push(smol::spawn(report));
                }
                Err(error) => {
                    println!("cannot accept a connection: {error}");
                    smol::Timer::after(Duration::from_millis(50)).await; // Until others have ended.
                }
            }
        }
        for connection in connections {
            connection.await; // No longer than closing may take: five seconds.
        }
        Ok(())
    })
}

async fn serve(
    stream: TcpStream,
    config: Config,
    stopped: Receiver<()>,
) -> Result<Option<Closed>, SocketError> {
    stream.set_nodelay(true)?;
    let Some(ws) = unless(&stopped, accept(stream, &config)).await else {
        return Ok(None); // There is nobody yet to say goodbye to.
    };
    let mut ws = ws?;
    let echoes = ws.serve(async |message, replies| replies.send(message).await);
    if let Some(closed) = unless(&stopped, echoes).await {
        return closed.map(Some);
    }
    // Serving is cancel safe, so the connection can be closed where it was.
    let closed = ws.close(CloseCode::GOING_AWAY, "the server ends").await?;
    Ok(Some(closed))
}

/// What comes of it, or `None` if the server stops before.
async fn unless<T>(stopped: &Receiver<()>, future: impl Future<Output = T>) -> Option<T> {
    let stop = async { stopped.recv().await.ok().and(None) };
    or(stop, async { Some(future.await) }).await
}
