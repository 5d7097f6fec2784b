//! WebSockets in axum, over HTTP/1.1 and HTTP/2, with a check of where pages come from.
//!
//! ```text
//! cargo run --example axum_server -- 127.0.0.1:9004
//! cargo run --example axum_server -- 127.0.0.1:9004 --tls
//! ```
//!
//! Then open <http://127.0.0.1:9004/>, or <https://127.0.0.1:9004/> with a certificate that nobody
//! knows. Over TLS browsers use HTTP/2, for the WebSocket too.
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Version;
use axum::response::{Html, Response};
use axum::routing::{any, get};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sockeye::handshake::{Acceptance, OriginPolicy, Scheme};
use sockeye::hyper::Upgraded;
use sockeye::tokio::TokioIo;
use sockeye::{Config, Deflate, SocketError, WebSocket};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>sockeye in axum</title>
<link rel="icon" href="data:,">
<form><input id="text" value="hello" autofocus><button id="send">send</button></form><ul id="echoes"></ul>
<script>
  const socket = new WebSocket(location.href.replace(/^http/, "ws") + "echo");
  const show = (text) => echoes.append(Object.assign(document.createElement("li"), { textContent: text }));
  socket.onmessage = ({ data }) => show(data);
  socket.onclose = ({ code }) => show(`closed with ${code}`);
  document.forms[0].onsubmit = (event) => { event.preventDefault(); socket.send(text.value); };
</script>"#;

type AnyError = Box<dyn core::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9004".into());
    let is_secure = arguments.next().is_some_and(|argument| argument == "--tls");
    let listener = TcpListener::bind(&address).await?;
    let address = listener.local_addr()?;
    if is_secure {
        let listener = TlsListener {
            listener,
            acceptor: acceptor()?,
        };
        println!("https://{address}/");
        axum::serve(listener, app(Scheme::Https)).await?;
    } else {
        println!("http://{address}/");
        axum::serve(listener, app(Scheme::Http)).await?;
    }
    Ok(())
}

/// The page, and the WebSocket that only it may open.
fn app(scheme: Scheme) -> Router {
    let policy = Arc::new(OriginPolicy::same_origin(scheme));
    Router::new()
        .route("/", get(async || Html(PAGE)))
        // Not `get`: over HTTP/2 the method is CONNECT.
        .route("/echo", any(echo))
        .with_state(policy)
}

async fn echo(State(policy): State<Arc<OriginPolicy>>, mut request: Request) -> Response {
    let config = Config::new().with_deflate(Deflate::server());
    let version = request.version();
    let protocol = request.extensions().get::<hyper::ext::Protocol>().cloned();
    sockeye::hyper::upgrade_extended(
        &mut request,
        protocol.as_ref().map(|protocol| protocol.as_str()),
        &config,
        |request| policy.check(request).map(|()| Acceptance::new()),
        async move |ws| {
            if let Err(error) = talk(ws, version).await {
                eprintln!("{error}");
            }
        },
    )
}

async fn talk(mut ws: WebSocket<TokioIo<Upgraded>>, version: Version) -> Result<(), SocketError> {
    ws.send(format!("over {version:?}")).await?;
    ws.serve(async |message, replies| replies.send(message).await)
        .await?;
    Ok(())
}

/// TLS with a certificate that is made up on the spot.
fn acceptor() -> Result<TlsAcceptor, AnyError> {
    let made = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::from(key))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, peer)) = self.listener.accept().await else {
                // Out of file descriptors, perhaps: some will be free soon.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            // One after the other, which is for an example only: a client that says nothing holds
            // up the next one.
            let accepting = self.acceptor.accept(stream);
            match tokio::time::timeout(Duration::from_secs(2), accepting).await {
                Ok(Ok(stream)) => return (stream, peer),
                Ok(Err(error)) => eprintln!("{peer}: {error}"),
                Err(_late) => {}
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
