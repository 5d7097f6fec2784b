use std::convert::Infallible;

use futures_util::StreamExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;
use yawc::{OpCode, Options, UpgradeFut, WebSocket, WebSocketError};

async fn echo(upgrade: UpgradeFut) {
    if let Ok(ws) = upgrade.await {
        let is_data = |frame: &yawc::Frame| matches!(frame.opcode(), OpCode::Binary | OpCode::Text);
        servers::echo(ws.map(Ok::<_, Infallible>), is_data).await;
    }
}

fn main() {
    // By default it refuses a message of 1 MiB.
    let mut options = Options::default().with_limits(16 << 20, 32 << 20);
    if servers::wants_deflate() {
        options = options.with_balanced_compression();
    }
    servers::serve(|stream| {
        let options = options.clone();
        async move {
            let service = service_fn(|mut request| {
                let upgraded = WebSocket::upgrade_with_options(&mut request, options.clone());
                async {
                    let (response, upgrade) = upgraded?;
                    spawn_local(echo(upgrade));
                    Ok::<_, WebSocketError>(response)
                }
            });
            let _ended = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
        }
    });
}
