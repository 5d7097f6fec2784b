//! `ws`: connect, listen, echo, measure and inspect WebSockets from the command line.

mod args;
mod bench;
mod connect;
mod dial;
mod echo;
mod exit;
mod input;
mod inspect;
mod listen;
mod output;
mod request;
mod server;
mod session;
mod signals;
mod stdout;

use std::future::Future;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};

use exit::{Exit, Failure};

/// Connects to WebSocket servers, is one, measures them, and shows what is on the wire.
#[derive(Parser)]
#[command(name = "ws", version, after_help = exit::TABLE, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(after_long_help = exit::TABLE)]
    Connect(connect::Options),
    Listen(listen::Options),
    Echo(echo::Options),
    #[command(after_long_help = exit::TABLE)]
    Bench(bench::Options),
    Inspect(inspect::Options),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(mut error) => {
            hide_secrets(&mut error);
            // A reader that went away wants no help.
            let _printed = error.print();
            return match error.exit_code() {
                0 => Exit::Success.into(),
                _ => Exit::Usage.into(),
            };
        }
    };
    let result = match cli.command {
        Command::Connect(options) => run(connect::run(options)),
        Command::Listen(options) => run(listen::run(options)),
        Command::Echo(options) => run(echo::run(options)),
        Command::Bench(options) => run(bench::run(options)),
        Command::Inspect(options) => inspect::run(&options),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::report(&failure);
            failure.exit().into()
        }
    }
}

/// An argument that is refused is told, but not what only its owner should know: the credentials of a
/// URL, wherever it was put, and headers.
fn hide_secrets(error: &mut clap::Error) {
    let is_header = matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(name)) if name.contains("--header")
    );
    for kind in [
        ContextKind::InvalidArg,
        ContextKind::InvalidSubcommand,
        ContextKind::InvalidValue,
    ] {
        let Some(ContextValue::String(told)) = error.get(kind) else {
            continue;
        };
        let told = match kind {
            ContextKind::InvalidValue if is_header => output::HIDDEN.into(),
            _ => output::without_userinfo(told),
        };
        error.insert(kind, ContextValue::String(told));
    }
}

/// Runs a command on tokio. It ends with the command: a thread that waits for stdin is left behind.
fn run(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_fit_together() {
        super::Cli::command().debug_assert();
    }
}
