//! How a capture is written down.

use std::io::{self, Write};

use sockeye::frame::OpCode;

use super::From;
use super::direction::{Meaning, describe};
use super::frame::Frame;
use super::head::Head;
use super::rules::Broken;
use crate::output::{BOLD, CYAN, DIM, GREEN, RED, YELLOW, hex_preview, printable};

/// So many bytes are in a row.
const ROW: usize = 16;

/// So wide are their digits.
const WIDTH: usize = 3 * ROW - 1;

pub(super) struct Show<'o, W> {
    out: &'o mut W,
    /// How much of a payload is shown.
    most: usize,
    frames: usize,
    broken: usize,
}

impl<'o, W: Write> Show<'o, W> {
    pub(super) fn new(out: &'o mut W, most: usize) -> Self {
        Self {
            out,
            most,
            frames: 0,
            broken: 0,
        }
    }

    /// How many rules were broken so far.
    pub(super) fn broken(&self) -> usize {
        self.broken
    }

    pub(super) fn head(&mut self, head: &Head<'_>) -> io::Result<()> {
        let whose = if head.is_request() {
            "request"
        } else {
            "answer"
        };
        writeln!(
            self.out,
            "{BOLD}handshake: {whose}, {} bytes{BOLD:#}",
            head.len()
        )?;
        for line in head.lines() {
            writeln!(self.out, "  {DIM}{}{DIM:#}", printable(&line))?;
        }
        writeln!(self.out)
    }

    pub(super) fn frame(
        &mut self,
        frame: &Frame<'_>,
        from: From,
        payload: &[u8],
        meaning: &Meaning,
        broken: &[Broken],
        hint: Option<&str>,
    ) -> io::Result<()> {
        self.frames += 1;
        self.broken += broken.len();
        let who = match from {
            From::Client => "client",
            From::Server => "server",
            From::Both | From::Auto if frame.is_masked() => "client",
            From::Both | From::Auto => "server",
        };
        writeln!(
            self.out,
            "{BOLD}frame {}: {} from the {who}, {}{BOLD:#}",
            self.frames,
            name(frame.opcode()),
            count(frame.len(), "byte")
        )?;
        self.header(frame)?;
        self.payload(frame, payload)?;
        self.meaning(meaning)?;
        for broken in broken {
            writeln!(
                self.out,
                "  {RED}! {}{RED:#}",
                printable(&broken.to_string())
            )?;
        }
        if frame.missing() > 0 {
            writeln!(
                self.out,
                "  {YELLOW}the capture ends here, {} too early{YELLOW:#}",
                count(frame.missing(), "byte")
            )?;
        }
        if let Some(hint) = hint {
            writeln!(self.out, "  {DIM}{hint}{DIM:#}")?;
        }
        writeln!(self.out)
    }

    fn header(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let rsv = frame.rsv();
        let fin = u8::from(frame.is_final());
        let opcode = frame.opcode();
        self.row(
            frame.at(),
            &[frame.first_byte()],
            &format!(
                "FIN {fin}, RSV {rsv:03b}, opcode {opcode:#x} ({})",
                name(opcode)
            ),
        )?;
        let form = match frame.length_bytes().len() {
            1 => "7 bits",
            3 => "7+16 bits",
            _ => "7+64 bits",
        };
        let mask = u8::from(frame.is_masked());
        let at = frame.at() + 1;
        self.row(
            at,
            frame.length_bytes(),
            &format!("MASK {mask}, length {} in {form}", frame.len()),
        )?;
        if frame.is_masked() {
            let at = at + frame.length_bytes().len();
            self.row(at, frame.key_bytes(), "masking key")?;
        }
        Ok(())
    }

    /// The bytes on the wire, and beside them the characters that they stand for.
    fn payload(&mut self, frame: &Frame<'_>, unmasked: &[u8]) -> io::Result<()> {
        let wire = frame.payload();
        let shown = wire.len().min(self.most);
        let rows = wire.get(..shown).unwrap_or(wire).chunks(ROW);
        for (index, (wire, unmasked)) in rows.zip(unmasked.chunks(ROW)).enumerate() {
            let text: String = unmasked
                .iter()
                .take(wire.len())
                .map(|byte| ascii(*byte))
                .collect();
            self.row(frame.payload_at() + index * ROW, wire, &format!("|{text}|"))?;
        }
        match wire.len() - shown {
            0 => Ok(()),
            more => writeln!(self.out, "  {DIM}...     {more} more{DIM:#}"),
        }
    }

    fn meaning(&mut self, meaning: &Meaning) -> io::Result<()> {
        match meaning {
            Meaning::Bytes => Ok(()),
            Meaning::Lost => writeln!(
                self.out,
                "  {YELLOW}not inflated: what it refers to is not valid{YELLOW:#}"
            ),
            Meaning::Text(text) => self.text("=", text),
            Meaning::Close(code, reason) => {
                let reason = match &**reason {
                    "" => String::new(),
                    reason => format!(", reason \"{}\"", printable(reason)),
                };
                writeln!(
                    self.out,
                    "  {GREEN}= code {}{reason}{GREEN:#}",
                    describe(*code)
                )
            }
            Meaning::Message(whole) => {
                let kind = if whole.is_text { "text" } else { "binary" };
                let frames = match whole.frames {
                    1 => String::new(),
                    count => format!(" in {count} frames"),
                };
                let inflated = match whole.is_compressed {
                    true => format!(", inflated to {}", whole.payload.len()),
                    false => String::new(),
                };
                let len = count(whole.len as u64, "byte");
                let title = format!("= {kind} message{frames}, {len}{inflated}:");
                match whole.is_text {
                    true => self.text(&title, &whole.payload),
                    false => {
                        let hex = hex_preview(&whole.payload, self.most);
                        writeln!(self.out, "  {GREEN}{title}{GREEN:#} {CYAN}{hex}{CYAN:#}")
                    }
                }
            }
        }
    }

    /// A text in quotes, as much as is shown of a payload.
    fn text(&mut self, title: &str, text: &[u8]) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let shown = text.get(..self.most).unwrap_or(text);
        // What is cut may end inside a character.
        let shown = match str::from_utf8(shown) {
            Err(error) if error.error_len().is_none() => {
                shown.get(..error.valid_up_to()).unwrap_or(shown)
            }
            _ => shown,
        };
        let more = match text.len() - shown.len() {
            0 => String::new(),
            more => format!(" {DIM}... {more} more{DIM:#}"),
        };
        let shown = String::from_utf8_lossy(shown);
        writeln!(
            self.out,
            "  {GREEN}{title} \"{}\"{GREEN:#}{more}",
            printable(&shown)
        )
    }

    /// What is left and no whole header.
    pub(super) fn rest(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        self.row(at, bytes, "")?;
        writeln!(
            self.out,
            "  {YELLOW}the capture ends here, inside a header{YELLOW:#}\n"
        )
    }

    pub(super) fn summary(&mut self, len: usize) -> io::Result<()> {
        let verdict = match self.broken {
            0 => format!("{GREEN}no rule broken{GREEN:#}"),
            broken => format!("{RED}{} broken{RED:#}", count(broken as u64, "rule")),
        };
        writeln!(
            self.out,
            "{}, {}, {verdict}",
            count(self.frames as u64, "frame"),
            count(len as u64, "byte")
        )
    }

    /// An offset, bytes in hex, and what they are.
    fn row(&mut self, at: usize, bytes: &[u8], what: &str) -> io::Result<()> {
        let hex = hex_preview(bytes, usize::MAX);
        let line = format!("  {DIM}{at:06x}{DIM:#}  {CYAN}{hex:<WIDTH$}{CYAN:#}  {what}");
        writeln!(self.out, "{}", line.trim_end())
    }
}

fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

fn name(opcode: u8) -> &'static str {
    match OpCode::from_u8(opcode) {
        Some(OpCode::Continuation) => "continuation",
        Some(OpCode::Text) => "text",
        Some(OpCode::Binary) => "binary",
        Some(OpCode::Close) => "close",
        Some(OpCode::Ping) => "ping",
        Some(OpCode::Pong) => "pong",
        None => "reserved",
    }
}

fn ascii(byte: u8) -> char {
    match byte {
        b' '..=b'~' => byte.into(),
        _ => '.',
    }
}
