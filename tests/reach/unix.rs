//! Servers behind Unix sockets.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread;

use sockeye::Connector;
use sockeye::backoff::Class;
use sockeye::connector::Phase;

use crate::client::Client;
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
