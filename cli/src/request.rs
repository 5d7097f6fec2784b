//! What a client asks a server for, from the command line.

use std::time::Duration;

use sockeye::handshake::{ClientHandshake, ClientRequest, Response};
use sockeye::{Config, Deflate, Instant, Timeouts};

use crate::args::{self, MaxMessage};
use crate::exit::Failure;
use crate::output::{CYAN, DIM, HIDDEN, note, printable, without_userinfo};

/// How long a peer that was asked for a sign of life has for it.
const PONG_TIMEOUT: Duration = Duration::from_secs(20);

/// A server, and what to tell it in the opening handshake.
#[derive(Debug, clap::Args)]
pub(crate) struct Handshake {
    /// The server, as ws://host:port/path, wss:// or ws+unix:. Without a scheme it is ws://.
    url: String,
    /// A header for the request, as 'NAME: VALUE'. May be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// A subprotocol to offer. May be repeated; the first one is the favourite.
    #[arg(long = "subprotocol", value_name = "NAME")]
    subprotocols: Vec<String>,
    /// The Origin of the request, as a browser would send it.
    #[arg(long)]
    origin: Option<String>,
    /// A user name and password for Basic authentication.
    #[arg(long, value_name = "USER:PASS", value_parser = credentials)]
    user: Option<(String, String)>,
    /// Offer permessage-deflate.
    #[arg(long)]
    compress: bool,
    /// How long connecting may take, opening handshake included.
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = args::interval)]
    connect_timeout: Duration,
    #[command(flatten)]
    max_message: MaxMessage,
}

impl Handshake {
    pub(crate) fn request(&self) -> Result<ClientRequest, Failure> {
        let url = match self.url.contains("://") || self.url.contains("+unix:") {
            true => self.url.clone(),
            false => format!("ws://{}", self.url),
        };
        let mut request = ClientRequest::new(&url)
            .map_err(|error| Failure::from(error).while_doing(without_userinfo(&self.url)))?;
        for (name, value) in &self.headers {
            request = request.with_header(name, value);
        }
        for name in &self.subprotocols {
            request = request.with_subprotocol(name);
        }
        if let Some(origin) = &self.origin {
            request = request.with_origin(origin);
        }
        if let Some((user, password)) = &self.user {
            request = request.with_basic_auth(user, password);
        }
        // What cannot be sent is told before anything is.
        ClientHandshake::new(&Config::new(), &request, [0; 16], Instant::from_nanos(0))?;
        Ok(request)
    }

    /// The settings of a connection, with pings if there is an interval.
    pub(crate) fn config(&self, ping: Option<Duration>) -> Config {
        let timeouts = Timeouts::new()
            .with_handshake(Some(self.connect_timeout))
            .with_ping(ping)
            .with_pong(ping.map(|_| PONG_TIMEOUT));
        Config::new()
            .with_timeouts(timeouts)
            .with_limits(self.max_message.limits())
            .with_deflate(self.compress.then(Deflate::client))
    }

    /// The server, as it was given.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// Shows the request that is about to be sent. All of it but the key, which is made later, and
/// secrets.
pub(crate) fn show_request(request: &ClientRequest, config: &Config) {
    let now = Instant::from_nanos(0);
    let Ok(mut handshake) = ClientHandshake::new(config, request, [0; 16], now) else {
        return; // told when it is sent
    };
    let Some(head) = handshake.poll_transmit() else {
        return;
    };
    for line in String::from_utf8_lossy(head).lines() {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        if name.eq_ignore_ascii_case("Sec-WebSocket-Key") {
            show_line('>', name, "(16 random bytes)");
        } else {
            show_line('>', name, value);
        }
    }
}

/// Headers that let who knows them be somebody else.
const SECRETS: [&str; 4] = [
    "Authorization",
    "Cookie",
    "Proxy-Authorization",
    "Set-Cookie",
];

/// Shows a server's answer, with what it says if it refuses.
pub(crate) fn show_response(response: &Response) {
    show_line(
        '<',
        &format!("HTTP/1.1 {} {}", response.status(), response.reason()),
        "",
    );
    for (name, value) in response.headers() {
        show_line('<', name, &String::from_utf8_lossy(value));
    }
    for line in String::from_utf8_lossy(response.body()).lines() {
        show_line('<', line, "");
    }
}

fn show_line(direction: char, name: &str, value: &str) {
    match (name, value) {
        ("", "") => {}
        (line, "") => note(format_args!("{DIM}{direction}{DIM:#} {}", printable(line))),
        (name, value) => {
            let is_secret = |secret: &&str| name.eq_ignore_ascii_case(secret);
            let value = if SECRETS.iter().any(is_secret) {
                HIDDEN
            } else {
                value
            };
            note(format_args!(
                "{DIM}{direction}{DIM:#} {CYAN}{}:{CYAN:#} {}",
                printable(name),
                printable(value)
            ));
        }
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is as 'NAME: VALUE'")?;
    Ok((name.trim().into(), value.trim().into()))
}

/// Without a colon there is no password.
fn credentials(text: &str) -> Result<(String, String), String> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    Ok((user.into(), password.into()))
}
