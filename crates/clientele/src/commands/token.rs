//! `token`: makes a token for development.

use std::time::Duration;

use anyhow::Result;
use serve::identity::{DevelopmentGrants, DevelopmentKey, DevelopmentToken};
use types::Clock;

use crate::cli::Token;
use crate::exit::WrongSetting;

/// Runs the command. Only the token goes to the standard output, so that a script can take it.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command's output, and how to use it"
)]
pub fn run(args: &Token) -> Result<()> {
    let key = DevelopmentKey::open_or_create(&args.key_dir)
        .map_err(|error| WrongSetting::new("--key-dir", &error))?;
    let grants = match args.service {
        Some(service) => DevelopmentGrants::Service(service.name().to_owned()),
        None => DevelopmentGrants::Workspace {
            workspace: args.workspace.clone(),
            roles: args.roles.clone(),
        },
    };
    let token = key.sign(&DevelopmentToken {
        issuer: args.issuer.clone(),
        audience: args.audience.clone(),
        subject: args.subject.clone(),
        grants,
        now: Clock::system().now(),
        lifetime: Duration::from_secs(args.lifetime_seconds),
    })?;
    println!("{token}");
    eprintln!(
        "for servers started with --jwks {} --issuer {} --audience {}",
        key.key_set().display(),
        args.issuer,
        args.audience
    );
    Ok(())
}
