//! The table that people read.

use std::collections::BTreeMap;

use harness::engine::Engine;
use harness::overload::Round;

use crate::load::Figures;
use crate::pgbench::Script;

/// What was measured so far; each row is printed as soon as it is there.
pub struct Report {
    empty: BTreeMap<usize, f64>,
    pgbench: BTreeMap<(&'static str, usize), f64>,
}

#[expect(clippy::print_stdout, reason = "this is the output")]
impl Report {
    /// Prints the head.
    pub fn begin(seconds: u64) -> Self {
        println!(
            "Closed loop, {seconds} s a row after warm-up, client and servers on the same cores."
        );
        println!(
            "{:<44}{:>8}{:>11}{:>9}{:>9}  ratios",
            "what", "clients", "calls/s", "p50 ms", "p99 ms"
        );
        Self {
            empty: BTreeMap::new(),
            pgbench: BTreeMap::new(),
        }
    }

    /// Takes a row of the empty call.
    pub fn empty(&mut self, clients: usize, figures: Figures) {
        self.empty.insert(clients, figures.per_second);
        row("empty gRPC call", clients, figures, "");
    }

    /// Takes a row of pgbench.
    pub fn pgbench(&mut self, script: Script, clients: usize, figures: Figures) {
        self.pgbench
            .insert((script.name, clients), figures.per_second);
        row(
            &format!("pgbench: {}", script.name),
            clients,
            figures,
            "(mean in place of p50)",
        );
    }

    /// Takes a row of ours, compared with the empty call and, where it writes or reads on
    /// PostgreSQL, with the pgbench scripts named.
    pub fn ours(
        &mut self,
        engine: Engine,
        what: &str,
        clients: usize,
        figures: Figures,
        beside: &[&'static str],
    ) {
        let mut ratios = Vec::new();
        if let Some(empty) = self.empty.get(&clients) {
            ratios.push(format!(
                "{:.0} % of empty",
                100.0 * figures.per_second / empty
            ));
        }
        for script in beside {
            if let Some(reference) = self.pgbench.get(&(*script, clients)) {
                let percent = 100.0 * figures.per_second / reference;
                ratios.push(format!("{percent:.0} % of pgbench {script}"));
            }
        }
        row(
            &format!("{engine}: {what}"),
            clients,
            figures,
            &ratios.join(", "),
        );
    }
}

#[expect(clippy::print_stdout, reason = "this is the output")]
/// Tells what is left at five times the calls that can be served, in the median round.
pub fn overload(engine: Engine, rounds: &[Round]) {
    let Some(median) = rounds.get(rounds.len() / 2) else {
        return;
    };
    let Round {
        peak,
        flood,
        health,
    } = median;
    println!(
        "{engine}: CreateContact, five times the load: {:.0} % of {peak:.0} calls/s are left, {} refused, \
         health in {:.1} ms",
        100.0 * median.left(),
        flood.refused,
        1e3 * health.as_secs_f64()
    );
}

#[expect(clippy::print_stdout, reason = "this is the output")]
fn row(what: &str, clients: usize, figures: Figures, ratios: &str) {
    println!(
        "{what:<44}{clients:>8}{:>11.0}{:>9.2}{:>9.2}  {ratios}",
        figures.per_second, figures.p50_ms, figures.p99_ms
    );
}
