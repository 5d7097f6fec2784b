//! `ws listen`: a server whose clients talk to stdin and stdout.

use std::io::{self, IsTerminal as _, stdin};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sockeye::{CloseCode, Prepared, SocketError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;

use crate::args::{Close, Patience};
use crate::exit::{Exit, Failure};
use crate::input::{self, Cut, Item};
use crate::output::{DIM, GREEN, Messages, note, report};
use crate::server;
use crate::session;
use crate::signals::Interrupts;

/// So many lines may wait for a client that is slow. It misses what is older.
const BACKLOG: usize = 1024;

/// So many messages wait for stdout, before the clients have to.
const UNWRITTEN: usize = 64;

/// How long after the end of stdin the one client of `--once` is listened to.
const WAIT: Duration = Duration::from_secs(1);

/// Is a server whose clients talk to stdin and stdout.
///
/// Every line of stdin goes to all clients. Their messages are written as lines with the number of the
/// client in front, binary ones as hex. With --once there is one client and no number, and it is as
/// with `ws connect`. The URL is told on stderr.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: server::Serve,
    /// Take one client, and end with it.
    #[arg(long)]
    once: bool,
    /// With --once: send stdin as one binary message.
    #[arg(long, requires = "once")]
    binary: bool,
    /// With --once: how long to wait for messages after the end of stdin, or 'forever'.
    #[arg(long, value_name = "SECS", value_parser = crate::args::patience, requires = "once")]
    wait: Option<Patience>,
    /// With --once: show pings, pongs and close codes on stderr.
    #[arg(short, long)]
    verbose: bool,
}

pub(crate) async fn run(options: Options) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::new()?;
    let (listener, url) = options.server.bind().await?;
    note(format_args!("{DIM}listening on{DIM:#} {url}"));
    match options.once {
        true => one(listener, &options, &mut interrupts).await,
        false => many(listener, options, &mut interrupts).await,
    }
}

async fn one(
    listener: TcpListener,
    options: &Options,
    interrupts: &mut Interrupts,
) -> Result<Exit, Failure> {
    let accept = async {
        loop {
            let (stream, peer) = server::next(&listener).await;
            match options
                .server
                .accept(stream, &options.server.config())
                .await
            {
                Ok(ws) => break ws,
                Err(error) => note(format_args!("{DIM}{peer}: {error}{DIM:#}")),
            }
        }
    };
    let ws = tokio::select! {
        ws = accept => ws,
        () = interrupts.asked() => return Ok(Exit::Success),
    };
    drop(listener);
    let wait = match stdin().is_terminal() {
        true => Duration::ZERO,
        false => WAIT,
    };
    let session = session::Options {
        cut: if options.binary {
            Cut::Whole
        } else {
            Cut::Lines
        },
        count: None,
        wait: options.wait.unwrap_or(Patience::For(wait)),
        close: Close::default(),
        verbose: options.verbose,
    };
    session::run(ws, session, interrupts).await
}

/// A message and the number of who sent it.
type Received = (u64, sockeye::Message<'static>);

async fn many(
    listener: TcpListener,
    options: Options,
    interrupts: &mut Interrupts,
) -> Result<Exit, Failure> {
    let options = Arc::new(options);
    let mut lines = input::read(Cut::Lines);
    let mut is_input = true;
    let (news, _) = broadcast::channel(BACKLOG);
    let (received, mut messages) = mpsc::channel(UNWRITTEN);
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    let mut output = Messages::new();
    let mut number = 0;
    let result = loop {
        tokio::select! {
            () = interrupts.asked() => break Ok(()),
            Some(message) = messages.recv() => {
                if let Err(error) = write(&mut output, message, &mut messages) {
                    break Err(error);
                }
            }
            line = lines.recv(), if is_input => match line.transpose() {
                // Without clients nobody hears it.
                Ok(Some(Item::Text(line))) => drop(news.send(Prepared::new(line))),
                Ok(Some(Item::Binary(_) | Item::Fragment(..))) => {}
                Ok(None) => is_input = false,
                // The clients are still listened to.
                Err(error) => report(&session::unreadable(error)),
            },
            Some(_ended) = clients.join_next() => {}
            (stream, peer) = server::next(&listener) => {
                number += 1;
                let client = Client {
                    number,
                    news: news.subscribe(),
                    messages: received.clone(),
                    stopped: stopped.clone(),
                };
                clients.spawn(client.run(stream, peer, Arc::clone(&options)));
            }
        }
    };
    drop(listener);
    stop.send_replace(true);
    // Clients that wait for stdout wait no more.
    drop(messages);
    while clients.join_next().await.is_some() {}
    match result {
        // A reader that has enough is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::from(error).while_doing("writing to stdout"))
        }
        _ => Ok(Exit::Success),
    }
}

/// Writes a message and those that wait behind it, before somebody waits to see them.
fn write(
    output: &mut Messages,
    (peer, message): Received,
    more: &mut mpsc::Receiver<Received>,
) -> io::Result<()> {
    output.message_of(peer, &message)?;
    for _ in 0..UNWRITTEN {
        let Ok((peer, message)) = more.try_recv() else {
            break;
        };
        output.message_of(peer, &message)?;
    }
    output.flush()
}

struct Client {
    number: u64,
    news: broadcast::Receiver<Prepared>,
    messages: mpsc::Sender<Received>,
    stopped: watch::Receiver<bool>,
}

impl Client {
    async fn run(self, stream: TcpStream, peer: SocketAddr, options: Arc<Options>) {
        let number = self.number;
        let told = match self.talk(stream, peer, &options).await {
            Ok(closed) => format!("closed with {}", closed.code()),
            Err(error) => error.to_string(),
        };
        note(format_args!("{GREEN}{number}:{GREEN:#} {DIM}{told}{DIM:#}"));
    }

    async fn talk(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        options: &Options,
    ) -> Result<sockeye::Closed, SocketError> {
        let Self {
            number,
            mut news,
            messages,
            mut stopped,
        } = self;
        let ws = options
            .server
            .accept(stream, &options.server.config())
            .await?;
        note(format_args!(
            "{GREEN}{number}:{GREEN:#} {DIM}connected from {peer}{DIM:#}"
        ));
        let (mut receiver, mut sender) = ws.split_with(TcpStream::into_split);
        let sending = async move {
            loop {
                tokio::select! {
                    () = server::ended(&mut stopped) => {
                        let _closing = sender.close(CloseCode::GOING_AWAY, "the server ends").await;
                        return;
                    }
                    line = news.recv() => match line {
                        Ok(line) => {
                            // The receiving side finds out why it failed.
                            let _sent = sender.send_prepared(&line).await;
                        }
                        Err(RecvError::Lagged(count)) => note(format_args!(
                            "{GREEN}{number}:{GREEN:#} {DIM}is slow and missed {count} lines{DIM:#}"
                        )),
                        Err(RecvError::Closed) => return,
                    }
                }
            }
        };
        let receiving = async move {
            while let Some(message) = receiver.recv().await? {
                // Nobody writes any more: the server ends.
                let _written = messages.send((number, message)).await;
            }
            Ok::<_, SocketError>(receiver.closed())
        };
        tokio::pin!(sending, receiving);
        let closed = tokio::select! {
            closed = &mut receiving => closed?,
            () = &mut sending => receiving.await?,
        };
        closed.ok_or_else(|| sockeye::Error::Eof.into())
    }
}
