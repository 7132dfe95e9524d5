//! The one binary of the suite: it runs the services, prepares their databases, and is a client.
//!
//! Exit codes: 0 done, 1 failed, 64 wrong configuration or command line (the message names the
//! setting).

mod cli;
mod commands;
mod exit;
mod settings;

use std::process::ExitCode;

use cli::{Cli, Command};
use settings::{Said, Settings};

fn main() -> ExitCode {
    serve::tls::install_provider();
    let Settings { cli, said } = match Settings::read(std::env::args_os().collect()) {
        Ok(settings) => settings,
        Err(unread) => return exit::unread(unread),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&error.into(), &said.origins),
    };
    let result = runtime.block_on(run(cli, &said));
    // What still runs in the background is past its grace: nobody waits for it.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error, &said.origins),
    }
}

async fn run(cli: Cli, said: &Said) -> anyhow::Result<()> {
    match cli.command {
        Command::Up(args) => commands::up::run(args, &said.origins).await,
        Command::Serve(args) => commands::serve::run(args, &said.origins).await,
        Command::Migrate(args) => commands::migrate::run(&args),
        Command::Epoch(args) => commands::epoch::run(args).await,
        Command::Holders(args) => commands::holders::run(args).await,
        Command::Events(args) => commands::events::run(args).await,
        Command::Config(args) => {
            commands::config::run(&args, said);
            Ok(())
        }
        Command::Token(args) => commands::token::run(&args),
        Command::Policy(args) => commands::policy::run(&args),
        Command::Import(args) => commands::import::run(args).await,
        Command::Demo(args) => commands::demo::run(args).await,
    }
}
