//! A server's process, and what it costs.

use std::fs::read_to_string;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::Duration;

const PORTS: Range<u16> = 12_000..32_000;

pub struct Program {
    pub name: String,
    path: String,
}

impl Program {
    /// Whether it is to answer with one flush all that it read.
    pub fn is_batch(&self) -> bool {
        self.name.ends_with("-batch")
    }

    pub fn new(name: &str, path: &str) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
        }
    }
}

/// It ends with its owner.
pub struct Server {
    child: Child,
    address: SocketAddr,
}

/// What a server has used of its processor.
pub struct Cpu {
    /// The time of its thread.
    pub busy: Duration,
    /// What the kernel's clock saw of it, in ticks.
    pub user: u64,
    pub system: u64,
}

impl Server {
    /// Starts a server on the first processor, and waits until it listens.
    pub fn start(program: &Program, deflate: bool) -> io::Result<Self> {
        let address = free_address()?;
        let child = Command::new("taskset")
            .args(["-c", "0", &program.path, &address.port().to_string()])
            .args(deflate.then_some("deflate"))
            .args(program.is_batch().then_some("batch"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut server = Self { child, address };
        for _ in 0..100 {
            sleep(Duration::from_millis(20));
            if TcpStream::connect(address).is_ok() {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                return Err(io::Error::other(format!("it ended: {status}")));
            }
        }
        Err(ErrorKind::TimedOut.into())
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn cpu(&self) -> io::Result<Cpu> {
        let process = self.child.id().to_string();
        let stat = read_to_string(format!("/proc/{process}/stat"))?;
        // The name, which may have spaces, is in parentheses; see proc(5) for what follows.
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let mut fields = after_name.split_whitespace().skip(11);
        let mut ticks = || fields.next().and_then(|field| field.parse().ok());
        let (user, system) = ticks().zip(ticks()).ok_or(ErrorKind::InvalidData)?;
        Ok(Cpu {
            busy: busy(&process)?,
            user,
            system,
        })
    }

    /// Its resident memory.
    pub fn resident_kib(&self) -> io::Result<u64> {
        let status = read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let mut lines = status.lines();
        let resident = lines.find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|line| line.split_whitespace().next());
        let kib = kib.and_then(|kib| kib.parse().ok());
        kib.ok_or_else(|| ErrorKind::InvalidData.into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// How long the thread of a process, which has only one, was on a processor.
pub fn busy(process: &str) -> io::Result<Duration> {
    let schedstat = read_to_string(format!("/proc/{process}/schedstat"))?;
    let nanos = schedstat.split_whitespace().next();
    let nanos = nanos.and_then(|nanos| nanos.parse().ok());
    let nanos = nanos.ok_or(ErrorKind::InvalidData)?;
    Ok(Duration::from_nanos(nanos))
}

/// A port that nobody has, below those that the kernel gives to clients: one of them could connect to
/// itself while it waits for the server. Two processes start at different ones.
fn free_address() -> io::Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);

    for _ in 0..PORTS.len() {
        let offset = process::id() as u16 % 1000 * 20 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + offset % PORTS.len() as u16;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(ErrorKind::AddrInUse.into())
}
