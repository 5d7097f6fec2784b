//! Examples as programs, which end with the test that started them.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What a program may take to say something, and to end.
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
        let mut command = Command::new(program);
        command.args(arguments).envs(variables.iter().copied());
        Self::run(&mut command, PATIENCE).unwrap_or_else(|error| {
            panic!("{error}: `cargo test` builds it, or `cargo build --example {name}`")
        })
    }

    /// Whoever says nothing for so long is ended.
    fn run(command: &mut Command, patience: Duration) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().unwrap());
        let (tell_first, first_line) = mpsc::channel();
        let (tell_rest, rest) = mpsc::channel();
        thread::spawn(move || read(output, &tell_first, &tell_rest));
        let mut program = Self {
            child,
            first_line: String::new(),
            rest,
        };
        // Without a line it ends here, with the value that is dropped.
        program.first_line = first_line
            .recv_timeout(patience)
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it says nothing"))?;
        Ok(program)
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

/// Tells the first line, and then the rest.
fn read(
    mut output: BufReader<ChildStdout>,
    tell_first: &mpsc::Sender<String>,
    tell_rest: &mpsc::Sender<String>,
) {
    let mut first_line = String::new();
    output.read_line(&mut first_line).unwrap();
    // Nobody wants to know any more if it took too long.
    let _told = tell_first.send(first_line);
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).unwrap();
    let _told = tell_rest.send(String::from_utf8_lossy(&rest).into_owned());
}

/// A program that says nothing does not hold up its test for ever.
#[cfg(unix)]
#[test]
fn silence_has_a_deadline() {
    let since = std::time::Instant::now();
    let mut command = Command::new("sleep");
    let started = Program::run(command.arg("30"), Duration::from_millis(100));
    assert_eq!(started.err().unwrap().kind(), io::ErrorKind::TimedOut);
    assert!(since.elapsed() < Duration::from_secs(20));
}
