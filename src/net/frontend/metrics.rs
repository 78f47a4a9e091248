//! `/metrics`: what the frontend counts, as OpenMetrics text.

use super::Shared;
use std::fmt::Write;
use std::sync::atomic::Ordering;

/// The metrics' media type.
pub(super) const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn text(shared: &Shared) -> String {
    let counters = &shared.counters;
    let mut out = String::new();
    let mut counter = |name: &str, help: &str, unit: &str, value: u64| {
        let _ = writeln!(out, "# TYPE {name} counter");
        if !unit.is_empty() {
            let _ = writeln!(out, "# UNIT {name} {unit}");
        }
        let _ = writeln!(out, "# HELP {name} {help}\n{name}_total {value}");
    };
    let http_bytes = counters.package_bytes.load(Ordering::Relaxed);
    counter("rocks_requests", "HTTP requests answered", "", counters.requests.load(Ordering::Relaxed));
    counter("rocks_profiles", "Profiles served", "", counters.profiles.load(Ordering::Relaxed));
    counter(
        "rocks_refusals",
        "Requests of unknown or not installing hosts",
        "",
        counters.refused.load(Ordering::Relaxed),
    );
    counter("rocks_events", "Progress reports taken in", "", counters.events.load(Ordering::Relaxed));
    let announces = counters.announces.load(Ordering::Relaxed);
    counter("rocks_announces", "Announces answered in place of a tracker", "", announces);
    counter("rocks_http_package_bytes", "Package bytes sent over HTTP", "bytes", http_bytes);
    counter("rocks_seed_package_bytes", "Package bytes sent by the seeds", "bytes", shared.seeds.sent_bytes());
    let _ = writeln!(out, "# TYPE rocks_seed_peers gauge\n# HELP rocks_seed_peers Peers connected to the seeds");
    let _ = writeln!(out, "rocks_seed_peers {}", shared.seeds.peers());
    let _ = writeln!(out, "# TYPE rocks_machines gauge\n# HELP rocks_machines Machines by phase of their installation");
    for (phase, count) in shared.board.counts() {
        let _ = writeln!(out, "rocks_machines{{phase=\"{phase}\"}} {count}");
    }
    let _ = writeln!(out, "# TYPE rocks_store_waiting_hosts gauge\n# UNIT rocks_store_waiting_hosts hosts");
    let _ = writeln!(out, "# HELP rocks_store_waiting_hosts Hosts whose news the cluster database has yet to take");
    let _ = writeln!(out, "rocks_store_waiting_hosts {}", shared.board.hosts_pending());
    let uptime = counters.started.elapsed().as_secs_f64();
    let _ = writeln!(out, "# TYPE rocks_uptime_seconds gauge\n# UNIT rocks_uptime_seconds seconds");
    let _ = writeln!(out, "# HELP rocks_uptime_seconds Time since the start\nrocks_uptime_seconds {uptime:.3}");
    out.push_str("# EOF\n");
    out
}
