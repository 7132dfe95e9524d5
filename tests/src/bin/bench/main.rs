//! `./dev bench`: our calls beside an empty gRPC call and pgbench, in one run on one machine.
//!
//! Machines differ and are noisy; what is compared are ratios of figures that were measured one
//! after the other in the same run, the client on the same cores.

mod calls;
mod empty;
mod load;
mod pgbench;
mod prepare;
mod report;

use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use harness::engine::engines;
use harness::overload;
use harness::suite::{Layout, Suite};

use report::Report;

/// How many clients call at once.
const CLIENTS: [usize; 3] = [1, 16, 64];
/// How often peak and flood are measured.
const ROUNDS: usize = 5;

/// Measures our calls beside an empty gRPC call and pgbench, as ratios.
#[derive(Parser)]
struct Arguments {
    /// How long each row is measured, in seconds.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// The rows to measure, with commas between them; all when left out.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Rows>,
    /// Serves empty calls instead, until it is killed.
    #[arg(long, hide = true)]
    empty_server: bool,
}

/// Rows of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rows {
    /// The empty gRPC call.
    Empty,
    /// pgbench on the same PostgreSQL.
    Pgbench,
    /// CreateContact.
    Create,
    /// GetContact.
    Read,
    /// ListContacts.
    List,
    /// ConvertContact.
    Convert,
    /// ConvertContact, taking away what billing holds a grant for.
    Recall,
    /// IssueInvoice.
    Issue,
    /// CreateContact at five times the calls that can be served.
    Overload,
}

impl Arguments {
    fn wants(&self, rows: Rows) -> bool {
        self.only.is_empty() || self.only.contains(&rows)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.empty_server {
        return empty::serve().await;
    }
    let span = Duration::from_secs(arguments.seconds);
    let mut report = Report::begin(arguments.seconds);
    if arguments.wants(Rows::Empty) {
        let server = empty::Process::start().await?;
        for clients in CLIENTS {
            let caller = empty::Caller::new(&server.uri, clients)?;
            report.empty(clients, load::run(clients, span, &caller).await);
        }
    }
    if arguments.wants(Rows::Pgbench)
        && let Some(pgbench) = pgbench::Pgbench::prepare()?
    {
        for script in pgbench::SCRIPTS {
            for clients in CLIENTS {
                let figures = pgbench.run(script, clients, arguments.seconds)?;
                report.pgbench(script, clients, figures);
            }
        }
    }
    for engine in engines() {
        let suite = Suite::start(engine, Layout::One).await;
        calls::measure(engine, &suite, &arguments, &mut report).await?;
    }
    if arguments.wants(Rows::Overload) {
        for engine in engines() {
            report::overload(engine, &overload::rounds(engine, ROUNDS).await);
        }
    }
    Ok(())
}
