//! WebSockets over HTTP/2 (RFC 8441), with the `h2` crate on both sides.
//!
//! ```text
//! cargo run --example h2_echo                                  server and client
//! cargo run --example h2_echo -- serve 127.0.0.1:9003          a server
//! cargo run --example h2_echo -- connect ws://127.0.0.1:9003/  a client
//! ```
//!
//! It is HTTP/2 without TLS, by prior knowledge. Many WebSockets share one TCP connection: the client
//! opens three.
#![expect(clippy::print_stdout, reason = "a command line tool reports there")]

use core::error::Error;
use core::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, ext::Protocol};
use sockeye::handshake::{Acceptance, ClientOffer, ClientRequest, OriginPolicy, Request, Scheme};
use sockeye::tokio::TokioIo;
use sockeye::{CloseCode, Config, Connection, Deflate, RandomKeys, WebSocket, WriteIo};
use tokio::net::{TcpListener, TcpStream};

use stream::H2Stream;

#[path = "h2/stream.rs"]
mod stream;

type AnyError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let url = format!("ws://{}/", listener.local_addr()?);
            tokio::spawn(serve(listener));
            connect(&url).await
        }
        ["serve", address] => serve(TcpListener::bind(address).await?).await,
        ["connect", url] => connect(url).await,
        _ => Err("usage: h2_echo [serve ADDRESS | connect URL]".into()),
    }
}

// ---- the server ----

async fn serve(listener: TcpListener) -> Result<(), AnyError> {
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Out of file descriptors, perhaps: some will be free soon.
            Err(error) => {
                eprintln!("cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        tokio::spawn(async move {
            if let Err(error) = serve_connection(stream).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn serve_connection(stream: TcpStream) -> Result<(), AnyError> {
    stream.set_nodelay(true)?;
    // Without this setting no client asks (RFC 8441 section 3).
    let mut http = h2::server::Builder::new()
        .enable_connect_protocol()
        .handshake(stream)
        .await?;
    while let Some(request) = http.accept().await {
        let (request, respond) = request?;
        tokio::spawn(async move {
            if let Err(error) = answer(request, respond).await {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

async fn answer(
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), AnyError> {
    let config = Config::new().with_deflate(Deflate::server());
    let protocol = request.extensions().get::<Protocol>();
    let read = Request::from_http_extended(&request, protocol.map(Protocol::as_str), &config);
    let decided = match read {
        Ok(read) => match OriginPolicy::same_origin(Scheme::Http).check(&read) {
            Ok(()) => Ok(Acceptance::new().answer(&read, &config)?),
            Err(refusal) => Err(refusal.answer(&read)?),
        },
        Err(invalid) => Err(invalid.into_answer()),
    };
    match decided {
        Ok((answer, negotiated)) => {
            let head = http::Response::<Bytes>::try_from(answer)?.map(drop);
            let send = respond.send_response(head, false)?;
            let io = TokioIo::new(H2Stream::new(send, request.into_body()));
            let connection = Connection::server(&config, negotiated, io.now());
            let mut ws = WebSocket::new(io, connection, &[]);
            ws.serve(async |message, replies| replies.send(message).await)
                .await?;
        }
        Err(answer) => {
            let (head, body) = http::Response::<Bytes>::try_from(answer)?.into_parts();
            let head = http::Response::from_parts(head, ());
            respond.send_response(head, false)?.send_data(body, true)?;
        }
    }
    Ok(())
}

// ---- the client ----

async fn connect(url: &str) -> Result<(), AnyError> {
    let request = ClientRequest::new(url)?;
    let address = (request.url().host(), request.url().port());
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (client, mut http) = h2::client::handshake(stream).await?;
    // The server's settings have to be here before anybody asks: they come with its first frame, and
    // whoever answers a ping has sent them.
    let mut ping = http.ping_pong().ok_or("nobody else pings")?;
    tokio::spawn(http);
    ping.ping(h2::Ping::opaque()).await?;

    let config = Config::new().with_deflate(Deflate::client());
    for name in ["first", "second", "third"] {
        let mut ws = open(client.clone(), &request, &config).await?;
        ws.send(format!("hello from the {name}")).await?;
        if let Some(echo) = ws.recv().await? {
            println!("{}", echo.as_text().unwrap_or("(binary)"));
        }
        ws.close(CloseCode::NORMAL, "").await?;
    }
    Ok(())
}

/// Opens a WebSocket on a connection that may have others.
async fn open(
    client: h2::client::SendRequest<Bytes>,
    request: &ClientRequest,
    config: &Config,
) -> Result<WebSocket<TokioIo<H2Stream>>, AnyError> {
    let mut client = client.ready().await?;
    let is_allowed = client.is_extended_connect_protocol_enabled();
    let offer = ClientOffer::extended(config, request, is_allowed)?;
    let mut request = offer.http_request()?;
    request
        .extensions_mut()
        .insert(Protocol::from_static("websocket"));
    let (response, send) = client.send_request(request, false)?;
    let response = response.await?;
    let accepted = offer.check_http(&response)?;
    let io = TokioIo::new(H2Stream::new(send, response.into_body()));
    let keys = RandomKeys::new();
    let connection = Connection::client(config, accepted.negotiated, keys, io.now());
    Ok(WebSocket::new(io, connection, &[]))
}
