//! pgbench on the same PostgreSQL: what the database itself does for the same work.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use harness::engine::Databases;
use tempfile::TempDir;

use crate::load::Figures;

/// The scripts, by name.
pub const SCRIPTS: [Script; 3] = [
    Script {
        name: "point select",
        text: "\\set n random(1, 10000)\nSELECT body FROM item WHERE id = 'seed-' || :n;\n",
    },
    Script {
        name: "create, one statement",
        text: "WITH k AS (INSERT INTO request (id, hash) VALUES (gen_random_uuid(), 'h') RETURNING id), \
               i AS (INSERT INTO item (id, body) SELECT k.id::text, repeat('x', 400) FROM k RETURNING id) \
               INSERT INTO log (item, body) SELECT i.id, repeat('x', 400) FROM i;\n",
    },
    Script {
        name: "create, five round trips",
        text: "\\set n random(1, 1000000000000)\nBEGIN;\n\
               INSERT INTO request (id, hash) VALUES (gen_random_uuid(), 'h');\n\
               INSERT INTO item (id, body) VALUES (gen_random_uuid()::text, repeat('x', 400));\n\
               INSERT INTO log (item, body) VALUES (:n, repeat('x', 400));\nCOMMIT;\n",
    },
];

const TABLES: &str = "
    CREATE TABLE item (id text PRIMARY KEY, body text NOT NULL);
    CREATE TABLE request (id uuid PRIMARY KEY, hash text NOT NULL);
    CREATE TABLE log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text, body text);
    INSERT INTO item SELECT 'seed-' || n, repeat('x', 400) FROM generate_series(1, 10000) n;
    ANALYZE;";

/// What pgbench is to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// What it does.
    pub name: &'static str,
    text: &'static str,
}

/// A database of its own for pgbench.
pub struct Pgbench {
    program: String,
    databases: Databases,
    folder: TempDir,
}

impl Pgbench {
    /// Prepares the tables; `None` where `CLIENTELE_PGBENCH` names no program.
    pub fn prepare() -> Result<Option<Self>> {
        let Ok(program) = std::env::var("CLIENTELE_PGBENCH") else {
            return Ok(None);
        };
        let databases = Databases::create();
        PgConnection::establish(&databases.owner_url("contacts"))?.batch_execute(TABLES)?;
        Ok(Some(Self {
            program,
            databases,
            folder: tempfile::tempdir()?,
        }))
    }

    /// Runs a script with `clients` connections.
    pub fn run(&self, script: Script, clients: usize, seconds: u64) -> Result<Figures> {
        let path = self.folder.path().join("script.sql");
        std::fs::write(&path, script.text)?;
        let output = Command::new(&self.program)
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
            .args([
                "--client",
                &clients.to_string(),
                "--time",
                &seconds.to_string(),
            ])
            .arg("--file")
            .arg(&path)
            .arg(self.databases.owner_url("contacts"))
            .output()
            .context("pgbench")?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(Figures {
            per_second: figure(&text, "tps = ")?,
            p50_ms: figure(&text, "latency average = ")?,
            p99_ms: 0.0,
        })
    }
}

fn figure(text: &str, label: &str) -> Result<f64> {
    let at = text
        .find(label)
        .with_context(|| format!("pgbench does not say {label}"))?;
    let rest = &text[at + label.len()..];
    let number = rest.split_whitespace().next().context("a figure")?;
    Ok(number.parse()?)
}
