//! Servers behind Unix sockets.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use sockeye::backoff::Class;
use sockeye::connector::{ConnectError, Phase, PhaseTimeouts};
use sockeye::{Connector, SocketError};

use crate::client::{Blocking, Client};
use crate::server::echo;

crate::on_every_adapter!(a_server_behind_a_socket, no_socket);

/// A path that no other test has.
fn path(name: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let id = std::process::id();
    std::env::temp_dir().join(format!("sockeye-{id}-{number}-{name}"))
}

fn a_server_behind_a_socket<C: Client>() {
    for (name, written) in [("a.sock", "a.sock"), ("a b:c", "a%20b%3Ac")] {
        let path = path(name);
        let listener = UnixListener::bind(&path).unwrap();
        let serving = thread::spawn(move || echo(listener.accept().unwrap().0).unwrap());
        let path = path.to_str().unwrap();
        let url = format!("ws+unix:{}:/a?b", path.replace(name, written));
        C::visit_url(&Connector::new(), &url).unwrap();
        let (target, headers) = serving.join().unwrap();
        assert_eq!(target, "/a?b");
        assert!(headers.contains(&("Host".into(), "localhost".into())));
        std::fs::remove_file(path).unwrap();
    }
}

fn no_socket<C: Client>() {
    let url = format!("ws+unix:{}:/", path("none").display());
    let error = C::visit_url(&Connector::new(), &url).unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Unix), "{error:?}");
    assert_eq!(error.class(), Class::Transient);
}

/// A server that has stopped accepting holds on to one thread of the client, however often that tries.
#[cfg(target_os = "linux")]
#[test]
fn a_server_that_does_not_accept() {
    let path = path("wedged");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let listener = runtime.block_on(async {
        let socket = tokio::net::UnixSocket::new_stream().unwrap();
        socket.bind(&path).unwrap();
        socket.listen(0).unwrap().into_std().unwrap()
    });
    let _first_in_line = UnixStream::connect(&path).unwrap();

    let url = format!("ws+unix:{}:/", path.display());
    let impatient = PhaseTimeouts::new().with_tcp(Duration::from_millis(30));
    let impatient = Connector::new().with_timeouts(impatient);
    for _ in 0..5 {
        let error = Blocking::visit_url(&impatient, &url).unwrap_err();
        let is_timeout = matches!(
            error,
            SocketError::Connect(ConnectError::Timeout(Phase::Unix))
        );
        assert!(is_timeout, "{error:?}");
    }

    let mut count = 0;
    while count < 10 {
        thread::sleep(Duration::from_millis(100));
        match listener.accept() {
            Ok(_) => count += 1,
            Err(_) => break,
        }
    }
    assert_eq!(count, 2, "the first in line, and one that came too late");

    listener.set_nonblocking(false).unwrap();
    let serving = thread::spawn(move || echo(listener.accept().unwrap().0).unwrap());
    Blocking::visit_url(&Connector::new(), &url).unwrap();
    serving.join().unwrap();
    std::fs::remove_file(path).unwrap();
}
