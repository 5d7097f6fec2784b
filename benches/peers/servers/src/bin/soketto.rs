//! In the buffers of its own example, and with its validation.

use std::error::Error;

use futures_util::io::{BufReader, BufWriter};
use soketto::Data;
use soketto::handshake::{Server, server::Response};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncReadCompatExt;

async fn echo(stream: TcpStream) -> Result<(), Box<dyn Error>> {
    let writer = BufWriter::with_capacity(16 * 1024, stream.compat());
    let mut server = Server::new(BufReader::with_capacity(8 * 1024, writer));
    let key = server.receive_request().await?.key();
    let response = Response::Accept {
        key,
        protocol: None,
    };
    server.send_response(&response).await?;
    let (mut sender, mut receiver) = server.into_builder().finish();
    let mut message = Vec::new();
    loop {
        message.clear();
        match receiver.receive_data(&mut message).await? {
            Data::Binary(_) => sender.send_binary_mut(&mut message).await?,
            Data::Text(_) => sender.send_text(std::str::from_utf8(&message)?).await?,
        }
        sender.flush().await?;
    }
}

fn main() {
    servers::serve(async |stream| {
        let _ended = echo(stream).await;
    });
}
