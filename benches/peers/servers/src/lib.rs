//! What the echo servers share. Each is started as `NAME PORT [deflate] [batch]`.

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};

/// Whether compression is to be agreed on.
pub fn wants_deflate() -> bool {
    std::env::args().any(|arg| arg == "deflate")
}

/// Whether all that can be read at once is to be answered with one flush. Not every crate has the
/// means.
pub fn wants_batches() -> bool {
    std::env::args().any(|arg| arg == "batch")
}

/// Accepts connections, on one thread. Each is a task that `handle` makes.
pub fn serve<F: Future<Output = ()> + 'static>(handle: impl Fn(TcpStream) -> F) {
    let port = std::env::args().nth(1);
    let port: u16 = port.and_then(|port| port.parse().ok()).expect("a port");
    let runtime = Builder::new_current_thread().enable_all().build();
    let accept = async move {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = listener.expect("a free port");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("a TCP socket");
            spawn_local(handle(stream));
        }
    };
    runtime
        .expect("a runtime")
        .block_on(LocalSet::new().run_until(accept));
}

/// Sends every message back before the next one is received, which is the loop that everybody writes
/// first, or in batches.
pub async fn echo<S, M, E>(mut ws: S, is_data: impl Fn(&M) -> bool)
where
    S: Stream<Item = Result<M, E>> + Sink<M> + Unpin,
{
    if wants_batches() {
        return echo_batches(ws, is_data).await;
    }
    while let Some(Ok(message)) = ws.next().await {
        if is_data(&message) && ws.send(message).await.is_err() {
            return;
        }
    }
}

/// Sends back everything that can be received without waiting, and then flushes once.
async fn echo_batches<S, M, E>(mut ws: S, is_data: impl Fn(&M) -> bool)
where
    S: Stream<Item = Result<M, E>> + Sink<M> + Unpin,
{
    let mut next = ws.next().await;
    while let Some(Ok(message)) = next {
        if is_data(&message) && ws.feed(message).await.is_err() {
            return;
        }
        next = match ws.next().now_or_never() {
            Some(next) => next,
            None if ws.flush().await.is_err() => return,
            None => ws.next().await,
        };
    }
}
