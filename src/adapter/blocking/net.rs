//! A connector's phases, blocking: each future is ready when it is first polled.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::borrow::ToOwned;
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::vec::Vec;

use super::{BlockingIo, ClientStream, Stream};
use crate::Instant;
#[cfg(feature = "rustls")]
use crate::adapter::connector::Connector;
use crate::adapter::connector::{Failure, Net, Race};

pub(super) struct Blocking;

impl Net for Blocking {
    type Stream = ClientStream;
    type Io = BlockingIo<ClientStream>;

    const HAS_TLS: bool = cfg!(feature = "rustls");

    fn now(&self) -> Instant {
        Instant::now()
    }

    async fn resolve(
        &self,
        host: &str,
        port: u16,
        deadline: Option<Instant>,
    ) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok([SocketAddr::new(address, port)].into());
        }
        let host = host.to_owned();
        let lookup = move || Ok((&*host, port).to_socket_addrs()?.collect());
        match deadline {
            None => Ok(lookup()?),
            // The system's lookup has no deadline. If it takes longer, the thread ends after it.
            Some(deadline) => beside(deadline, lookup),
        }
    }

    async fn connect(
        &self,
        addresses: &[SocketAddr],
        deadline: Option<Instant>,
    ) -> Result<ClientStream, Failure> {
        let stream = match addresses {
            [address] => connect_one(*address, deadline)?,
            addresses => connect_any(addresses, deadline)?,
        };
        stream.set_nodelay(true)?;
        Ok(stream.into())
    }

    #[cfg(unix)]
    async fn connect_unix(
        &self,
        path: &str,
        deadline: Option<Instant>,
    ) -> Result<ClientStream, Failure> {
        Ok(unix::connect(path, deadline)?.into())
    }

    #[cfg(feature = "rustls")]
    async fn secure(
        &self,
        stream: ClientStream,
        connector: &Connector,
        host: &str,
        deadline: Option<Instant>,
    ) -> Result<ClientStream, Failure> {
        let (config, name) = connector.tls_session(host)?;
        let session = rustls::ClientConnection::new(config, name)
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        let stream = stream
            .secured(session, |session, stream| {
                let mut bounded = bounded::Bounded { stream, deadline };
                while session.is_handshaking() {
                    session.complete_io(&mut bounded)?;
                }
                bounded.stream.set_read_timeout(None)?;
                bounded.stream.set_write_timeout(None)
            })
            .map_err(late)?;
        Connector::check_alpn(stream.tls().as_deref())?;
        Ok(stream)
    }

    fn io(stream: ClientStream) -> BlockingIo<ClientStream> {
        BlockingIo::new(stream)
    }

    fn stream(io: BlockingIo<ClientStream>) -> io::Result<ClientStream> {
        let mut stream = io.into_stream();
        // The next one does not know of those of the last.
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(None)?;
        Ok(stream)
    }
}

/// What the system gave up waiting for is late too.
fn late(error: io::Error) -> Failure {
    if error.kind() == ErrorKind::TimedOut {
        Failure::Late
    } else {
        Failure::Io(error)
    }
}

fn connect_one(address: SocketAddr, deadline: Option<Instant>) -> Result<TcpStream, Failure> {
    let Some(deadline) = deadline else {
        return Ok(TcpStream::connect(address)?);
    };
    let left = left(deadline).ok_or(Failure::Late)?;
    TcpStream::connect_timeout(&address, left).map_err(late)
}

/// Tries several addresses beside each other, each on a thread of its own: the standard library has no
/// other way to connect to two at a time, and one after the other would let an address that does not
/// answer cost more than the delay of RFC 8305. Who loses ends by itself, at the latest at the deadline
/// or when the system gives up, and its connection is dropped.
fn connect_any(addresses: &[SocketAddr], deadline: Option<Instant>) -> Result<TcpStream, Failure> {
    let mut race = Race::new(addresses, Instant::now());
    let (sender, receiver) = mpsc::channel();
    loop {
        while let Some(address) = race.start(Instant::now()) {
            let sender = sender.clone();
            thread::Builder::new().spawn(move || {
                // Nobody listens any more if another one was faster.
                let _lost = sender.send(connect_one(address, deadline));
            })?;
        }
        let next = race.poll_timeout();
        let wake = deadline.into_iter().chain(next).min();
        let result = match wake {
            Some(wake) => receiver.recv_timeout(left(wake).unwrap_or_default()),
            None => receiver.recv().map_err(RecvTimeoutError::from),
        };
        match result {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(failure)) => {
                if race.handle_failure(Instant::now()) {
                    return Err(failure);
                }
            }
            Err(_) if deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                return Err(Failure::Late);
            }
            Err(_) => {}
        }
    }
}

/// Runs something on another thread, and waits for it up to the deadline.
fn beside<T: Send + 'static>(
    deadline: Instant,
    run: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let (sender, receiver) = mpsc::channel();
    let left = left(deadline).ok_or(Failure::Late)?;
    thread::Builder::new().spawn(move || {
        let _late = sender.send(run());
    })?;
    let result = receiver.recv_timeout(left).map_err(|_| Failure::Late)?;
    Ok(result?)
}

/// How long it is up to then, if it has not passed.
fn left(deadline: Instant) -> Option<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    (left > Duration::ZERO).then_some(left)
}

#[cfg(unix)]
mod unix {
    use std::borrow::ToOwned;
    use std::collections::BTreeSet;
    use std::os::unix::net::UnixStream;
    use std::string::String;
    use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

    use super::{Failure, Instant, beside, left};

    /// Connects on another thread if there is a deadline: the standard library cannot bound it. If the
    /// server does not accept what waits already, that thread waits on, for as long as the server does that.
    pub(super) fn connect(path: &str, deadline: Option<Instant>) -> Result<UnixStream, Failure> {
        let Some(deadline) = deadline else {
            return Ok(UnixStream::connect(path)?);
        };
        let turn = Turn::wait(path, deadline).ok_or(Failure::Late)?;
        beside(deadline, move || {
            let stream = UnixStream::connect(&turn.0);
            drop(turn);
            stream
        })
    }

    /// The right to connect to a path. One thread at a time has it, so that a client which tries again and
    /// again leaves no more than one behind.
    struct Turn(String);

    static TAKEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    static GIVEN_BACK: Condvar = Condvar::new();

    fn taken() -> MutexGuard<'static, BTreeSet<String>> {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    impl Turn {
        /// `None` if it is late before.
        fn wait(path: &str, deadline: Instant) -> Option<Self> {
            let mut taken = taken();
            while !taken.insert(path.to_owned()) {
                let waited = GIVEN_BACK.wait_timeout(taken, left(deadline)?);
                taken = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            Some(Self(path.to_owned()))
        }
    }

    impl Drop for Turn {
        fn drop(&mut self) {
            taken().remove(&self.0);
            GIVEN_BACK.notify_all();
        }
    }
}

#[cfg(feature = "rustls")]
mod bounded {
    use std::io::{self, ErrorKind, Read, Write};

    use crate::Instant;
    use crate::blocking::Stream;

    /// A stream whose every wait ends at the deadline.
    pub(super) struct Bounded<'a> {
        pub(super) stream: &'a mut dyn Stream,
        pub(super) deadline: Option<Instant>,
    }

    impl Read for Bounded<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if let Some(deadline) = self.deadline {
                let left = super::left(deadline).ok_or(ErrorKind::TimedOut)?;
                self.stream.set_read_timeout(Some(left))?;
            }
            self.stream.read(buffer).map_err(timed_out)
        }
    }

    impl Write for Bounded<'_> {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            if let Some(deadline) = self.deadline {
                let left = super::left(deadline).ok_or(ErrorKind::TimedOut)?;
                self.stream.set_write_timeout(Some(left))?;
            }
            self.stream.write(buffer).map_err(timed_out)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.stream.flush().map_err(timed_out)
        }
    }

    /// The two errors of a wait that was cut short, as one that is not tried again.
    fn timed_out(error: io::Error) -> io::Error {
        if error.kind() == ErrorKind::WouldBlock {
            ErrorKind::TimedOut.into()
        } else {
            error
        }
    }
}
