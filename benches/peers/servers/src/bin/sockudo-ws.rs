use bytes::BytesMut;
use sockudo_ws::deflate::{DeflateConfig, negotiate_server_deflate};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::server::WebSocketServer;
use sockudo_ws::{CompressedWebSocketStream, Config, Http1, Message, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn is_data(message: &Message) -> bool {
    matches!(message, Message::Binary(_) | Message::Text(_))
}

async fn echo(stream: TcpStream) -> Result<()> {
    let server = WebSocketServer::<Http1>::new(Config::default());
    let (ws, _) = server.accept_raw(stream).await?;
    servers::echo(ws, is_data).await;
    Ok(())
}

/// Its server does not negotiate, but has what it takes.
async fn echo_compressed(mut stream: TcpStream) -> Result<()> {
    let mut head = BytesMut::with_capacity(4096);
    let (accept, deflate) = loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        if let Some((request, _)) = parse_request(&head)? {
            let offers = request.extensions.unwrap_or_default();
            let deflate = negotiate_server_deflate(offers, &DeflateConfig::default());
            break (generate_accept_key(request.key), deflate);
        }
    };
    let extensions = deflate.as_ref().map(|deflate| deflate.to_response_header());
    let response = build_response(&accept, None, extensions.as_deref());
    stream.write_all(&response).await?;
    if let Some(deflate) = deflate {
        let config = Config::default();
        let ws = CompressedWebSocketStream::server(stream, config, deflate.config);
        servers::echo(ws, is_data).await;
    }
    Ok(())
}

fn main() {
    let wants_deflate = servers::wants_deflate();
    servers::serve(move |stream| async move {
        let _ended = match wants_deflate {
            true => echo_compressed(stream).await,
            false => echo(stream).await,
        };
    });
}
