//! A client on each adapter.

use std::future::{Future, ready};

use sockeye::backoff::Backoff;
use sockeye::handshake::ClientRequest;
use sockeye::reconnect::Update;
use sockeye::{CloseCode, Connector, ReadIo, SocketError, WebSocket, WriteIo, blocking};

pub(crate) trait Client: 'static {
    /// Connects, expects an echo, and closes.
    fn visit(connector: &Connector, request: &ClientRequest) -> Result<(), SocketError>;

    /// What happens to a client that connects again, up to the end.
    fn updates(connector: &Connector, url: &str) -> Vec<Update>;

    fn visit_url(connector: &Connector, url: &str) -> Result<(), SocketError> {
        Self::visit(connector, &ClientRequest::new(url)?)
    }
}

pub(crate) struct Tokio;
pub(crate) struct Futures;
pub(crate) struct Blocking;

async fn visit<I: ReadIo + WriteIo>(mut ws: WebSocket<I>) -> Result<(), SocketError> {
    ws.send("hello").await?;
    assert_eq!(ws.recv().await?.unwrap().as_text(), Some("hello"));
    assert!(ws.close(CloseCode::NORMAL, "").await?.clean);
    Ok(())
}

fn run_tokio<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

macro_rules! asynchronous {
    ($name:ident, $module:ident, $run:path) => {
        impl Client for $name {
            fn visit(connector: &Connector, request: &ClientRequest) -> Result<(), SocketError> {
                $run(async {
                    let (ws, _) = sockeye::$module::connect_through(connector, request).await?;
                    visit(ws).await
                })
            }

            fn updates(connector: &Connector, url: &str) -> Vec<Update> {
                let request = ClientRequest::new(url).unwrap();
                $run(async {
                    let mut client = sockeye::$module::reconnect_through(connector, move || {
                        ready(Ok(request.clone()))
                    })
                    .with_backoff(hasty());
                    let mut updates = Vec::new();
                    while let Some(update) = client.recv().await {
                        updates.push(update);
                    }
                    updates
                })
            }
        }
    };
}

asynchronous!(Tokio, tokio, run_tokio);
asynchronous!(Futures, futures, smol::block_on);

impl Client for Blocking {
    fn visit(connector: &Connector, request: &ClientRequest) -> Result<(), SocketError> {
        let (mut ws, _) = blocking::connect_through(connector, request)?;
        ws.send("hello")?;
        assert_eq!(ws.recv()?.unwrap().as_text(), Some("hello"));
        assert!(ws.close(CloseCode::NORMAL, "")?.clean);
        Ok(())
    }

    fn updates(connector: &Connector, url: &str) -> Vec<Update> {
        let request = ClientRequest::new(url).unwrap();
        let client = blocking::reconnect_through(connector, move || Ok(request.clone()));
        client.with_backoff(hasty()).collect()
    }
}

fn hasty() -> Backoff {
    Backoff::new()
        .with_first(std::time::Duration::from_millis(1))
        .with_max_retries(Some(2))
}
