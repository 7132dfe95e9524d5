//! What the process and its runtime use, looked at when metrics are collected.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use tokio::runtime::Handle;

use super::table;

/// Ticks of `/proc`'s clock in a second: fixed by Linux for what programs see.
const TICKS: f64 = 100.0;

/// Starts to observe; must be called within the tokio runtime that is observed.
pub(super) fn observe(meter: &Meter) {
    let runtime = Handle::current();
    gauge(meter, "clientele.runtime.workers", {
        let runtime = runtime.clone();
        move || Some(count(runtime.metrics().num_workers()))
    });
    gauge(meter, "clientele.runtime.tasks", {
        let runtime = runtime.clone();
        move || Some(count(runtime.metrics().num_alive_tasks()))
    });
    gauge(meter, "clientele.runtime.queue", {
        let runtime = runtime.clone();
        move || Some(count(runtime.metrics().global_queue_depth()))
    });
    gauge(meter, "process.memory.usage", resident_bytes);
    counter(meter, "clientele.runtime.busy_time", move || {
        let metrics = runtime.metrics();
        let busy = (0..metrics.num_workers())
            .map(|worker| metrics.worker_total_busy_duration(worker).as_secs_f64())
            .sum();
        vec![(busy, Vec::new())]
    });
    counter(meter, "process.cpu.time", || {
        let Some((user, system)) = cpu_seconds() else {
            return Vec::new();
        };
        let mode = |mode: &'static str| vec![KeyValue::new("cpu.mode", mode)];
        vec![(user, mode("user")), (system, mode("system"))]
    });
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of threads and tasks are small"
)]
fn count(number: usize) -> f64 {
    number as f64
}

fn gauge(
    meter: &Meter,
    name: &'static str,
    look: impl Fn() -> Option<f64> + Send + Sync + 'static,
) {
    let Some(metric) = table::find(name) else {
        return;
    };
    meter
        .f64_observable_gauge(name)
        .with_unit(metric.unit)
        .with_description(metric.meaning)
        .with_callback(move |observer| {
            if let Some(value) = look() {
                observer.observe(value, &[]);
            }
        })
        .build();
}

fn counter(
    meter: &Meter,
    name: &'static str,
    look: impl Fn() -> Vec<(f64, Vec<KeyValue>)> + Send + Sync + 'static,
) {
    let Some(metric) = table::find(name) else {
        return;
    };
    meter
        .f64_observable_counter(name)
        .with_unit(metric.unit)
        .with_description(metric.meaning)
        .with_callback(move |observer| {
            for (value, labels) in look() {
                observer.observe(value, &labels);
            }
        })
        .build();
}

/// None where there is no `/proc`.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let held = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = held.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

/// Time as the program and time in the system, so far.
fn cpu_seconds() -> Option<(f64, f64)> {
    let status = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name is in parentheses and may hold anything.
    let (_, fields) = status.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut seconds = || Some(fields.next()?.parse::<f64>().ok()? / TICKS);
    Some((seconds()?, seconds()?))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        assert!(resident_bytes().expect("/proc") > 1_000_000.0);
        let (user, system) = cpu_seconds().expect("/proc");
        assert!(user >= 0.0 && system >= 0.0 && user + system < 1_000_000.0);
    }
}
