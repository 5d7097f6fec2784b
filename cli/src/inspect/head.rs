//! The opening handshake in front of a capture.

/// So long is a head at most.
const MAX_HEAD: usize = 64 * 1024;

/// One side's half of an opening handshake.
pub(super) struct Head<'a> {
    bytes: &'a [u8],
}

/// The head that a capture begins with, if it does.
pub(super) fn at_front(capture: &[u8]) -> Option<Head<'_>> {
    if !capture.starts_with(b"GET ") && !capture.starts_with(b"HTTP/1.") {
        return None;
    }
    let front = capture.get(..MAX_HEAD).unwrap_or(capture);
    let end = front.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    Some(Head {
        bytes: front.get(..end + 4)?,
    })
}

impl Head<'_> {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a client sent it.
    pub(super) fn is_request(&self) -> bool {
        self.bytes.starts_with(b"GET ")
    }

    /// Whether compression is offered, or agreed to.
    pub(super) fn speaks_of_deflate(&self) -> bool {
        self.lines().any(|line| {
            let line = line.to_ascii_lowercase();
            line.starts_with("sec-websocket-extensions:") && line.contains("permessage-deflate")
        })
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let lines = self.bytes.split(|byte| *byte == b'\n');
        lines
            .map(|line| String::from_utf8_lossy(line).trim_end().to_owned())
            .filter(|line| !line.is_empty())
    }
}
