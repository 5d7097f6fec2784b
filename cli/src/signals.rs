//! Ctrl-C and SIGTERM.

use std::io;

use crate::exit::Exit;

/// Waits for the first signal that asks the program to end. The second one ends it at once, whatever
/// it is doing.
pub(crate) struct Interrupts(tokio::sync::oneshot::Receiver<()>);

impl Interrupts {
    /// From now on signals do not end the program by themselves.
    pub(crate) fn new() -> io::Result<Self> {
        let (first, asked) = tokio::sync::oneshot::channel();
        let mut signals = Signals::new()?;
        tokio::spawn(async move {
            signals.next().await;
            // Nobody waits if the program is about to end anyway.
            let _told = first.send(());
            signals.next().await;
            std::process::exit(Exit::Interrupted as i32);
        });
        Ok(Self(asked))
    }

    /// Whether [`asked`](Self::asked) was ready.
    pub(crate) fn were_asked(&self) -> bool {
        self.0.is_terminated()
    }

    /// Ready once. Cancel safe.
    pub(crate) async fn asked(&mut self) {
        if self.were_asked() {
            return std::future::pending().await;
        }
        let _asked = (&mut self.0).await;
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
