//! A transport over memory that is always ready, with the traits of everybody.

use std::cell::Cell;
use std::io::{self, IoSlice, Read, Write};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::upgrade;

/// Most that one read gives, as from a socket.
const READ: usize = 64 * 1024;
/// What is written is copied into a ring of this size, as into a socket's buffer.
const RING: usize = 64 * 1024;
/// What is copied at once. For more glibc takes `rep movsb`, which on some processors is 25 times as
/// slow when target and source are less than 32 bytes apart, modulo 4 KiB.
const STEP: usize = 2048;
/// Enough for a handshake.
const SMALL_RING: usize = 4096;

thread_local! {
    static READS: Cell<u64> = const { Cell::new(0) };
    static WRITES: Cell<u64> = const { Cell::new(0) };
}

/// How often the thread has read and written.
pub fn calls() -> (u64, u64) {
    (READS.get(), WRITES.get())
}

/// What was written so far.
pub type Written = Arc<Mutex<Vec<u8>>>;

#[derive(Debug)]
pub struct MemIo {
    input: Arc<[u8]>,
    at: usize,
    /// The input starts again at its end.
    endless: bool,
    ring: Box<[u8]>,
    ring_at: usize,
    written: Option<Written>,
    /// The request so far, while a server's answer is to become the input.
    request: Option<Vec<u8>>,
    waiting: Option<Waker>,
}

impl MemIo {
    /// The input again and again.
    pub fn endless(input: &Arc<[u8]>) -> Self {
        Self {
            endless: true,
            ..Self::new(input, RING)
        }
    }

    /// The input once. Then it "would block".
    pub fn once(input: &Arc<[u8]>) -> Self {
        Self::new(input, SMALL_RING)
    }

    /// A server that answers the first request.
    pub fn server() -> Self {
        Self {
            request: Some(Vec::with_capacity(1024)),
            ..Self::new(&Arc::default(), SMALL_RING)
        }
    }

    fn new(input: &Arc<[u8]>, ring: usize) -> Self {
        Self {
            input: Arc::clone(input),
            at: 0,
            endless: false,
            ring: vec![0; ring].into_boxed_slice(),
            ring_at: 0,
            written: None,
            request: None,
            waiting: None,
        }
    }

    /// Keeps everything that is written.
    pub fn recorded(mut self) -> (Self, Written) {
        let written = Written::default();
        self.written = Some(Arc::clone(&written));
        (self, written)
    }

    /// Copies the next bytes to `buffer`. `None` is "would block".
    #[inline]
    pub fn read_into(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let taken = self.next_bytes(buffer.len())?;
        copy(&mut buffer[..taken.len()], taken);
        Some(taken.len())
    }

    #[inline]
    pub fn write_bytes(&mut self, bytes: &[u8]) -> usize {
        self.write_slices([bytes])
    }

    /// Writes all slices at once.
    #[inline]
    pub fn write_slices<'a>(&mut self, slices: impl IntoIterator<Item = &'a [u8]>) -> usize {
        WRITES.set(WRITES.get() + 1);
        let mut count = 0;
        for slice in slices {
            self.put(slice);
            count += slice.len();
        }
        count
    }

    #[inline]
    fn next_bytes(&mut self, most: usize) -> Option<&[u8]> {
        READS.set(READS.get() + 1);
        if self.at == self.input.len() {
            if !self.endless || self.input.is_empty() {
                return None;
            }
            self.at = 0;
        }
        let rest = &self.input[self.at..];
        let taken = &rest[..rest.len().min(most).min(READ)];
        self.at += taken.len();
        Some(taken)
    }

    #[inline]
    fn put(&mut self, mut bytes: &[u8]) {
        if self.written.is_some() || self.request.is_some() {
            self.look_at(bytes);
        }
        while !bytes.is_empty() {
            let room = &mut self.ring[self.ring_at..];
            let (front, rest) = bytes.split_at(bytes.len().min(room.len()));
            copy(&mut room[..front.len()], front);
            self.ring_at += front.len();
            if self.ring_at == self.ring.len() {
                self.ring_at = 0;
            }
            bytes = rest;
        }
    }

    #[cold]
    fn look_at(&mut self, bytes: &[u8]) {
        if let Some(written) = &self.written {
            written.lock().expect("no panic").extend_from_slice(bytes);
        }
        let Some(request) = &mut self.request else {
            return;
        };
        request.extend_from_slice(bytes);
        if request.ends_with(b"\r\n\r\n") {
            self.input = upgrade::respond(request).into();
            self.request = None;
            if let Some(waiting) = self.waiting.take() {
                waiting.wake();
            }
        }
    }
}

#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.chunks_mut(STEP).zip(from.chunks(STEP)) {
        to.copy_from_slice(from);
    }
}

/// Runs a future that has no reason to wait.
#[inline]
pub fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    // Handshakes through hyper wait for each other a few times.
    for _ in 0..10_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("it waits");
}

/// Whether a future waits when it is polled.
pub fn waits<F: Future>(future: F) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    pin!(future).poll(&mut context).is_pending()
}

impl Read for MemIo {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_into(buffer)
            .ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }
}

impl Write for MemIo {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.write_bytes(bytes))
    }

    #[inline]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(self.write_slices(slices.iter().map(|slice| &**slice)))
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl tokio::io::AsyncRead for MemIo {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.next_bytes(buffer.remaining()) {
            Some(taken) => {
                for step in taken.chunks(STEP) {
                    buffer.put_slice(step);
                }
                Poll::Ready(Ok(()))
            }
            None => {
                self.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl tokio::io::AsyncWrite for MemIo {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write_vectored(slices))
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        true
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl futures_io::AsyncRead for MemIo {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.read_into(buffer) {
            Some(count) => Poll::Ready(Ok(count)),
            None => Poll::Pending,
        }
    }
}

impl futures_io::AsyncWrite for MemIo {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write_vectored(slices))
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl wtx::stream::StreamReader for MemIo {
    #[inline]
    async fn read(&mut self, bytes: &mut [u8]) -> wtx::Result<usize> {
        match self.read_into(bytes) {
            Some(count) => Ok(count),
            None => std::future::pending().await,
        }
    }
}

impl wtx::stream::StreamWriter for MemIo {
    #[inline]
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        self.write_bytes(bytes);
        Ok(())
    }

    #[inline]
    async fn write_all_vectored(&mut self, bytes: &[&[u8]]) -> wtx::Result<()> {
        self.write_slices(bytes.iter().copied());
        Ok(())
    }
}
