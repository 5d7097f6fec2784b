//! What is written to stderr, and how text of others is shown.

use std::fmt::{self, Display, Write as _};
use std::io::Write as _;

use anstyle::{AnsiColor, Style};

use crate::exit::Failure;

pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();

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
pub(crate) fn printable(text: &str) -> Escaped<'_> {
    // Also those that turn the direction of what follows around.
    Escaped(text, |char| {
        is_control(char)
            || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

/// The text as one line, whatever its reader takes for the end of one.
pub(crate) fn one_line(text: &str) -> Escaped<'_> {
    Escaped(text, |char| {
        is_control(char) || matches!(char, '\u{2028}' | '\u{2029}')
    })
}

fn is_control(char: char) -> bool {
    char.is_control() && char != '\t'
}

/// A text in which some characters are escaped.
pub(crate) struct Escaped<'a>(&'a str, fn(char) -> bool);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text, is_escaped) = self;
        for char in text.chars() {
            match is_escaped(char) {
                true => write!(f, "{}", char.escape_default())?,
                false => f.write_char(char)?,
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
        assert_eq!(printable("\u{61c}x").to_string(), "\\u{61c}x");
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
