//! Programs that run beside a test, and end with it.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

pub(crate) struct Process(Child);

/// So many addresses are tried: somebody else may take one before it is listened at.
const ATTEMPTS: usize = 5;

impl Process {
    /// Starts what `command` makes for an address, and waits until it listens there.
    pub(crate) fn listening(mut command: impl FnMut(SocketAddr) -> Command) -> (Self, SocketAddr) {
        let mut failures = Vec::new();
        for _ in 0..ATTEMPTS {
            let address = free_address();
            match Self::start(&mut command(address), address) {
                Ok(process) => return (process, address),
                Err(failure) => failures.push(failure),
            }
        }
        panic!("{}", failures.join("\n"));
    }

    fn start(command: &mut Command, address: SocketAddr) -> Result<Self, String> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let mut process = Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")));
        for _ in 0..500 {
            // Who connects to see learns only that somebody listens.
            if process.listens_at(address) {
                return Ok(process);
            }
            if let Some(status) = process.0.try_wait().unwrap() {
                return Err(format!("{command:?} ended with {status}"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(format!("{command:?} does not listen on {address}"))
    }

    /// Whether one of its descriptors is a socket that listens at the address.
    fn listens_at(&self, address: SocketAddr) -> bool {
        let Some(inode) = listener(address) else {
            return false;
        };
        let Ok(descriptors) = fs::read_dir(format!("/proc/{}/fd", self.0.id())) else {
            return false; // it has ended
        };
        let socket = PathBuf::from(format!("socket:[{inode}]"));
        descriptors
            .filter_map(|descriptor| fs::read_link(descriptor.ok()?.path()).ok())
            .any(|target| target == socket)
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.0.id().to_string();
        // It fails if the process has ended, which is for others to notice.
        let mut kill = Command::new("kill");
        let _sent = kill
            .args(["-s", signal, &id])
            .stderr(Stdio::null())
            .status();
    }

    pub(crate) fn wait(mut self) {
        let end = Instant::now() + Duration::from_secs(10);
        while self.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "it did not end");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Not KILL: nginx has workers, which only it can end.
        self.signal("TERM");
        for _ in 0..100 {
            if self.0.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// An address on loopback that nobody listens at. Its port is below those that the system gives to
/// connections that go out, or one of the other tests' would take it before it is listened at; and no
/// two tests get the same.
pub(crate) fn free_address() -> SocketAddr {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let end: usize = range.split_whitespace().next().unwrap().parse().unwrap();
    let begin = end.saturating_sub(16_384).max(1024);
    assert!(begin < end, "no ports below {range}");
    // Other runs at the same time begin elsewhere.
    let first = process::id() as usize * 61;
    for _ in begin..end {
        let number = first + COUNT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(begin + number % (end - begin)).unwrap();
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().unwrap();
        }
    }
    panic!("all ports are taken");
}

/// The inode of the socket that listens at the address, of whichever process.
fn listener(address: SocketAddr) -> Option<u64> {
    const LISTEN: &str = "0A";
    let IpAddr::V4(ip) = address.ip() else {
        return None;
    };
    // As the kernel has it in memory.
    let ip = u32::from_ne_bytes(ip.octets());
    let local = format!("{ip:08X}:{:04X}", address.port());
    let sockets = fs::read_to_string("/proc/net/tcp").ok()?;
    sockets.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_wanted = *fields.get(1)? == local && *fields.get(3)? == LISTEN;
        is_wanted.then(|| fields.get(9)?.parse().ok())?
    })
}

/// An example of this crate, built before, in the folder next to that of the tests.
pub(crate) fn example(name: &str, options: &[&str]) -> (Process, SocketAddr) {
    let program = built("examples").join(name);
    Process::listening(|address| {
        let mut command = Command::new(&program);
        command.args(["--addr", &address.to_string()]).args(options);
        command
    })
}

/// What lies beside the folder of the tests.
pub(crate) fn built(name: &str) -> PathBuf {
    let mut path = env::current_exe().unwrap();
    path.pop();
    path.set_file_name(name);
    path
}

/// A folder that is removed at the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("sockeye-proxies-{}-{number}", process::id());
        let folder = env::temp_dir().join(folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Writes a file there and returns its path.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

/// Replaces every `from`, of which there must be one.
pub(crate) fn replace(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no {from} in:\n{text}");
    text.replace(from, to)
}

/// A proxy in front of a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
}

pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    _scratch: Scratch,
}

impl Gateway {
    /// In front of the server at `server`, with the configuration of `docs/deploy` but for the
    /// addresses, and `timeout` in place of each minute.
    pub(crate) fn start(kind: Kind, server: SocketAddr, timeout: &str) -> Self {
        let scratch = Scratch::new();
        let (process, address) = Process::listening(|address| {
            let configure = |text: &str| {
                let text = replace(text, "127.0.0.1:8080", &address.to_string());
                let text = replace(&text, "127.0.0.1:9001", &server.to_string());
                replace(&text, "60s", timeout)
            };
            match kind {
                Kind::Nginx => nginx(&scratch, configure),
                Kind::Haproxy => haproxy(&scratch, configure),
            }
        });
        Self {
            process,
            address,
            _scratch: scratch,
        }
    }

    /// As after a change of its configuration: nobody new, but for nginx, whose new workers take over.
    pub(crate) fn retire(&self, kind: Kind) {
        self.process.signal(match kind {
            Kind::Nginx => "HUP",
            Kind::Haproxy => "USR1",
        });
    }
}

fn nginx(scratch: &Scratch, configure: impl Fn(&str) -> String) -> Command {
    // Where Debian keeps temporary files only root can write.
    let mut folders = String::from("http {");
    for of in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        folders.push_str(&format!(" {of}_temp_path {}/{of};", scratch.path()));
    }
    let text = configure(include_str!("../../docs/deploy/nginx.conf"));
    let config = scratch.file("nginx.conf", &replace(&text, "http {", &folders));
    let settings = format!(
        "daemon off; pid {}/pid; error_log stderr emerg;",
        scratch.path()
    );
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-c", &config, "-g", &settings]);
    command
}

fn haproxy(scratch: &Scratch, configure: impl Fn(&str) -> String) -> Command {
    let text = configure(include_str!("../../docs/deploy/haproxy.cfg"));
    let config = scratch.file("haproxy.cfg", &text);
    let mut command = Command::new("haproxy");
    // As many connections as a user may have descriptors for, anywhere.
    command.args(["-q", "-db", "-n", "100", "-f", &config]);
    command
}

#[cfg(target_os = "linux")]
#[test]
fn addresses_that_no_connection_takes() {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let first: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    let ports: Vec<_> = (0..50).map(|_| free_address().port()).collect();
    assert!(ports.iter().all(|port| *port < first), "{ports:?}");
    let distinct: std::collections::HashSet<_> = ports.iter().collect();
    assert_eq!(distinct.len(), ports.len());
}

/// Somebody who listens at the address is not yet the process that is waited for.
#[cfg(target_os = "linux")]
#[test]
fn another_process_that_listens() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let started = Process::start(Command::new("sleep").arg("0.3"), address);
    assert!(started.is_err_and(|failure| failure.contains("ended")));
    assert!(listener(address).is_some());
}
