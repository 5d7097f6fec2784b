//! It has no handshake, so a small one is done here.

use std::error::Error;

use base64::Engine;
use sha1::Digest;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use web_socket::{DataType, Event, MessageType, WebSocket};

async fn echo(stream: TcpStream) -> Result<(), Box<dyn Error>> {
    let mut io = BufReader::new(stream);
    accept(&mut io).await?;
    let mut ws = WebSocket::server(io);
    loop {
        match ws.recv().await? {
            Event::Data {
                ty: DataType::Complete(MessageType::Text),
                data,
            } => ws.send(std::str::from_utf8(&data)?).await?,
            Event::Data { data, .. } => ws.send(&data[..]).await?,
            Event::Ping(payload) => ws.send_pong(payload).await?,
            Event::Pong(_) => {}
            _ => return Ok(()),
        }
    }
}

async fn accept(io: &mut BufReader<TcpStream>) -> Result<(), Box<dyn Error>> {
    let (mut line, mut sha1) = (String::new(), sha1::Sha1::new());
    while io.read_line(&mut line).await? > 2 {
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("sec-websocket-key") => {
                sha1.update(value.trim());
            }
            _ => {}
        }
        line.clear();
    }
    sha1.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = base64::engine::general_purpose::STANDARD.encode(sha1.finalize());
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    io.write_all(response.as_bytes()).await?;
    Ok(())
}

fn main() {
    servers::serve(async |stream| {
        let _ended = echo(stream).await;
    });
}
