use tokio::net::TcpStream;
use wtx::collection::Vector;
use wtx::rng::Xorshift64;
use wtx::web_socket::WebSocketPayloadOrigin::Adaptive;
use wtx::web_socket::compression::{Flate2, NegotiatedCompression};
use wtx::web_socket::{OpCode, WebSocketAcceptor, WebSocketBuffer, WebSocketOwned};

type Server<N> = WebSocketOwned<N, Xorshift64, TcpStream, false>;

async fn echo<N: NegotiatedCompression>(mut ws: Server<N>) -> wtx::Result<()> {
    let (mut common, mut reader, mut writer) = ws.split_mut();
    let mut buffer = Vector::new();
    loop {
        buffer.clear();
        let mut frame = reader
            .read_frame(&mut buffer, &mut common, Adaptive)
            .await?;
        match frame.op_code() {
            OpCode::Binary | OpCode::Text => writer.write_frame(&mut common, &mut frame).await?,
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}

async fn serve(stream: TcpStream, wants_deflate: bool) -> wtx::Result<()> {
    let acceptor = WebSocketAcceptor::default().wsb(WebSocketBuffer::new());
    match wants_deflate {
        true => {
            echo(
                acceptor
                    .compression(Flate2::default())
                    .accept(stream)
                    .await?,
            )
            .await
        }
        false => echo(acceptor.accept(stream).await?).await,
    }
}

fn main() {
    let wants_deflate = servers::wants_deflate();
    servers::serve(move |stream| async move {
        let _ended = serve(stream, wants_deflate).await;
    });
}
