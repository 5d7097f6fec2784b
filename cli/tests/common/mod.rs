//! Runs the program, and servers for it.
#![allow(dead_code, reason = "each test uses some of it")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Whatever takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ws"));
    command
        .args(args)
        .env_remove("CLICOLOR_FORCE")
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the program with this on stdin, to its end.
pub(crate) fn run(args: &[&str], input: &[u8]) -> Output {
    finish(command(args).spawn().unwrap(), input)
}

/// Gives a program its input, and waits for its end.
pub(crate) fn finish(mut child: Child, input: &[u8]) -> Output {
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writing = thread::spawn(move || {
        // It may not want all of it.
        let _written = stdin.write_all(&input);
    });
    let output = wait(child);
    writing.join().unwrap();
    output
}

/// Waits for the end of a program, with its stdin as it is.
pub(crate) fn wait(mut child: Child) -> Output {
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let stdout = thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let stderr = thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let since = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if since.elapsed() > DEADLINE {
            child.kill().unwrap();
            panic!(
                "it hangs: {}",
                String::from_utf8_lossy(&stderr.join().unwrap())
            );
        }
        thread::sleep(Duration::from_millis(5));
    };
    Output {
        status,
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    }
}

#[track_caller]
pub(crate) fn assert_exit(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "stdout: {}\nstderr: {}",
        String::from_utf8_lossy(&output.stdout),
        stderr(output)
    );
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[cfg(unix)]
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// A `ws echo` on a port of its own.
pub(crate) struct Echo {
    pub(crate) child: Child,
    pub(crate) url: String,
}

impl Echo {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = command(&[&["echo", "127.0.0.1:0"], args].concat());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut url)
            .unwrap();
        let url = url.trim_end().to_owned();
        assert!(url.starts_with("ws://127.0.0.1:"), "{url}");
        Self { child, url }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// A server that does this with one client, and its URL.
pub(crate) fn server<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (String, thread::JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serving = thread::spawn(move || serve(listener.accept().unwrap().0));
    (url, serving)
}

/// The URL that a listening program tells on stderr.
pub(crate) fn listening_at(child: &mut Child) -> String {
    let mut line = Vec::new();
    let stderr = child.stderr.as_mut().unwrap();
    // No more than the line: the rest is for who waits for the end.
    loop {
        let mut byte = [0];
        stderr.read_exact(&mut byte).unwrap();
        if byte == *b"\n" {
            break;
        }
        line.extend(byte);
    }
    let line = String::from_utf8(line).unwrap();
    line.strip_prefix("listening on ").unwrap().to_owned()
}
