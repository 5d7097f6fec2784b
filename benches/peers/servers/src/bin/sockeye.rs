//! The loop that the README teaches first: it answers in one write what came in one read.

use sockeye::{Closed, Config, Deflate, SocketError};
use tokio::net::TcpStream;

async fn echo(stream: TcpStream, config: Config) -> Result<Closed, SocketError> {
    let mut ws = sockeye::tokio::accept(stream, &config).await?;
    ws.serve(async |message, replies| replies.send(message).await)
        .await
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
