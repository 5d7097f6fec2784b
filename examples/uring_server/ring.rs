//! What a server needs of io_uring, safe to call.
#![expect(
    unsafe_code,
    reason = "the kernel uses memory while the program goes on"
)]

use std::collections::HashMap;
use std::io;
use std::mem::ManuallyDrop;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr::null_mut;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;

/// Requests that wait for the next turn. More are handed over before.
const ENTRIES: u32 = 256;
/// More connections than that may have something to read; they come in turns.
const BUFFERS: u16 = 64;
const BUFFER_SIZE: u32 = 20 * 1024;
const GROUP: u16 = 0;
/// The id of what gives buffers back.
const PROVIDING: u64 = 0;

/// What the kernel can be asked for, with all that it needs: descriptors and bytes.
pub(crate) enum Operation {
    Accept(Rc<TcpListener>),
    Receive(Rc<TcpStream>),
    Send(Rc<TcpStream>, Bytes),
}

/// What came of it.
pub(crate) enum Done<'r> {
    Accepted(TcpStream),
    /// Nothing at the end of the stream.
    Received(&'r mut [u8]),
    /// All of them are in use, until what is complete was handled.
    NoBuffer,
    /// With the rest of the segment.
    Sent(Bytes),
    Failed,
}

/// What the kernel may be at work in is leaked if this is dropped: it takes a while to notice.
pub(crate) struct Ring {
    uring: IoUring,
    /// With their tokens. INVARIANT: they stay until they are complete.
    under_way: ManuallyDrop<HashMap<u64, (u64, Operation)>>,
    last_id: u64,
    /// `BUFFERS` times `BUFFER_SIZE` bytes, never freed. INVARIANT: nobody but the kernel uses them,
    /// except the one that `complete` lends.
    buffers: *mut u8,
}

impl Ring {
    pub(crate) fn new() -> io::Result<Self> {
        let bytes = vec![0; usize::from(BUFFERS) * BUFFER_SIZE as usize].leak();
        let mut ring = Self {
            uring: IoUring::new(ENTRIES)?,
            under_way: ManuallyDrop::default(),
            last_id: PROVIDING,
            buffers: bytes.as_mut_ptr(),
        };
        ring.provide(0, BUFFERS)?;
        Ok(ring)
    }

    /// Asks for it with the next `wait`. `complete` tells once what came of it.
    pub(crate) fn start(&mut self, token: u64, operation: Operation) -> io::Result<()> {
        let entry = match &operation {
            Operation::Accept(listener) => {
                let fd = Fd(listener.as_raw_fd());
                opcode::Accept::new(fd, null_mut(), null_mut()).build()
            }
            Operation::Receive(socket) => {
                let fd = Fd(socket.as_raw_fd());
                let receive = opcode::Recv::new(fd, null_mut(), BUFFER_SIZE);
                let flags = squeue::Flags::BUFFER_SELECT;
                receive.buf_group(GROUP).build().flags(flags)
            }
            Operation::Send(socket, segment) => {
                let fd = Fd(socket.as_raw_fd());
                let len = u32::try_from(segment.len()).unwrap_or(u32::MAX);
                opcode::Send::new(fd, segment.as_ptr(), len).build()
            }
        };
        self.last_id += 1;
        self.under_way.insert(self.last_id, (token, operation));
        // SAFETY: the entry points at most to the bytes of a segment. They do not move when it
        // does, nobody writes to them, and `under_way` keeps them until the completion.
        unsafe { self.push(&entry.user_data(self.last_id)) }
    }

    /// Hands everything to the kernel, and waits until something is complete, or time is up.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = Timespec::from(timeout.unwrap_or(Duration::from_secs(3600)));
        let args = SubmitArgs::new().timespec(&timeout);
        let result = self.uring.submitter().submit_with_args(1, &args);
        match result.as_ref().map_err(Errno::from_io_error) {
            // `BUSY` is a ring that has no room for more completions.
            Ok(_) | Err(Some(Errno::TIME | Errno::INTR | Errno::BUSY)) => Ok(()),
            Err(_) => result.map(drop),
        }
    }

    /// Lends what is complete next to `handle`, and returns its token.
    pub(crate) fn complete(
        &mut self,
        handle: impl FnOnce(u64, Done<'_>),
    ) -> io::Result<Option<u64>> {
        let (token, operation, entry) = loop {
            let Some(entry) = self.uring.completion().next() else {
                return Ok(None);
            };
            match self.under_way.remove(&entry.user_data()) {
                Some((token, operation)) => break (token, operation, entry),
                None if entry.result() >= 0 => {}
                // A buffer cannot be given back.
                None => return Err(Errno::from_raw_os_error(-entry.result()).into()),
            }
        };
        let buffer = cqueue::buffer_select(entry.flags());
        let count = usize::try_from(entry.result());
        let done = match (operation, count) {
            (Operation::Accept(_), Ok(_)) => {
                // SAFETY: the kernel has made this descriptor for us, and tells it once.
                Done::Accepted(unsafe { TcpStream::from_raw_fd(entry.result()) })
            }
            (Operation::Receive(_), Ok(len)) => Done::Received(match buffer {
                // SAFETY: the kernel names no other buffers than it was given, and has written
                // `len` bytes to this one. It is ours until it is provided below, where the slice
                // is no longer in use.
                Some(id) => unsafe { std::slice::from_raw_parts_mut(self.buffer(id), len) },
                None => &mut [],
            }),
            (Operation::Receive(_), Err(_)) if entry.result() == -Errno::NOBUFS.raw_os_error() => {
                Done::NoBuffer
            }
            (Operation::Send(_, mut segment), Ok(count)) => {
                segment.advance(count);
                Done::Sent(segment)
            }
            (_, Err(_)) => Done::Failed,
        };
        handle(token, done);
        if let Some(id) = buffer {
            self.provide(id, 1)?;
        }
        Ok(Some(token))
    }

    /// Gives buffers to the kernel.
    fn provide(&mut self, first: u16, count: u16) -> io::Result<()> {
        let (buffer, size) = (self.buffer(first), BUFFER_SIZE.cast_signed());
        let entry = opcode::ProvideBuffers::new(buffer, size, count, GROUP, first).build();
        // SAFETY: buffers are never freed, and nobody has a reference to these.
        unsafe { self.push(&entry.user_data(PROVIDING)) }
    }

    fn buffer(&self, id: u16) -> *mut u8 {
        self.buffers
            .wrapping_add(usize::from(id) * BUFFER_SIZE as usize)
    }

    /// # Safety
    ///
    /// What the entry points to is valid until it is complete.
    unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: as the caller promises.
        while unsafe { self.uring.submission().push(entry) }.is_err() {
            self.uring.submit()?;
        }
        Ok(())
    }
}
