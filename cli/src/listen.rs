//! `ws listen`: a server whose clients talk to stdin and stdout.

use std::io::{self, IsTerminal as _, stdin};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sockeye::tokio::TokioIo;
use sockeye::{CloseCode, Message, Prepared, SendHalf, SocketError};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;

use crate::args::{Close, Patience};
use crate::exit::{Exit, Failure};
use crate::input::{self, Cut, Item};
use crate::output::{DIM, GREEN, note, report};
use crate::server;
use crate::session;
use crate::signals::Interrupts;
use crate::stdout::{Messages, unwritable};

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
    // All at the same time: who connects and says nothing does not keep the others out.
    let mut asking = JoinSet::new();
    let config = options.server.config();
    let ws = loop {
        let (peer, asked) = tokio::select! {
            () = interrupts.asked() => return Ok(Exit::Interrupted),
            (stream, peer) = server::next(&listener) => {
                let config = config.clone();
                asking.spawn(async move { (peer, server::asked(stream, &config).await) });
                continue;
            }
            Some(Ok(asked)) = asking.join_next() => asked,
        };
        let accepted = async { options.server.answer(asked?).await };
        match accepted.await {
            Ok(ws) => break ws,
            Err(error) => note(format_args!("{DIM}{peer}: {error}{DIM:#}")),
        }
    };
    drop(asking);
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
            written = output.written() => if let Err(error) = written {
                break unwritable(error);
            },
            Some((number, message)) = messages.recv(), if output.has_room() => {
                output.message_of(number, &message);
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
    while output.has_room()
        && let Ok((number, message)) = messages.try_recv()
    {
        output.message_of(number, &message);
    }
    // Clients that wait for stdout wait no more.
    drop(messages);
    let all_ended = async { while clients.join_next().await.is_some() {} };
    let ((), written) = tokio::join!(all_ended, output.finish(interrupts));
    result.and(written).map(|()| Exit::Success)
}

struct Client {
    number: u64,
    news: broadcast::Receiver<Prepared>,
    /// To stdout, with the number.
    messages: mpsc::Sender<(u64, Message<'static>)>,
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
        let config = options.server.config();
        let ws = tokio::select! {
            ws = options.server.accept(stream, &config) => ws?,
            () = server::ended(&mut stopped) => {
                return Err(io::Error::from(io::ErrorKind::Interrupted).into());
            }
        };
        note(format_args!(
            "{GREEN}{number}:{GREEN:#} {DIM}connected from {peer}{DIM:#}"
        ));
        let (mut receiver, mut sender) = ws.split_with(TcpStream::into_split);
        let sending = async move {
            tokio::select! {
                // A line that the client does not take ends here: closing has a deadline.
                () = server::ended(&mut stopped) => {}
                () = send_all(number, &mut sender, &mut news) => return,
            }
            let _closing = sender.close(CloseCode::GOING_AWAY, "the server ends").await;
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

/// Sends a client every line, until there are no more.
async fn send_all(
    number: u64,
    sender: &mut SendHalf<TokioIo<OwnedWriteHalf>>,
    news: &mut broadcast::Receiver<Prepared>,
) {
    loop {
        match news.recv().await {
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
