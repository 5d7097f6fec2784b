//! `ws inspect`: explains the frames of a capture.

mod direction;
mod frame;
mod head;
mod hex;
mod rules;
mod show;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Read as _, Write, stdin};
use std::path::PathBuf;

use sockeye::frame::{Header, Rules};

use crate::exit::{Exit, Failure};
use crate::output::{DIM, note};
use direction::Direction;
use frame::Frame;
use show::Show;

/// Explains the frames of a capture, byte by byte, and says which rule of RFC 6455 they break.
///
/// The capture is what one side sent, perhaps with its handshake in front. Which side, the masks tell.
/// The exit code is 4 if a rule is broken.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The capture. Without it, or as '-', stdin.
    file: Option<PathBuf>,
    /// The capture is text: hex digits with anything between, or a dump of xxd or hexdump -C.
    #[arg(long)]
    hex: bool,
    /// Who sent it.
    #[arg(long, value_enum, default_value_t = From::Auto)]
    from: From,
    /// Inflate compressed messages. It is on if a handshake in front speaks of permessage-deflate.
    #[arg(long)]
    deflate: bool,
    /// How many bytes of each payload to show.
    #[arg(long, value_name = "SIZE", default_value = "64", value_parser = crate::args::size)]
    payload: usize,
    /// Do not show the handshake.
    #[arg(long)]
    skip_head: bool,
}

/// Who sent a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum From {
    /// Whom the handshake in front, or the first frame's mask, makes it.
    Auto,
    /// A client: every frame has to be masked.
    Client,
    /// A server: no frame may be masked.
    Server,
    /// Both, one frame after the other, as the masks tell.
    Both,
}

pub(crate) fn run(options: &Options) -> Result<Exit, Failure> {
    let mut capture = read(options)?;
    if options.hex {
        capture = hex::decode(&capture).map_err(|line| {
            Failure::usage(format!("line {line} of the capture is not hex"))
                .with_hint("without --hex the bytes are taken as they are")
        })?;
    }
    let mut stdout = BufWriter::new(anstream::stdout());
    let result = inspect(&capture, options, &mut stdout).and_then(|broken| {
        stdout.flush()?;
        Ok(broken)
    });
    match result {
        Ok(0) => Ok(Exit::Success),
        Ok(_) => Ok(Exit::Protocol),
        // A reader that has enough, such as `head`, is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Success),
        Err(error) => Err(Failure::from(error).while_doing("writing to stdout")),
    }
}

fn read(options: &Options) -> Result<Vec<u8>, Failure> {
    let mut capture = Vec::new();
    let (result, name) = match options.file.as_ref().filter(|file| file.as_os_str() != "-") {
        Some(file) => (
            File::open(file).and_then(|mut file| file.read_to_end(&mut capture)),
            file.display().to_string(),
        ),
        None => {
            if stdin().is_terminal() {
                note(format_args!(
                    "{DIM}reading a capture from the terminal, up to Ctrl-D{DIM:#}"
                ));
            }
            (stdin().read_to_end(&mut capture), "stdin".into())
        }
    };
    match result {
        Ok(_) => Ok(capture),
        Err(error) => Err(Failure::usage(format!("{name}: {error}"))),
    }
}

/// Writes what there is to say, and returns how many rules are broken.
fn inspect(capture: &[u8], options: &Options, out: &mut impl Write) -> io::Result<usize> {
    let mut show = Show::new(out, options.payload);
    let mut from = options.from;
    let mut deflate = options.deflate;
    let mut at = 0;
    if let Some(head) = head::at_front(capture) {
        at = head.len();
        deflate |= head.speaks_of_deflate();
        if from == From::Auto {
            from = if head.is_request() {
                From::Client
            } else {
                From::Server
            };
        }
        if !options.skip_head {
            show.head(&head)?;
        }
    }
    let allowed = if deflate { Header::RSV1 } else { 0 };
    let mut client = Direction::new(deflate);
    let mut server = Direction::new(deflate);
    while at < capture.len() {
        let Some(frame) = Frame::parse(capture, at) else {
            show.rest(at, capture.get(at..).unwrap_or_default())?;
            break;
        };
        if from == From::Auto {
            from = if frame.is_masked() {
                From::Client
            } else {
                From::Server
            };
        }
        let (direction, rules) = match from {
            From::Client => (&mut client, Rules::server()),
            From::Server => (&mut server, Rules::client()),
            From::Both | From::Auto if frame.is_masked() => (&mut client, Rules::any()),
            From::Both | From::Auto => (&mut server, Rules::any()),
        };
        let payload = frame.unmasked();
        let mut broken = rules::broken_by_header(frame.header(), rules.with_rsv(allowed));
        let meaning = direction.take(&frame, &payload, &mut broken);
        let is_compressed = matches!(frame.opcode(), 1 | 2) && frame.rsv() & Header::RSV1 != 0;
        let hint = (is_compressed && !deflate)
            .then_some("RSV1 means compressed with permessage-deflate: see --deflate");
        show.frame(&frame, from, &payload, &meaning, &broken, hint)?;
        let Some(next) = frame.next() else {
            break;
        };
        at = next;
    }
    show.summary(capture.len())?;
    Ok(show.broken())
}
