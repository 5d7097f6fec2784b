//! What is written to stdout and stderr: data as it is into pipes, and decorated on terminals.

use std::fmt::{self, Display, Write as _};
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use sockeye::Message;

use crate::exit::Failure;

pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();

/// So much of a binary message is shown on a terminal.
const MAX_SHOWN: usize = 256;

/// One line for an error, and what may help.
pub(crate) fn report(failure: &Failure) {
    let hint = failure
        .hint()
        .map(|hint| format!(" {DIM}({hint}){DIM:#}"))
        .unwrap_or_default();
    note(format_args!("{RED}error:{RED:#} {failure}{hint}"));
}

/// A line to stderr. Who does not listen any more misses nothing.
pub(crate) fn note(line: impl Display) {
    let _written = writeln!(anstream::stderr(), "{line}");
}

/// Where messages go. Into a pipe they go as they are: text as a line, binary as its bytes. A terminal
/// gets binary as hex, and no control characters, with which a peer could do what it likes to it.
#[derive(Debug)]
pub(crate) struct Messages {
    stdout: BufWriter<Stdout>,
    is_terminal: bool,
    is_colored: bool,
}

impl Messages {
    pub(crate) fn new() -> Self {
        let stdout = io::stdout();
        Self {
            is_terminal: stdout.is_terminal(),
            is_colored: anstream::AutoStream::choice(&stdout) != ColorChoice::Never,
            stdout: BufWriter::new(stdout),
        }
    }

    /// Writes a message, which may stay in the buffer until [`flush`](Self::flush).
    pub(crate) fn message(&mut self, message: &Message<'_>) -> io::Result<()> {
        match (message.as_text(), self.is_terminal) {
            (Some(text), false) => writeln!(self.stdout, "{text}"),
            (Some(text), true) => {
                let (dim, end) = self.style(DIM);
                writeln!(self.stdout, "{dim}<{end} {}", printable(text))
            }
            (None, false) => self.stdout.write_all(message.as_bytes()),
            (None, true) => {
                let (dim, end) = self.style(DIM);
                let (cyan, end_cyan) = self.style(CYAN);
                let bytes = message.as_bytes();
                let hex = hex_preview(bytes, MAX_SHOWN);
                let count = bytes.len();
                writeln!(
                    self.stdout,
                    "{dim}< binary, {count} bytes:{end} {cyan}{hex}{end_cyan}"
                )
            }
        }
    }

    /// Writes a message of one peer among many as a line: also binary ones, as hex.
    pub(crate) fn message_of(&mut self, peer: u64, message: &Message<'_>) -> io::Result<()> {
        let (green, end) = self.style(GREEN);
        write!(self.stdout, "{green}{peer}:{end} ")?;
        match message.as_text() {
            Some(text) if self.is_terminal => writeln!(self.stdout, "{}", printable(text)),
            Some(text) => writeln!(self.stdout, "{text}"),
            None => {
                let bytes = message.as_bytes();
                let most = if self.is_terminal {
                    MAX_SHOWN
                } else {
                    usize::MAX
                };
                let (cyan, end) = self.style(CYAN);
                let hex = hex_preview(bytes, most);
                writeln!(
                    self.stdout,
                    "binary, {} bytes: {cyan}{hex}{end}",
                    bytes.len()
                )
            }
        }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }

    /// What begins and ends a style, where there are styles.
    fn style(&self, style: Style) -> (impl Display + use<>, impl Display + use<>) {
        let style = if self.is_colored { style } else { Style::new() };
        (style.render(), style.render_reset())
    }
}

/// In place of a secret.
pub(crate) const HIDDEN: &str = "(hidden)";

/// A URL, perhaps a wrong one, without the user name and password in it.
pub(crate) fn without_userinfo(url: &str) -> String {
    let Some((userinfo, rest)) = url.rsplit_once('@') else {
        return printable(url).to_string();
    };
    let scheme = match userinfo.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://"),
        None => String::new(),
    };
    format!("{}{HIDDEN}@{}", printable(&scheme), printable(rest))
}

/// The text without what a terminal would obey: control characters are escaped.
pub(crate) fn printable(text: &str) -> Printable<'_> {
    Printable(text)
}

pub(crate) struct Printable<'a>(&'a str);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '\t' => f.write_char(char)?,
                // Also those that turn the direction of what follows around.
                _ if char.is_control()
                    || matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
                {
                    write!(f, "{}", char.escape_default())?;
                }
                _ => f.write_char(char)?,
            }
        }
        Ok(())
    }
}

/// Bytes in hex with spaces, at most `most` of them.
pub(crate) fn hex_preview(bytes: &[u8], most: usize) -> String {
    let shown = bytes.get(..most).unwrap_or(bytes);
    let mut hex = String::with_capacity(3 * shown.len());
    for (index, byte) in shown.iter().enumerate() {
        let gap = if index == 0 { "" } else { " " };
        // A `String` takes everything.
        let _written = write!(hex, "{gap}{byte:02x}");
    }
    match bytes.len() - shown.len() {
        0 => hex,
        more => format!("{hex} ... {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_safe() {
        assert_eq!(
            printable("a\tb\x1b[31m\n").to_string(),
            "a\tb\\u{1b}[31m\\n"
        );
        assert_eq!(printable("\u{202e}x").to_string(), "\\u{202e}x");
        assert_eq!(printable("größer κόσμε").to_string(), "größer κόσμε");
    }

    #[test]
    fn urls_without_secrets() {
        for (url, shown) in [
            ("ws://host/path", "ws://host/path"),
            ("ws://a:b@host/", "ws://(hidden)@host/"),
            ("ws://a:b/@c@host", "ws://(hidden)@host"),
            ("a:b@host", "(hidden)@host"),
            ("a:b@", "(hidden)@"),
        ] {
            assert_eq!(without_userinfo(url), shown);
        }
    }

    #[test]
    fn previews() {
        assert_eq!(hex_preview(b"", 4), "");
        assert_eq!(hex_preview(b"\x00\xff", 4), "00 ff");
        assert_eq!(hex_preview(b"\x00\xff\x10", 2), "00 ff ... 1 more");
    }
}
