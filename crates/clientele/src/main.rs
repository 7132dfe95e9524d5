//! The one binary of the suite: it runs the services, prepares their databases, and is a client.
//!
//! Exit codes: 0 done, 1 failed, 64 wrong configuration or command line (the message names the
//! setting).

mod cli;
mod commands;
mod exit;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

fn main() -> ExitCode {
    serve::tls::install_provider();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                exit::usage()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&error.into()),
    };
    let result = runtime.block_on(run(cli));
    // What still runs in the background is past its grace: nobody waits for it.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Up(args) => commands::up::run(args).await,
        Command::Serve(args) => commands::serve::run(args).await,
        Command::Migrate(args) => commands::migrate::run(&args),
        Command::Epoch(args) => commands::epoch::run(args).await,
        Command::Holders(args) => commands::holders::run(args).await,
        Command::Token(args) => commands::token::run(&args),
        Command::Policy(args) => commands::policy::run(&args),
        Command::Import(args) => commands::import::run(args).await,
        Command::Demo(args) => commands::demo::run(args).await,
    }
}
