//! Examples as programs, which end with the test that started them.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What a program may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// An example that runs.
pub(crate) struct Program {
    child: Child,
    first_line: String,
    /// The rest of what it printed, when it has ended.
    rest: mpsc::Receiver<String>,
}

impl Program {
    /// Starts it, and waits for a first line of output. There is none if it ends before.
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        Self::start_with(name, arguments, &[])
    }

    /// The same, with variables of its environment.
    pub(crate) fn start_with(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        // Examples lie next to the folder of the tests.
        let mut program = std::env::current_exe().unwrap();
        program.pop();
        program.pop();
        program.push("examples");
        program.push(name);
        let mut child = Command::new(program)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{error}: `cargo test` builds it, or `cargo build --example {name}`")
            });
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut first_line = String::new();
        output.read_line(&mut first_line).unwrap();
        let (tell, rest) = mpsc::channel();
        thread::spawn(move || {
            let mut rest = Vec::new();
            output.read_to_end(&mut rest).unwrap();
            tell.send(String::from_utf8_lossy(&rest).into_owned())
        });
        Self {
            child,
            first_line,
            rest,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn first_line(&self) -> &str {
        self.first_line.trim_end()
    }

    /// Where it says in its first line that it listens.
    pub(crate) fn address(&self, prefix: &str) -> SocketAddr {
        let address = self.first_line().strip_prefix(prefix);
        address.expect(prefix).parse().unwrap()
    }

    /// What it reads. Its end comes when this is dropped.
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Waits for its end. The output is without the first line.
    pub(crate) fn finish(mut self) -> (ExitStatus, String) {
        drop(self.child.stdin.take());
        let output = self.rest.recv_timeout(PATIENCE).expect("it ends");
        (self.child.wait().unwrap(), output)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _over = self.child.kill();
        let _over = self.child.wait();
    }
}
