//! A client that stays connected: a fresh token for each attempt, and going on where it was.
//!
//! ```text
//! cargo run --example reconnect
//! cargo run --example reconnect -- ws://127.0.0.1:9001
//! ```
//!
//! Without a URL it has a server of its own, which refuses, hangs up, and restarts before it ends
//! properly.
#![expect(clippy::print_stdout, reason = "a command line tool reports there")]

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sockeye::backoff::Backoff;
use sockeye::handshake::{ClientRequest, Refusal};
use sockeye::reconnect::Update;
use sockeye::{CloseCode, Config, SocketError};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => spawn_server().await?,
    };
    // How many messages were processed: what the server needs to know to go on.
    let processed = Arc::new(AtomicU64::new(0));

    let position = Arc::clone(&processed);
    let mut client = sockeye::tokio::reconnect(&Config::new(), move || {
        let (url, after) = (url.clone(), position.load(Ordering::Relaxed));
        async move {
            let authorization = format!("Bearer {}", fresh_token().await?);
            Ok(ClientRequest::new(&url)?
                .with_header("Authorization", authorization)
                .with_header("Resume-After", after.to_string()))
        }
    })
    // The defaults are for services with many clients; this one is alone.
    .with_backoff(Backoff::new().with_first(Duration::from_millis(500)));

    loop {
        tokio::select! {
            update = client.recv() => match update {
                None => break,
                Some(Update::Message(message)) => {
                    println!("  {}", message.as_text().unwrap_or("(binary)"));
                    processed.fetch_add(1, Ordering::Relaxed);
                }
                Some(Update::Connecting { attempt }) => println!("attempt {attempt}"),
                Some(Update::Connected(_)) => println!("connected"),
                Some(Update::Disconnected(lost)) => match lost.retry_in {
                    Some(delay) => println!("{}; again in {delay:.1?}", lost.cause),
                    None => println!("{}", lost.cause),
                },
                Some(other) => println!("{other:?}"),
            },
            // Whatever it is doing, waiting included.
            _ = tokio::signal::ctrl_c() => {
                client.close(CloseCode::GOING_AWAY, "").await?;
            }
        }
    }
    Ok(())
}

/// Asks whoever gives out tokens. What fails as an `std::io::Error` of the kind `Other` is tried
/// again.
async fn fresh_token() -> Result<String, SocketError> {
    Ok("2f4e".to_owned())
}

/// A server that counts on from where the client was, and does something else each time.
async fn spawn_server() -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/", listener.local_addr()?);
    tokio::spawn(async move {
        for turn in 1.. {
            let (stream, _) = listener.accept().await?;
            let upgrade = sockeye::tokio::receive(stream, &Config::new()).await?;
            if turn == 2 {
                let busy = Refusal::new(503).with_header("Retry-After", "1");
                upgrade.reject(busy).await?;
                continue;
            }
            let after = upgrade.request().header("Resume-After").unwrap_or(b"0");
            let after: u64 = String::from_utf8_lossy(after).parse().unwrap_or(0);
            let mut ws = upgrade.accept(Default::default()).await?;
            for number in after + 1..=after + 3 {
                ws.send(format!("message {number}")).await?;
            }
            match turn {
                1 => drop(ws),
                3 => drop(ws.close(CloseCode::SERVICE_RESTART, "").await?),
                _ => drop(ws.close(CloseCode::NORMAL, "that was all").await?),
            }
        }
        Ok::<_, SocketError>(())
    });
    Ok(url)
}
