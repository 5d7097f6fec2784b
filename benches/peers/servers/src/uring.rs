//! What an echo server needs of io_uring, safe to call: everything that the kernel may touch belongs
//! to the ring, and the ring lives as long as the process.
//!
//! Buffers to receive into are the kernel's until it has put something in, then the caller's as a
//! [`Lent`] until they are given back. Segments to send are kept until the kernel is done with them.

use std::collections::HashMap;
use std::io;
use std::mem::ManuallyDrop;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use io_uring::types::{BufRingEntry, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

/// Requests that wait for the next turn.
const ENTRIES: u32 = 1024;
/// A power of two. More connections than that may have something to read; they come in turns.
const BUFFERS: u16 = 256;
/// So many are the kernel's at first: what it fills is to be in the cache when it is read.
const FEW: u16 = 16;
/// More buffers make sense as long as a turn fills less than this, fewer when it fills more.
const TURN_SIZE: usize = 256 * 1024;
const BUFFER_SIZE: usize = 20 * 1024;
const GROUP: u16 = 0;
/// Of one send. More segments wait for the next.
const MAX_SEGMENTS: usize = 16;

pub struct Ring {
    /// Never dropped: the kernel may still be at work in what belongs to it.
    uring: ManuallyDrop<IoUring>,
    buffers: Buffers,
    sends: HashMap<u64, ManuallyDrop<Box<Send>>>,
}

/// What has happened. Tokens are the caller's, below 2^62.
pub enum Completion {
    Accepted(TcpStream),
    /// `more` is whether it goes on by itself. An empty buffer is the end of the stream, no buffer a
    /// failure, unless it `is_busy`: all buffers were in use, or it was cancelled.
    Received {
        token: u64,
        lent: Option<Lent>,
        is_busy: bool,
        more: bool,
    },
    /// All of it, or it failed.
    Sent {
        token: u64,
        is_ok: bool,
    },
}

/// A buffer with received bytes.
pub struct Lent {
    id: u16,
    len: usize,
}

#[derive(Clone, Copy)]
enum Kind {
    Accept,
    Receive,
    Send,
    Cancel,
}

impl Kind {
    const fn user_data(self, token: u64) -> u64 {
        token << 2 | self as u64
    }

    fn of(user_data: u64) -> Self {
        [Self::Accept, Self::Receive, Self::Send, Self::Cancel][(user_data & 3) as usize]
    }
}

impl Ring {
    /// # Panics
    /// At the second call: what one ring has lent must not be given to another.
    pub fn new() -> io::Result<Self> {
        static IS_MADE: AtomicBool = AtomicBool::new(false);

        assert!(!IS_MADE.swap(true, Ordering::Relaxed), "there is a ring");
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_cqsize(4 * ENTRIES)
            .build(ENTRIES)?;
        let buffers = Buffers::new(&uring)?;
        Ok(Self {
            uring: ManuallyDrop::new(uring),
            buffers,
            sends: HashMap::new(),
        })
    }

    /// Accepts connections from now on.
    pub fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        let entry = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build();
        // SAFETY: no memory is involved.
        unsafe { self.push(&entry.user_data(Kind::Accept.user_data(0))) }
    }

    /// Receives into the ring's buffers until it is cancelled, ends or fails.
    pub fn receive(&mut self, token: u64, socket: &TcpStream) -> io::Result<()> {
        let entry = opcode::RecvMulti::new(Fd(socket.as_raw_fd()), GROUP).build();
        // SAFETY: the buffers are registered, and are never freed.
        unsafe { self.push(&entry.user_data(Kind::Receive.user_data(token))) }
    }

    /// Stops `receive`, which completes once more.
    pub fn cancel(&mut self, token: u64) -> io::Result<()> {
        let entry = opcode::AsyncCancel::new(Kind::Receive.user_data(token)).build();
        // SAFETY: no memory is involved.
        unsafe { self.push(&entry.user_data(Kind::Cancel.user_data(token))) }
    }

    /// Sends the segments in order. Only one such call may be under way for each token.
    pub fn send(
        &mut self,
        token: u64,
        socket: &TcpStream,
        segments: impl IntoIterator<Item = Bytes>,
    ) -> io::Result<()> {
        assert!(!self.sends.contains_key(&token), "a send is under way");
        let send = Box::new(Send::new(socket.as_raw_fd(), segments));
        self.sends.insert(token, ManuallyDrop::new(send));
        self.go_on_sending(token)
    }

    /// Hands everything to the kernel, and waits until something is complete, or time is up.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.buffers.provide_for_turn();
        let result = match timeout {
            None => self.uring.submit_and_wait(1),
            Some(timeout) => {
                let timeout = Timespec::from(timeout);
                let args = SubmitArgs::new().timespec(&timeout);
                self.uring.submitter().submit_with_args(1, &args)
            }
        };
        match result.err().and_then(|error| error.raw_os_error()) {
            None | Some(libc::ETIME | libc::EINTR | libc::EBUSY) => Ok(()),
            Some(code) => Err(io::Error::from_raw_os_error(code)),
        }
    }

    /// The next of what has happened.
    pub fn complete(&mut self) -> Option<Completion> {
        loop {
            let entry = self.uring.completion().next()?;
            let (token, result) = (entry.user_data() >> 2, entry.result());
            match Kind::of(entry.user_data()) {
                Kind::Accept => {
                    assert!(result >= 0 && cqueue::more(entry.flags()), "no descriptors");
                    // SAFETY: the kernel has made this descriptor for us, and tells it once.
                    let stream = unsafe { TcpStream::from_raw_fd(result) };
                    return Some(Completion::Accepted(stream));
                }
                Kind::Receive => {
                    let len = usize::try_from(result).unwrap_or_default();
                    let id = cqueue::buffer_select(entry.flags());
                    self.buffers.note(id.is_some(), result);
                    return Some(Completion::Received {
                        token,
                        lent: match id {
                            Some(id) => Some(Lent { id, len }),
                            // The end of the stream takes no buffer.
                            None if result == 0 => Some(Lent {
                                id: BUFFERS,
                                len: 0,
                            }),
                            None => None,
                        },
                        is_busy: [-libc::ENOBUFS, -libc::ECANCELED].contains(&result),
                        more: cqueue::more(entry.flags()),
                    });
                }
                Kind::Send => {
                    let sent = usize::try_from(result);
                    let send = self.sends.get_mut(&token).expect("it was sent");
                    sent.iter().for_each(|sent| send.advance(*sent));
                    if sent.is_ok() && !send.segments.is_empty() {
                        self.go_on_sending(token).expect("the ring works");
                        continue;
                    }
                    let send = self.sends.remove(&token).expect("it was sent");
                    drop(ManuallyDrop::into_inner(send));
                    let is_ok = sent.is_ok();
                    return Some(Completion::Sent { token, is_ok });
                }
                Kind::Cancel => {}
            }
        }
    }

    pub fn received<'l>(&'l mut self, lent: &'l mut Lent) -> &'l mut [u8] {
        self.buffers.received(lent)
    }

    pub fn give_back(&mut self, lent: Lent) {
        if lent.id < BUFFERS {
            self.buffers.spare.push(lent.id);
        }
    }

    fn go_on_sending(&mut self, token: u64) -> io::Result<()> {
        let entry = self.sends.get_mut(&token).expect("it was sent").entry();
        // SAFETY: what the entry points to is in the box in `sends`, or kept alive by it. It stays
        // there until the completion, which there is one of, and neither is changed before.
        unsafe { self.push(&entry.user_data(Kind::Send.user_data(token))) }
    }

    /// # Safety
    /// What the entry points to is valid until it is complete.
    unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: as the caller promises.
        while unsafe { self.uring.submission().push(entry) }.is_err() {
            self.uring.submit()?;
        }
        Ok(())
    }
}

/// What is being sent, and the kernel's description of it.
struct Send {
    fd: Fd,
    segments: Vec<Bytes>,
    slices: [libc::iovec; MAX_SEGMENTS],
    header: libc::msghdr,
}

impl Send {
    fn new(fd: i32, segments: impl IntoIterator<Item = Bytes>) -> Self {
        let none = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        Self {
            fd: Fd(fd),
            segments: segments.into_iter().collect(),
            slices: [none; MAX_SEGMENTS],
            // SAFETY: it consists of numbers and of pointers that may be null.
            header: unsafe { std::mem::zeroed() },
        }
    }

    /// Describes what is left. It is valid while this neither moves nor changes.
    fn entry(&mut self) -> squeue::Entry {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        if let [only] = &self.segments[..] {
            let len = u32::try_from(only.len()).unwrap_or(u32::MAX);
            let send = opcode::Send::new(self.fd, only.as_ptr(), len);
            return send.flags(flags).build();
        }
        let slices = self.slices.iter_mut().zip(&self.segments);
        let count = slices
            .map(|(slice, segment)| {
                slice.iov_base = segment.as_ptr().cast_mut().cast(); // It is only read.
                slice.iov_len = segment.len();
            })
            .count();
        self.header.msg_iov = self.slices.as_mut_ptr();
        self.header.msg_iovlen = count;
        let send = opcode::SendMsg::new(self.fd, &raw const self.header);
        send.flags(flags as u32).build()
    }

    fn advance(&mut self, mut count: usize) {
        self.segments.retain_mut(|segment| {
            let part = count.min(segment.len());
            segment.advance(part);
            count -= part;
            !segment.is_empty()
        });
    }
}

/// Buffers that the kernel takes as it needs them, from a ring that both see.
struct Buffers {
    /// `BUFFERS` entries in the beginning of a page. The tail is in the first one, where no other
    /// field is.
    entries: *mut BufRingEntry,
    /// `BUFFERS` times `BUFFER_SIZE` bytes.
    bytes: *mut u8,
    tail: u16,
    /// Neither the kernel's nor lent. The last one was used last.
    spare: Vec<u16>,
    /// How many the kernel has, and how many it is to have.
    provided: u16,
    wanted: u16,
    /// In this turn.
    filled: usize,
    was_short: bool,
}

impl Buffers {
    fn new(uring: &IoUring) -> io::Result<Self> {
        #[repr(C, align(4096))]
        #[derive(Clone)]
        struct Page([u8; 4096]);

        const PAGES: usize = (BUFFERS as usize * size_of::<BufRingEntry>()).div_ceil(4096);
        // Leaked, because the kernel may come back to them until the process ends.
        let pages = vec![Page([0; 4096]); PAGES].leak();
        let bytes = vec![0_u8; usize::from(BUFFERS) * BUFFER_SIZE].leak();
        let buffers = Self {
            entries: pages.as_mut_ptr().cast(),
            bytes: bytes.as_mut_ptr(),
            tail: 0,
            spare: (0..BUFFERS).collect(),
            provided: 0,
            wanted: FEW,
            filled: 0,
            was_short: false,
        };
        let address = buffers.entries as u64;
        // SAFETY: it is at the beginning of a page, has room for all entries, and is never freed.
        unsafe {
            let submitter = uring.submitter();
            submitter.register_buf_ring_with_flags(address, BUFFERS, GROUP, 0)?;
        }
        Ok(buffers)
    }

    fn note(&mut self, took_one: bool, result: i32) {
        self.provided -= u16::from(took_one);
        self.filled += usize::try_from(result).unwrap_or_default();
        self.was_short |= result == -libc::ENOBUFS;
    }

    fn provide_for_turn(&mut self) {
        if self.was_short && self.filled < TURN_SIZE {
            self.wanted = (2 * self.wanted).min(BUFFERS);
        } else if self.filled > 2 * TURN_SIZE {
            self.wanted = (self.wanted / 2).max(FEW);
        }
        (self.filled, self.was_short) = (0, false);
        while self.provided < self.wanted {
            let Some(id) = self.spare.pop() else { break };
            self.provide(id);
            self.provided += 1;
        }
    }

    /// Gives a buffer to the kernel that was spare.
    fn provide(&mut self, id: u16) {
        let index = usize::from(self.tail % BUFFERS);
        // SAFETY: the index is below `BUFFERS`, the page is zeroed, for which the entry is plain
        // numbers, and the kernel does not read entries from the tail on. There are no more of them
        // than buffers, so that one is free. The tail's field is written by nobody but us, and lies
        // where it can be an atomic: two bytes at an even address.
        unsafe {
            let entry = &mut *self.entries.add(index);
            entry.set_addr(self.bytes.add(usize::from(id) * BUFFER_SIZE) as u64);
            entry.set_len(BUFFER_SIZE as u32);
            entry.set_bid(id);
            self.tail = self.tail.wrapping_add(1);
            let tail = BufRingEntry::tail(self.entries).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }

    fn received<'l>(&'l mut self, lent: &'l mut Lent) -> &'l mut [u8] {
        if lent.id >= BUFFERS {
            return &mut [];
        }
        let at = usize::from(lent.id) * BUFFER_SIZE;
        // SAFETY: the buffer is within `bytes`, which was zeroed and is never freed. There is one
        // `Lent` of it at most, made when the kernel had filled it and consumed to give it back, and
        // it is borrowed as long as the slice is.
        unsafe { std::slice::from_raw_parts_mut(self.bytes.add(at), lent.len.min(BUFFER_SIZE)) }
    }
}
