//! Redirects, which are followed only where that was asked for.

use std::time::Duration;

use sockeye::backoff::Class;
use sockeye::connector::{ConnectError, Phase, PhaseTimeouts};
use sockeye::handshake::{ClientRequest, RedirectError, Redirects};
use sockeye::{Connector, HandshakeError, SocketError};

use crate::client::Client;
use crate::server::{echo, echo_server, redirect, serve};

crate::on_every_adapter!(
    not_by_default,
    to_another_server,
    to_another_path,
    in_a_circle,
    too_many,
    all_together_within_the_total,
);

fn following() -> Connector {
    Connector::new().with_redirects(Redirects::few())
}

fn not_by_default<C: Client>() {
    let (address, serving) = serve(1, |_, stream| redirect(stream, 302, "/b"));
    let error = C::visit_url(&Connector::new(), &format!("ws://{address}/a")).unwrap_err();
    let SocketError::Handshake(HandshakeError::Refused(response)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(response.status(), 302);
    assert_eq!(response.header("Location"), Some(&b"/b"[..]));
    serving.join().unwrap();
}

/// It does not get what was for the first one only.
fn to_another_server<C: Client>() {
    for status in [301, 302, 303, 307, 308] {
        let (second, serving) = echo_server();
        let location = format!("http://{second}/b?c#d");
        let (first, redirecting) = serve(1, move |_, stream| redirect(stream, status, &location));
        let request = ClientRequest::new(&format!("ws://{first}/a"))
            .unwrap()
            .with_bearer("token")
            .with_header("Cookie", "id=1")
            .with_header("X-Room", "1");
        C::visit(&following(), &request).unwrap();
        let head = redirecting.join().unwrap().remove(0);
        assert!(head.starts_with("GET /a "));
        assert!(head.contains("Authorization: Bearer token\r\n"));
        let (target, headers) = serving.join().unwrap().remove(0);
        assert_eq!(target, "/b?c");
        let has = |name: &str| headers.iter().any(|(other, _)| other == name);
        assert!(has("X-Room") && !has("Authorization") && !has("Cookie"));
    }
}

fn to_another_path<C: Client>() {
    let (address, serving) = serve(2, |number, stream| match number {
        0 => redirect(stream, 307, "../b"),
        _ => format!("{:?}", echo(stream).unwrap()),
    });
    let request = ClientRequest::new(&format!("ws://{address}/a/a"))
        .unwrap()
        .with_bearer("token");
    C::visit(&following(), &request).unwrap();
    let seen = serving.join().unwrap().remove(1);
    assert!(seen.starts_with("(\"/b\", ") && seen.contains("Bearer token"));
}

fn redirect_error(error: SocketError) -> RedirectError {
    assert_eq!(error.phase(), Some(Phase::Redirect));
    assert_eq!(error.class(), Class::Fatal);
    match error {
        SocketError::Connect(ConnectError::Redirect { error, response }) => {
            assert_eq!(response.status(), 302);
            error
        }
        other => panic!("{other:?}"),
    }
}

fn in_a_circle<C: Client>() {
    let (address, serving) = serve(2, |number, stream| {
        redirect(stream, 302, ["/b", "/a"][number])
    });
    let error = C::visit_url(&following(), &format!("ws://{address}/a")).unwrap_err();
    assert_eq!(redirect_error(error), RedirectError::Loop);
    serving.join().unwrap();
}

fn too_many<C: Client>() {
    let (address, serving) = serve(3, |number, stream| {
        redirect(stream, 302, &format!("/{number}"))
    });
    let connector = Connector::new().with_redirects(Redirects::up_to(2));
    let error = C::visit_url(&connector, &format!("ws://{address}/a")).unwrap_err();
    assert_eq!(redirect_error(error), RedirectError::TooMany);
    serving.join().unwrap();
}

/// Each answer comes in time, but all together they take too long.
fn all_together_within_the_total<C: Client>() {
    let (address, serving) = serve(2, |number, stream| {
        std::thread::sleep(Duration::from_millis(300));
        let location = format!("/{number}");
        let answering = std::panic::AssertUnwindSafe(|| redirect(stream, 302, &location));
        // The client may have gone.
        drop(std::panic::catch_unwind(answering));
    });
    let timeouts = PhaseTimeouts::new().with_total(Duration::from_millis(450));
    let connector = following().with_timeouts(timeouts);
    let error = C::visit_url(&connector, &format!("ws://{address}/a")).unwrap_err();
    assert!(
        matches!(error, SocketError::Handshake(HandshakeError::Timeout)),
        "{error:?}"
    );
    serving.join().unwrap();
}
