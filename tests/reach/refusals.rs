//! Refusals whose body does not arrive: the head says all that matters.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use sockeye::backoff::Class;
use sockeye::handshake::Redirects;
use sockeye::{Connector, HandshakeError, SocketError};

use crate::client::Client;
use crate::server::{echo, serve};

crate::on_every_adapter!(
    a_reset_in_the_body,
    a_reset_in_the_head,
    a_redirect_and_a_reset
);

/// Answers without reading the request, so that the end is a reset.
fn reset_after(mut stream: TcpStream, answer: &str) {
    stream.peek(&mut [0]).unwrap();
    stream.write_all(answer.as_bytes()).unwrap();
    // On some systems a reset drops what the client did not read yet.
    thread::sleep(Duration::from_millis(100));
}

fn a_reset_in_the_body<C: Client>() {
    let overloaded = Class::Overloaded {
        retry_after: Some(Duration::from_secs(7)),
    };
    for (head, body, class) in [
        ("401 x\r\nContent-Length: 9\r\n", "no", Class::Fatal),
        ("401 x\r\n", "no", Class::Fatal),
        (
            "401 x\r\nTransfer-Encoding: chunked\r\n",
            "2\r\nno\r\n",
            Class::Fatal,
        ),
        (
            "503 x\r\nContent-Length: 2\r\nRetry-After: 7\r\n",
            "",
            overloaded,
        ),
    ] {
        let answer = format!("HTTP/1.1 {head}\r\n{body}");
        let (address, serving) = serve(1, move |_, stream| reset_after(stream, &answer));
        let error = C::visit_url(&Connector::new(), &format!("ws://{address}/")).unwrap_err();
        assert_eq!(error.class(), class, "{error:?}");
        let SocketError::Handshake(HandshakeError::Refused(response)) = error else {
            panic!("{error:?}");
        };
        assert!(!response.is_complete(), "{head}");
        assert_eq!(response.body().is_empty(), body.is_empty(), "{head}");
        serving.join().unwrap();
    }
}

/// Then there is no answer, and the transport's failure is all that is known.
fn a_reset_in_the_head<C: Client>() {
    let (address, serving) = serve(1, |_, stream| reset_after(stream, "HTTP/1.1 401 x\r\n"));
    let error = C::visit_url(&Connector::new(), &format!("ws://{address}/")).unwrap_err();
    assert!(matches!(error, SocketError::Io(_)), "{error:?}");
    serving.join().unwrap();
}

fn a_redirect_and_a_reset<C: Client>() {
    let (address, serving) = serve(2, |number, stream| match number {
        0 => {
            let answer = "HTTP/1.1 307 x\r\nLocation: /b\r\nContent-Length: 9\r\n\r\n";
            reset_after(stream, answer);
            String::new()
        }
        _ => echo(stream).unwrap().0,
    });
    let connector = Connector::new().with_redirects(Redirects::few());
    C::visit_url(&connector, &format!("ws://{address}/a")).unwrap();
    assert_eq!(serving.join().unwrap().remove(1), "/b");
}
