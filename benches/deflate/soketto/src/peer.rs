//! soketto's server, over memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use soketto::connection::{Builder, Mode};
use soketto::extension::deflate::Deflate;
use soketto::extension::{Extension, Param};
use soketto::{Data, Receiver, Sender};

use crate::measure::Peer;
use crate::wire::{Wire, run, wait};

pub struct Soketto {
    sender: Sender<Wire>,
    receiver: Receiver<Wire>,
    message: Vec<u8>,
    wire: Wire,
}

impl Soketto {
    pub fn open(input: &Arc<[u8]>) -> Self {
        let wire = Wire::new(input);
        let mut deflate = Deflate::new(Mode::Server);
        let offer = ["server_no_context_takeover", "client_no_context_takeover"].map(Param::new);
        deflate.configure(&offer).expect("it agrees");
        // It is left out in silence otherwise.
        assert!(deflate.is_enabled());
        let mut builder = Builder::new(wire.clone(), Mode::Server);
        builder.add_extensions([Box::new(deflate) as Box<dyn Extension + Send>]);
        let (sender, receiver) = builder.finish();
        Self {
            sender,
            receiver,
            message: Vec::new(),
            wire,
        }
    }
}

impl Peer for Soketto {
    fn arrive(&mut self) {
        self.wire.arrive();
    }

    fn receive(&mut self, count: usize) -> usize {
        run(async {
            let mut bytes = 0;
            for _ in 0..count {
                // It appends, and then inflates all that is there.
                self.message.clear();
                match self.receiver.receive_data(&mut self.message).await {
                    // It leaves the check of UTF-8 to the caller.
                    Ok(Data::Text(_)) => {
                        bytes += str::from_utf8(&self.message).expect("text").len();
                    }
                    other => panic!("{other:?}"),
                }
            }
            bytes
        })
    }

    fn send(&mut self, messages: &[String]) {
        run(async {
            for message in messages {
                self.sender.send_text(message).await.expect("room");
                self.sender.flush().await.expect("room");
            }
        });
    }

    fn wait(&mut self) {
        self.message.clear();
        wait(self.receiver.receive_data(&mut self.message));
    }

    fn written(&self) -> usize {
        self.wire.written()
    }
}

impl futures_io::AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.read(buffer) {
            Some(count) => Poll::Ready(Ok(count)),
            None => Poll::Pending,
        }
    }
}

impl futures_io::AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.write(b)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
