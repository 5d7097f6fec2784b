//! Any bytes into a client's opening handshake.

use sockeye::handshake::{Accepted, ClientHandshake, ClientRequest};
use sockeye::{Config, Deflate, HandshakeError, Input, Limits};

use super::wire::{Cuts, START, Source};

const NONCE: [u8; 16] = *b"the sample nonce";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Flags: bit 0 whether the limits are small, bit 1 whether the request is still unsent, bit 2
/// whether compression is offered, bit 3 whether what is missing never comes rather than that the
/// transport ends. Then a byte that says how the response is cut, and the response.
pub fn check(data: &[u8]) {
    let mut source = Source(data);
    let flags = source.flags();
    let mut cuts = Cuts::new(source.byte());
    let limits = if flags.bit(0) {
        Limits::new().with_max_head_size(300).with_max_headers(6)
    } else {
        Limits::new()
    };
    let mut config = Config::new().with_limits(limits.clone());
    if flags.bit(2) {
        config = config.with_deflate(Deflate::client());
    }
    let request = ClientRequest::new("ws://example.com/chat")
        .unwrap()
        .with_subprotocol("chat")
        .with_subprotocol("superchat");

    let run = |cuts: &mut Cuts| {
        let mut handshake = ClientHandshake::new(&config, &request, NONCE, START).unwrap();
        if !flags.bit(1) {
            handshake.poll_transmit().unwrap().clear();
        }
        let read = read(&mut handshake, cuts.pieces(source.0));
        let end = match read.0 {
            Ok(None) => finish(&mut handshake, flags.bit(3)),
            _ => Ok(()),
        };
        (read, end)
    };
    let whole = run(&mut Cuts::Whole);
    assert_eq!(run(&mut cuts), whole);

    let ((result, consumed), end) = whole;
    match result.as_ref().err().or_else(|| end.as_ref().err()) {
        None => {
            let accepted = result.unwrap().expect("an end is an error");
            assert!(!flags.bit(1), "the request has not left");
            assert_lawful(&accepted, flags.bit(2));
            assert!(accepted.response.headers().count() <= limits.max_headers());
            // Informational responses have come before it, at most eight.
            assert!(consumed <= 9 * limits.max_head_size());
        }
        Some(HandshakeError::Refused(response)) => {
            assert_ne!(response.status(), 101);
            assert!(response.headers().count() <= limits.max_headers());
            assert!(response.body().len() <= limits.max_head_size());
        }
        Some(error) => assert_eq!(error.http_status().is_some(), is_servers_too(error)),
    }
}

type Read = (Result<Option<Accepted>, HandshakeError>, usize);

fn read(handshake: &mut ClientHandshake, pieces: Vec<&[u8]>) -> Read {
    let mut consumed = 0;
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        let result = handshake.receive(START, &mut input);
        consumed += input.consumed();
        match result {
            Ok(None) => assert!(input.is_empty(), "input is left over"),
            Ok(Some(accepted)) => return (Ok(Some(accepted)), consumed),
            Err(error) => {
                assert!(input.is_empty(), "input is left over");
                let again = handshake.receive(START, &mut Input::new(&mut [b'x']));
                assert_eq!(again.unwrap_err(), error, "errors are sticky");
                assert!(handshake.poll_transmit().is_none());
                assert_eq!(handshake.poll_timeout(), None);
                return (Err(error), 0);
            }
        }
    }
    (Ok(None), consumed)
}

/// The rest of the response never comes.
fn finish(handshake: &mut ClientHandshake, by_deadline: bool) -> Result<(), HandshakeError> {
    let end = if by_deadline {
        let deadline = handshake.poll_timeout().unwrap();
        handshake.handle_timeout(deadline)
    } else {
        handshake.handle_eof()
    };
    let expected = match by_deadline {
        true => HandshakeError::Timeout,
        false => HandshakeError::Eof,
    };
    match &end {
        Err(HandshakeError::Refused(_)) => {}
        other => assert_eq!(*other, Err(expected)),
    }
    end
}

/// What RFC 6455 section 4.1 asks of an upgrade.
fn assert_lawful(accepted: &Accepted, offers_deflate: bool) {
    let response = &accepted.response;
    assert_eq!(response.status(), 101);
    let all = |name: &str| -> Vec<&[u8]> {
        let headers = response.headers();
        headers
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    };
    assert_eq!(all("Sec-WebSocket-Accept"), [ACCEPT]);
    assert_eq!(all("Upgrade").len(), 1);
    assert!(all("Upgrade")[0].eq_ignore_ascii_case(b"websocket"));
    assert!(!all("Connection").is_empty());
    let protocol = accepted.negotiated.subprotocol().map(str::as_bytes);
    assert_eq!(all("Sec-WebSocket-Protocol"), Vec::from_iter(protocol));
    assert!(matches!(protocol, None | Some(b"chat" | b"superchat")));
    if accepted.negotiated.deflate().is_some() {
        assert!(offers_deflate && !all("Sec-WebSocket-Extensions").is_empty());
    }
}

/// Errors that either side can get have a status, for the server.
fn is_servers_too(error: &HandshakeError) -> bool {
    !matches!(
        error,
        HandshakeError::Eof
            | HandshakeError::TooManyInformational
            | HandshakeError::TooEarly
            | HandshakeError::AcceptMismatch
            | HandshakeError::UnofferedProtocol
            | HandshakeError::UnofferedExtension
    )
}
