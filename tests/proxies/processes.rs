//! Programs that run beside a test, and end with it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

pub(crate) struct Process(Child);

impl Process {
    /// Starts it, and waits until somebody listens at `address`.
    pub(crate) fn start(command: &mut Command, address: SocketAddr) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let mut process = Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")));
        for _ in 0..500 {
            if TcpStream::connect(address).is_ok() {
                return process;
            }
            if let Some(status) = process.0.try_wait().unwrap() {
                panic!("{command:?} ended with {status}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{command:?} does not listen on {address}");
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

/// An address on loopback that nobody listens at.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// An example of this crate, built before, in the folder next to that of the tests.
pub(crate) fn example(name: &str, address: SocketAddr, options: &[&str]) -> Process {
    let mut program = env::current_exe().unwrap();
    program.pop();
    program.set_file_name("examples");
    program.push(name);
    let mut command = Command::new(program);
    command.args(["--addr", &address.to_string()]).args(options);
    Process::start(&mut command, address)
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
        let address = free_address();
        let configure = |text: &str| {
            let text = replace(text, "127.0.0.1:8080", &address.to_string());
            let text = replace(&text, "127.0.0.1:9001", &server.to_string());
            replace(&text, "60s", timeout)
        };
        let mut command;
        match kind {
            Kind::Nginx => {
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
                command = Command::new("nginx");
                command.args(["-e", "stderr", "-c", &config, "-g", &settings]);
            }
            Kind::Haproxy => {
                let text = configure(include_str!("../../docs/deploy/haproxy.cfg"));
                let config = scratch.file("haproxy.cfg", &text);
                command = Command::new("haproxy");
                // As many connections as a user may have descriptors for, anywhere.
                command.args(["-q", "-db", "-n", "100", "-f", &config]);
            }
        }
        Self {
            process: Process::start(&mut command, address),
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
