//! `Sec-WebSocket-Extensions` in both directions, against a naive reading of its grammar (RFC 6455
//! section 9.1) and of the rules of permessage-deflate (RFC 7692 section 7.1).

use sockeye::handshake::{Acceptance, ClientHandshake, ClientRequest, ServerHandshake};
use sockeye::{Config, Deflate, DeflateParams, HandshakeError, Input, Memory};

use super::wire::{START, Source};

const NAME: &str = "permessage-deflate";

/// Two bytes of choices for the client's configuration, two for the server's; the rest are lines of
/// the header.
pub fn check(data: &[u8]) {
    let mut source = Source(data);
    let client = settings(&mut source, Deflate::client());
    let server = settings(&mut source, Deflate::server());
    let lines: Vec<_> = source.0.split(|byte| *byte == b'\n').collect();
    if source.0.len() > 8000 || lines.len() > 90 {
        return; // For the limits of a head there is another target.
    }
    check_request(&server, &lines);
    check_response(&client, &lines);
    check_agreement(&client, &server);
}

fn settings(source: &mut Source<'_>, deflate: Deflate) -> Deflate {
    let (memory, bits) = (source.flags(), source.byte());
    let memories = [
        Memory::Retained,
        Memory::Window,
        Memory::NoTakeover,
        Memory::Window,
    ];
    deflate
        .with_send_memory(memories[memory.number(0, 2)])
        .with_receive_memory(memories[memory.number(2, 2)])
        .with_send_window_bits(bits & 0x0F)
        .with_receive_window_bits(bits >> 4)
}

fn check_request(server: &Deflate, lines: &[&[u8]]) {
    let head = b"GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n";
    let mut head = with_lines(head, lines);
    let config = Config::new().with_deflate(server.clone());
    let mut handshake = ServerHandshake::new(&config, START);
    let result = handshake.receive(START, &mut Input::new(&mut head));
    let Some(offers) = expected_list(lines, result.as_ref().err()) else {
        return;
    };
    result.unwrap().unwrap();
    let agreed = handshake.accept(Acceptance::new()).unwrap().deflate();

    let mut offers = offers.iter().filter(|offer| offer.name == NAME);
    let offer = offers.find_map(|offer| {
        let params = Params::read(offer)?;
        // A window of 8 bits is not promised.
        (params.server_bits != Some(8)).then_some(params)
    });
    assert_eq!(agreed.is_some(), offer.is_some());
    let (Some(offer), Some(agreed)) = (offer, agreed) else {
        return;
    };
    // 7692-7.1.1: what the client asks of the server must be met; the rest is the server's choice.
    assert!(agreed.server_max_window_bits <= offer.server_bits.unwrap_or(15));
    assert!(agreed.server_max_window_bits <= server.send_window_bits());
    assert!(agreed.server_no_context_takeover || !offer.server_no_context);
    assert!(agreed.client_no_context_takeover || !offer.client_no_context);
    match offer.client_bits {
        None => assert_eq!(agreed.client_max_window_bits, 15),
        Some(hint) => assert!(agreed.client_max_window_bits <= hint.unwrap_or(15)),
    }
}

fn check_response(client: &Deflate, lines: &[&[u8]]) {
    let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    let mut head = with_lines(head, lines);
    let config = Config::new().with_deflate(client.clone());
    let mut handshake = new_client(&config);
    handshake.poll_transmit().unwrap().clear();
    let result = handshake.receive(START, &mut Input::new(&mut head));
    let Some(answers) = expected_list(lines, result.as_ref().err()) else {
        return;
    };

    let expected = match &*answers {
        [] => Ok(None),
        [answer] if answer.name == NAME => Params::read(answer)
            .filter(|params| params.server_bits.unwrap_or(15) <= client.receive_window_bits())
            .filter(|params| {
                params.server_no_context || client.receive_memory() != Memory::NoTakeover
            })
            .filter(|params| params.client_bits != Some(None))
            .map(Some)
            .ok_or(HandshakeError::BadExtension),
        _ => Err(HandshakeError::UnofferedExtension),
    };
    match (result, expected) {
        (Err(error), expected) => assert_eq!(error, expected.unwrap_err()),
        (Ok(accepted), expected) => {
            let agreed = accepted.unwrap().negotiated.deflate();
            let expected = expected.unwrap().map(|params| {
                let mut agreed = DeflateParams::new();
                agreed.server_no_context_takeover = params.server_no_context;
                agreed.client_no_context_takeover =
                    params.client_no_context || client.send_memory() == Memory::NoTakeover;
                agreed.server_max_window_bits = params.server_bits.unwrap_or(15);
                agreed.client_max_window_bits = params.client_bits.flatten().unwrap_or(15);
                agreed
            });
            assert_eq!(agreed, expected);
        }
    }
}

/// Whatever both want, they agree on the same, or on nothing.
fn check_agreement(client: &Deflate, server: &Deflate) {
    let (client_config, server_config) = (
        Config::new().with_deflate(client.clone()),
        Config::new().with_deflate(server.clone()),
    );
    let mut client_side = new_client(&client_config);
    let mut server_side = ServerHandshake::new(&server_config, START);
    let mut request = std::mem::take(client_side.poll_transmit().unwrap()).to_vec();
    server_side
        .receive(START, &mut Input::new(&mut request))
        .unwrap()
        .unwrap();
    let agreed = server_side.accept(Acceptance::new()).unwrap().deflate();
    let mut response = server_side.poll_transmit().unwrap().to_vec();
    let accepted = client_side.receive(START, &mut Input::new(&mut response));
    let mut accepted = accepted.unwrap().unwrap().negotiated.deflate();
    if let (Some(accepted), Some(agreed)) = (&mut accepted, &agreed) {
        // 7692-7.1.1.2-01: a client may always reset its context, and need not be told to.
        accepted.client_no_context_takeover = agreed.client_no_context_takeover;
    }
    assert_eq!(accepted, agreed);
}

fn new_client(config: &Config) -> ClientHandshake {
    let request = ClientRequest::new("ws://example.com/").unwrap();
    ClientHandshake::new(config, &request, *b"the sample nonce", START).unwrap()
}

fn with_lines(head: &[u8], lines: &[&[u8]]) -> Vec<u8> {
    let mut head = head.to_vec();
    for line in lines {
        head.extend(b"Sec-WebSocket-Extensions: ");
        head.extend(*line);
        head.extend(b"\r\n");
    }
    head.extend(b"\r\n");
    head
}

/// The list that the lines hold. `None` if they hold none, and the handshake said so.
fn expected_list(lines: &[&[u8]], error: Option<&HandshakeError>) -> Option<Vec<Extension>> {
    let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    if !lines.iter().all(|line| line.iter().all(is_text)) {
        assert_eq!(error, Some(&HandshakeError::Malformed));
        return None;
    }
    if lines.len() > 90 {
        return None; // The number of header lines has a limit of its own.
    }
    let list = list(lines);
    if list.is_none() {
        assert_eq!(error, Some(&HandshakeError::BadExtension));
    }
    list
}

struct Extension {
    name: String,
    params: Vec<(String, Option<String>)>,
}

/// `1#extension`: quoted or not, a value is a token in the end, so no separator is ever inside.
fn list(lines: &[&[u8]]) -> Option<Vec<Extension>> {
    let mut list = Vec::new();
    for line in lines {
        let line: String = line.iter().map(|byte| char::from(*byte)).collect();
        let members = line.split(',').map(trim).filter(|part| !part.is_empty());
        for member in members {
            let mut parts = member.split(';').map(trim);
            let name = token(parts.next()?)?;
            let params: Vec<_> = parts.map(param).collect::<Option<_>>()?;
            if list.len() == 16 || params.len() > 16 {
                return None;
            }
            list.push(Extension { name, params });
        }
    }
    Some(list)
}

fn param(part: &str) -> Option<(String, Option<String>)> {
    let Some((name, value)) = part.split_once('=') else {
        return Some((token(part)?, None));
    };
    let value = trim(value);
    let value = match value.strip_prefix('"') {
        None => token(value)?,
        Some(quoted) => {
            let mut plain = String::new();
            let mut chars = quoted.chars();
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => plain.push(chars.next()?),
                    char => plain.push(char),
                }
            }
            if !chars.as_str().is_empty() {
                return None;
            }
            token(&plain)?
        }
    };
    Some((token(trim(name))?, Some(value)))
}

fn token(text: &str) -> Option<String> {
    let is_token = |char: char| char.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(char);
    (!text.is_empty() && text.chars().all(is_token)).then(|| text.into())
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The parameters of one extension: each known, once, with a value that it may have.
#[derive(Debug)]
struct Params {
    server_no_context: bool,
    client_no_context: bool,
    server_bits: Option<u8>,
    client_bits: Option<Option<u8>>,
}

impl Params {
    fn read(extension: &Extension) -> Option<Self> {
        let mut names: Vec<_> = extension.params.iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        if names.len() < extension.params.len() {
            return None;
        }
        let bits = |value: &str| (8..=15).find(|bits: &u8| bits.to_string() == value);
        let mut params = Self {
            server_no_context: false,
            client_no_context: false,
            server_bits: None,
            client_bits: None,
        };
        for (name, value) in &extension.params {
            match (&**name, value) {
                ("server_no_context_takeover", None) => params.server_no_context = true,
                ("client_no_context_takeover", None) => params.client_no_context = true,
                ("server_max_window_bits", Some(value)) => params.server_bits = Some(bits(value)?),
                ("client_max_window_bits", None) => params.client_bits = Some(None),
                ("client_max_window_bits", Some(value)) => {
                    params.client_bits = Some(Some(bits(value)?));
                }
                _ => return None,
            }
        }
        Some(params)
    }
}
