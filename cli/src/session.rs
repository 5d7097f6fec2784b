//! One connection that talks to stdin and stdout.

use std::io;
use std::sync::Arc;

use sockeye::tokio::TokioIo;
use sockeye::{
    CloseCode, CloseFrame, Closed, Event, Initiator, Kind, Observer, Rtt, SendHalf, SocketError,
    WebSocket,
};
use tokio::io::{AsyncRead, AsyncWrite, WriteHalf};
use tokio::sync::{Notify, mpsc};

use crate::args::{Close, Patience};
use crate::exit::{Exit, Failure, meaning};
use crate::input::{self, Cut, Item};
use crate::output::{DIM, hex_preview, note, printable};
use crate::signals::Interrupts;
use crate::stdout::{Messages, unwritable};

/// How a conversation goes, and when it ends.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) cut: Cut,
    /// Close after so many messages.
    pub(crate) count: Option<u64>,
    /// How long to wait for messages once stdin has ended.
    pub(crate) wait: Patience,
    pub(crate) close: Close,
    pub(crate) verbose: bool,
}

/// Sends what comes from stdin and writes what is received to stdout, until one side closes.
pub(crate) async fn run<S>(
    mut ws: WebSocket<TokioIo<S>>,
    options: Options,
    interrupts: &mut Interrupts,
) -> Result<Exit, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if options.verbose {
        ws.set_observer(Arc::new(Narrator));
    }
    let mut left = options.count;
    let (mut receiver, sender) = ws.split();
    // Two tasks: a peer that sends before it takes more must not wait for one that does the same.
    let stop = Arc::new(Notify::new());
    let sending = tokio::spawn(send(sender, options, Arc::clone(&stop)));

    let mut output = Messages::new();
    // Nothing more is to be written.
    let mut is_done = false;
    let ended = loop {
        tokio::select! {
            biased;
            () = interrupts.asked() => stop.notify_one(),
            written = output.written() => if let Err(error) = written {
                unwritable(error)?;
                is_done = true;
                stop.notify_one();
            },
            // What comes until the other side closes as well is not worth waiting for.
            message = receiver.recv(), if output.has_room() || is_done || interrupts.were_asked() => {
                match message {
                    Ok(Some(message)) if is_done || !output.has_room() => drop(message),
                    Ok(Some(message)) => {
                        output.message(&message);
                        left = left.map(|left| left.saturating_sub(1));
                        if left == Some(0) {
                            is_done = true;
                            stop.notify_one();
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            }
        }
    };
    let written = output.finish(interrupts).await;
    ended?;
    written?;
    stop.notify_one();
    if let Ok(result) = sending.await {
        result?;
    }
    receiver
        .closed()
        .map_or(Ok(Exit::Success), |closed| outcome(&closed))
}

/// What a closed connection means for the exit code.
pub(crate) fn outcome(closed: &Closed) -> Result<Exit, Failure> {
    let code = closed.code();
    let is_reply = closed.initiator == Initiator::Local && closed.sent == Some(code);
    match code {
        CloseCode::NORMAL | CloseCode::GOING_AWAY | CloseCode::NO_STATUS => Ok(Exit::Success),
        _ if is_reply => Ok(Exit::Success),
        code => Err(Failure::closed(code, closed.reason())),
    }
}

/// Sends what comes from stdin, and then closes: when that ended and the wait after it, or when asked
/// to. What becomes of the connection is the receiving side's business.
async fn send<S>(
    mut sender: SendHalf<TokioIo<WriteHalf<S>>>,
    options: Options,
    stop: Arc<Notify>,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let result = tokio::select! {
        result = send_all(&mut sender, input::read(options.cut)) => match result {
            Ok(()) => {
                let Options { wait, .. } = options;
                let waiting = async move {
                    match wait {
                        Patience::For(time) => tokio::time::sleep(time).await,
                        Patience::Forever => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = waiting => {}
                    () = stop.notified() => {}
                }
                Ok(())
            }
            Err(failure) => Err(failure),
        },
        () = stop.notified() => Ok(()),
    };
    let Close { code, reason } = options.close;
    let _closing = sender.close(code, &reason).await;
    result
}

/// Sends all of stdin. The failures of the connection are not told here.
async fn send_all<S>(
    sender: &mut SendHalf<TokioIo<WriteHalf<S>>>,
    mut items: mpsc::Receiver<io::Result<Item>>,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    while let Some(item) = items.recv().await {
        let sent: Result<(), SocketError> = match item.map_err(unreadable)? {
            Item::Text(text) => sender.send(text).await,
            Item::Binary(bytes) => sender.send(bytes).await,
            Item::Fragment(bytes, last) => sender.send_fragment(Kind::Binary, bytes, last).await,
        };
        if sent.is_err() {
            // The receiving side finds out why.
            return std::future::pending().await;
        }
    }
    Ok(())
}

pub(crate) fn unreadable(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::InvalidData => {
            Failure::usage("a line of stdin is not UTF-8").with_hint("--binary sends any bytes")
        }
        _ => Failure::usage(format!("cannot read stdin: {error}")),
    }
}

/// Tells on stderr what happens on a connection beside messages.
#[derive(Debug)]
pub(crate) struct Narrator;

impl Observer for Narrator {
    fn received(&self, event: &Event<'_>) {
        let (name, payload) = match event {
            Event::Ping(payload) => ("ping", payload),
            Event::Pong(payload) => ("pong", payload),
            Event::Close(frame) => return tell(format_args!("received close {}", describe(frame))),
            _ => return,
        };
        match &payload[..] {
            [] => tell(format_args!("received {name}")),
            bytes => tell(format_args!("received {name} {}", hex_preview(bytes, 16))),
        }
    }

    fn measured(&self, rtt: Rtt) {
        tell(format_args!(
            "round trip {:.1?}, smoothed {:.1?}, least {:.1?}",
            rtt.last, rtt.smoothed, rtt.min
        ));
    }

    fn closed(&self, closed: &Closed) {
        let who = match closed.initiator {
            Initiator::Local => "this side",
            Initiator::Peer => "the peer",
        };
        let sent = closed
            .sent
            .map_or_else(|| "nothing".into(), |code| code.to_string());
        let received = match &closed.received {
            Some(frame) => frame.code().to_string(),
            None => "nothing".into(),
        };
        let clean = if closed.clean { "clean" } else { "not clean" };
        tell(format_args!(
            "closed by {who}, {clean}: sent {sent}, received {received}"
        ));
    }
}

fn describe(frame: &CloseFrame) -> String {
    let meaning = meaning(frame.code()).unwrap_or("unknown");
    match frame.reason() {
        "" => format!("{} ({meaning})", frame.code()),
        reason => format!("{} ({meaning}): {}", frame.code(), printable(reason)),
    }
}

fn tell(what: std::fmt::Arguments<'_>) {
    note(format_args!("{DIM}* {what}{DIM:#}"));
}
