//! `./dev bench`: our calls beside an empty gRPC call and pgbench, in one run on one machine.
//!
//! Machines differ and are noisy; what is compared are ratios of figures that were measured one
//! after the other in the same run, the client on the same cores.

mod calls;
mod empty;
mod load;
mod pgbench;
mod report;

use std::time::Duration;

use anyhow::Result;
use harness::engine::engines;
use harness::suite::{Layout, Suite};

use report::Report;

/// How many clients call at once.
const CLIENTS: [usize; 3] = [1, 16, 64];

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("empty-server") => return empty::serve().await,
        Some("--seconds") | None => {}
        Some(other) => anyhow::bail!("bench takes --seconds N, not {other}"),
    }
    let seconds: u64 = arguments.next().map_or(Ok(4), |text| text.parse())?;
    let span = Duration::from_secs(seconds);
    let mut report = Report::begin(seconds);

    let server = empty::Process::start().await?;
    for clients in CLIENTS {
        report.empty(
            clients,
            load::run(clients, span, &empty::Caller::new(&server.uri, clients)?).await,
        );
    }
    drop(server);

    if let Some(pgbench) = pgbench::Pgbench::prepare()? {
        for script in pgbench::SCRIPTS {
            for clients in CLIENTS {
                report.pgbench(script, clients, pgbench.run(script, clients, seconds)?);
            }
        }
    }
    for engine in engines() {
        let suite = Suite::start(engine, Layout::One).await;
        calls::measure(engine, &suite, span, &mut report).await?;
    }
    Ok(())
}
