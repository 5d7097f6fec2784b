//! Any bytes into a server's opening handshake.

use sockeye::handshake::{Acceptance, Refusal, ServerHandshake, accept_key};
use sockeye::{Config, Deflate, HandshakeError, Input, Limits};

use super::wire::{Cuts, START, Source};

/// Flags: bit 0 whether the limits are small, bit 1 whether plain requests are wanted, bit 2 whether
/// compression is, bit 3 whether a request is refused, bit 4 whether what is missing never comes
/// rather than that the transport ends. Then a byte that says how the head is cut, and the head.
pub fn check(data: &[u8]) {
    let mut source = Source(data);
    let flags = source.flags();
    let mut cuts = Cuts::new(source.byte());
    let limits = if flags.bit(0) {
        Limits::new()
            .with_max_head_size(400)
            .with_max_headers(8)
            .with_max_target_size(40)
    } else {
        Limits::new()
    };
    let mut config = Config::new().with_limits(limits.clone());
    if flags.bit(2) {
        config = config.with_deflate(Deflate::server());
    }

    let run = |cuts: &mut Cuts| {
        let mut handshake = ServerHandshake::new(&config, START);
        if flags.bit(1) {
            handshake = handshake.with_plain_requests();
        }
        let read = read(&mut handshake, cuts.pieces(source.0));
        if let Ok(None) = read.result {
            finish(&mut handshake, flags.bit(4));
        }
        let answer = answer(&mut handshake, &read, flags.bit(3));
        (read, answer)
    };
    let whole = run(&mut Cuts::Whole);
    assert_eq!(run(&mut cuts), whole);

    let (Read { result, consumed }, _) = whole;
    match result {
        // 6455-10.4: what does not end within the limit is refused at once.
        Ok(None) => assert!(source.0.len() <= limits.max_head_size()),
        Ok(Some(request)) => {
            assert!(consumed <= limits.max_head_size());
            assert!(request.headers.len() <= limits.max_headers());
            assert!(request.target.len() <= limits.max_target_size());
            assert_lawful(&request, &source.0[..consumed]);
        }
        Err(error) => assert!(error.http_status().is_some(), "{error:?}"),
    }
}

/// What a request says, to keep and to compare.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    is_upgrade: bool,
    method: String,
    target: String,
    path: String,
    host: String,
    subprotocols: Vec<String>,
    headers: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, PartialEq, Eq)]
struct Read {
    result: Result<Option<Facts>, HandshakeError>,
    /// How long the head was, if it was complete.
    consumed: usize,
}

fn read(handshake: &mut ServerHandshake, pieces: Vec<&[u8]>) -> Read {
    let mut consumed = 0;
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        let result = handshake.receive(START, &mut input);
        consumed += input.consumed();
        match result {
            Ok(None) => assert!(input.is_empty(), "input is left over"),
            Ok(Some(request)) => {
                let subprotocols: Vec<_> = request.subprotocols().map(Into::into).collect();
                for (name, value) in request.cookies() {
                    assert!(!name.is_empty() && !value.contains(';'));
                }
                assert!(request.path().starts_with('/'));
                let facts = Facts {
                    is_upgrade: request.is_upgrade(),
                    method: request.method().into(),
                    target: request.target().into(),
                    path: format!("{} {:?}", request.path(), request.query()),
                    host: format!("{} {:?}", request.host(), request.origin()),
                    subprotocols,
                    headers: request
                        .headers()
                        .map(|(name, value)| (name.into(), value.into()))
                        .collect(),
                };
                let result = Ok(Some(facts));
                return Read { result, consumed };
            }
            Err(error) => {
                assert!(input.is_empty(), "input is left over");
                let again = handshake.receive(START, &mut Input::new(&mut [b'x']));
                assert_eq!(again.unwrap_err(), error, "errors are sticky");
                let result = Err(error);
                return Read {
                    result,
                    consumed: 0,
                };
            }
        }
    }
    let result = Ok(None);
    Read { result, consumed }
}

/// The rest of the request never comes.
fn finish(handshake: &mut ServerHandshake, by_deadline: bool) {
    assert!(handshake.poll_transmit().is_none());
    if by_deadline {
        let deadline = handshake.poll_timeout().unwrap();
        assert_eq!(
            handshake.handle_timeout(deadline),
            Err(HandshakeError::Timeout)
        );
    } else {
        assert_eq!(handshake.handle_eof(), Err(HandshakeError::Eof));
    }
    assert_eq!(handshake.poll_timeout(), None);
}

/// The bytes of the answer: the application's, or that to an error.
fn answer(handshake: &mut ServerHandshake, read: &Read, refuses: bool) -> Option<Vec<u8>> {
    if let Ok(Some(request)) = &read.result {
        if refuses || !request.is_upgrade {
            handshake.reject(Refusal::new(404)).unwrap();
        } else {
            let mut acceptance = Acceptance::new();
            if let Some(name) = request.subprotocols.last() {
                acceptance = acceptance.with_subprotocol(name);
            }
            let negotiated = handshake.accept(acceptance).unwrap();
            assert_eq!(
                negotiated.subprotocol(),
                request.subprotocols.last().map(|name| &**name)
            );
        }
    }
    let answer = handshake.poll_transmit().map(|output| output.to_vec());
    if let Some(answer) = &answer {
        assert!(answer.starts_with(b"HTTP/1.1 "));
        // 6455-10.5-01: nothing of the peer's can end a header line.
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let head = &answer[..head.unwrap()];
        let text = std::str::from_utf8(head).unwrap();
        assert!(text.split("\r\n").all(|line| !line.contains(['\r', '\n'])));
        if let Err(error) = &read.result {
            let status = format!("HTTP/1.1 {}", error.http_status().unwrap());
            assert!(text.starts_with(&status));
        }
    }
    answer
}

/// What RFC 6455 section 4.2.1 asks, read from the lines of the head by hand.
fn assert_lawful(request: &Facts, head: &[u8]) {
    assert!(head.ends_with(b"\r\n\r\n"));
    let head = head.strip_prefix(b"\r\n").unwrap_or(head);
    let count = |byte| head.iter().filter(|other| **other == byte).count();
    let lines = head.windows(2).filter(|two| two == b"\r\n").count();
    assert_eq!((count(b'\r'), count(b'\n')), (lines, lines));
    assert_eq!(request.headers.len(), lines - 2);
    assert!(head.starts_with(request.method.as_bytes()));

    let all = |name: &str| -> Vec<String> {
        let same = |(other, _): &&(String, Vec<u8>)| other.eq_ignore_ascii_case(name);
        let values = request.headers.iter().filter(same);
        values
            .map(|(_, value)| String::from_utf8_lossy(value).to_ascii_lowercase())
            .collect()
    };
    let has = |name, member: &str| {
        all(name)
            .iter()
            .any(|line| line.split(',').any(|part| part.trim() == member))
    };
    assert_eq!(all("Host").len(), 1);
    assert!(all("Transfer-Encoding").is_empty());
    if request.is_upgrade {
        assert_eq!(request.method, "GET");
        assert!(has("Upgrade", "websocket") && has("Connection", "upgrade"));
        assert_eq!(all("Sec-WebSocket-Version"), ["13"]);
        let key = all("Sec-WebSocket-Key");
        assert_eq!((key.len(), key[0].len()), (1, 24));
        assert_eq!(accept_key(key[0].as_bytes()).len(), 28);
    } else {
        assert!(all("Upgrade").is_empty());
    }
}
