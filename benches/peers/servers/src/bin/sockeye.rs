//! The loop that the README teaches first, or with `feed`: what was queued is written before it waits
//! for input.

use sockeye::{Config, Deflate, SocketError};
use tokio::net::TcpStream;

async fn echo(stream: TcpStream, config: Config) -> Result<(), SocketError> {
    let mut ws = sockeye::tokio::accept(stream, &config).await?;
    if servers::wants_batches() {
        while let Some(message) = ws.recv().await? {
            ws.feed(message).await?;
        }
    }
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

fn main() {
    let config = Config::new().with_deflate(servers::wants_deflate().then(Deflate::server));
    servers::serve(|stream| {
        let config = config.clone();
        async move {
            let _ended = echo(stream, config).await;
        }
    });
}
