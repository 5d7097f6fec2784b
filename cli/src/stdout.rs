//! Messages on stdout: as they are into pipes, and decorated on terminals.
//!
//! A thread of its own writes them: its reader may stall, and nothing else waits for that.

use std::fmt::{Arguments, Display};
use std::future::pending;
use std::io::{self, IsTerminal as _, Write as _};
use std::mem::take;
use std::thread;
use std::time::Duration;

use anstream::ColorChoice;
use anstyle::Style;
use sockeye::Message;
use tokio::sync::{mpsc, oneshot};

use crate::exit::{Exit, Failure};
use crate::output::{CYAN, DIM, GREEN, hex_preview, one_line, printable};
use crate::signals::Interrupts;

/// So much of a binary message is shown on a terminal.
const MAX_SHOWN: usize = 256;

/// When so much waits to be written, there is no room for another message.
const MOST: usize = 64 * 1024;

/// What was received before an interrupt has so long to be written.
const GRACE: Duration = Duration::from_secs(1);

/// Where messages go. Into a pipe they go as they are: text as a line, binary as its bytes. A terminal
/// gets binary as hex, and no control characters, with which a peer could do what it likes to it.
#[derive(Debug)]
pub(crate) struct Messages {
    waiting: Vec<u8>,
    writer: mpsc::Sender<Vec<u8>>,
    /// How the writer ended, until that was told.
    ended: Option<oneshot::Receiver<io::Result<()>>>,
    is_terminal: bool,
    is_colored: bool,
}

impl Messages {
    pub(crate) fn new() -> Self {
        let stdout = io::stdout();
        let (writer, batches) = mpsc::channel(1);
        let (tell, ended) = oneshot::channel();
        thread::spawn(move || {
            // Nobody wants to know any more.
            let _told = tell.send(write(batches));
        });
        Self {
            waiting: Vec::new(),
            writer,
            ended: Some(ended),
            is_terminal: stdout.is_terminal(),
            is_colored: anstream::AutoStream::choice(&stdout) != ColorChoice::Never,
        }
    }

    /// Whether another message may be added.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < MOST
    }

    /// Adds a message.
    pub(crate) fn message(&mut self, message: &Message<'_>) {
        match (message.as_text(), self.is_terminal) {
            (Some(text), false) => self.add(format_args!("{text}\n")),
            (Some(text), true) => {
                let (dim, end) = self.style(DIM);
                self.add(format_args!("{dim}<{end} {}\n", printable(text)));
            }
            (None, false) => self.waiting.extend_from_slice(message.as_bytes()),
            (None, true) => {
                let (dim, end) = self.style(DIM);
                let (cyan, end_cyan) = self.style(CYAN);
                let bytes = message.as_bytes();
                let hex = hex_preview(bytes, MAX_SHOWN);
                let count = bytes.len();
                self.add(format_args!(
                    "{dim}< binary, {count} bytes:{end} {cyan}{hex}{end_cyan}\n"
                ));
            }
        }
    }

    /// Adds a message of one peer among many as a line: also binary ones, as hex. What would end the
    /// line is escaped, or one peer could speak for another.
    pub(crate) fn message_of(&mut self, peer: u64, message: &Message<'_>) {
        let (green, end) = self.style(GREEN);
        self.add(format_args!("{green}{peer}:{end} "));
        match message.as_text() {
            Some(text) if self.is_terminal => self.add(format_args!("{}\n", printable(text))),
            Some(text) => self.add(format_args!("{}\n", one_line(text))),
            None => {
                let bytes = message.as_bytes();
                let most = if self.is_terminal {
                    MAX_SHOWN
                } else {
                    usize::MAX
                };
                let (cyan, end) = self.style(CYAN);
                let hex = hex_preview(bytes, most);
                let count = bytes.len();
                self.add(format_args!("binary, {count} bytes: {cyan}{hex}{end}\n"));
            }
        }
    }

    /// Hands what waits to the writer, as soon as that is done with what it has. An error if stdout
    /// failed, once. Cancel safe.
    pub(crate) async fn written(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            self.writer.closed().await;
        } else if let Ok(permit) = self.writer.reserve().await {
            permit.send(take(&mut self.waiting));
            return Ok(());
        }
        match self.ended.take() {
            Some(ended) => ended.await.unwrap_or(Ok(())),
            None => pending().await,
        }
    }

    /// Writes all that waits. After an interrupt a reader that stalls is not waited for any more.
    pub(crate) async fn finish(self, interrupts: &mut Interrupts) -> Result<(), Failure> {
        let Self {
            waiting,
            writer,
            ended,
            ..
        } = self;
        let Some(ended) = ended else {
            return Ok(()); // that it failed was told
        };
        let finished = async move {
            if !waiting.is_empty() {
                // Why it failed is told at the end.
                let _handed_over = writer.send(waiting).await;
            }
            drop(writer);
            ended.await.unwrap_or(Ok(()))
        };
        let patience = async {
            if !interrupts.were_asked() {
                interrupts.asked().await;
            }
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            biased;
            result = finished => result.or_else(unwritable),
            () = patience => Err(Failure::new(
                Exit::Transport,
                "nobody reads stdout: not all that was received is written",
            )),
        }
    }

    fn add(&mut self, what: Arguments<'_>) {
        // A `Vec` takes everything.
        let _written = self.waiting.write_fmt(what);
    }

    /// What begins and ends a style, where there are styles.
    fn style(&self, style: Style) -> (impl Display + use<>, impl Display + use<>) {
        let style = if self.is_colored { style } else { Style::new() };
        (style.render(), style.render_reset())
    }
}

/// What a failure to write means: a reader that has enough, such as `head`, is none.
pub(crate) fn unwritable(error: io::Error) -> Result<(), Failure> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::from(error).while_doing("writing to stdout")),
    }
}

fn write(mut batches: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    while let Some(batch) = batches.blocking_recv() {
        stdout.write_all(&batch)?;
        // Somebody waits to see it.
        stdout.flush()?;
    }
    Ok(())
}
