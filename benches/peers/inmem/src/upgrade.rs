//! Both sides of the opening handshake: what a browser asks, and what a server answers.

use base64::Engine;
use sha1::Digest;

pub const REQUEST: &[u8] = b"GET /chat/v1?room=42 HTTP/1.1\r\n\
Host: example.com:9001\r\n\
Connection: Upgrade\r\n\
Pragma: no-cache\r\n\
Cache-Control: no-cache\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
Upgrade: websocket\r\n\
Origin: http://example.com:9001\r\n\
Sec-WebSocket-Version: 13\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark\r\n\
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
\r\n";
/// What belongs to the key of [`REQUEST`].
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub const HOST: &str = "example.com:9001";
pub const TARGET: &str = "/chat/v1?room=42";
pub const URL: &str = "ws://example.com:9001/chat/v1?room=42";

const KEY_HEADER: &[u8] = b"sec-websocket-key:";

pub fn accept_key(key: &[u8]) -> [u8; 28] {
    let mut sha1 = sha1::Sha1::new();
    sha1.update(key);
    sha1.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let mut accept = [0; 28];
    let engine = base64::engine::general_purpose::STANDARD;
    let written = engine.encode_slice(sha1.finalize(), &mut accept);
    assert_eq!(written, Ok(accept.len()));
    accept
}

/// The answer to a request with this key.
pub fn response(key: &[u8]) -> Vec<u8> {
    let mut response = Vec::with_capacity(160);
    response.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
    );
    response.extend_from_slice(&accept_key(key));
    response.extend_from_slice(b"\r\n\r\n");
    response
}

/// The answer to a whole request.
pub fn respond(request: &[u8]) -> Vec<u8> {
    let mut windows = request.windows(KEY_HEADER.len());
    let name = windows.position(|window| window.eq_ignore_ascii_case(KEY_HEADER));
    let value = &request[name.expect("a key") + KEY_HEADER.len()..];
    let end = value.iter().position(|byte| *byte == b'\r');
    response(value[..end.expect("a line")].trim_ascii())
}
