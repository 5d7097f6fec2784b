//! A client that stays connected: TLS, compression, pings, and another attempt when the connection is
//! lost.
//!
//! ```sh
//! cargo run --example wss_client -- wss://echo.websocket.org/
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use sockeye::handshake::ClientRequest;
use sockeye::reconnect::Update;
use sockeye::{Config, Deflate, Role, Timeouts};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::args().nth(1).expect("a URL");
    let config = Config::new()
        .with_timeouts(Timeouts::suggested(Role::Client))
        .with_deflate(Deflate::client());
    let mut client = sockeye::tokio::reconnect(&config, move || {
        let request = ClientRequest::new(&url);
        async { Ok(request?) }
    });
    while let Some(update) = client.recv().await {
        // An attempt, a connection, a message, an end with what is next.
        println!("{update:?}");
        if let Update::Connected(_) = update {
            drop(client.send("hello").await); // a server that hangs up at once is news for `recv`
        }
    }
}
