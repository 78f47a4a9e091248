//! What the announce service counts, in OpenMetrics' text.

use super::Shared;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often the log has a line of what was counted, where anything was.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(60);

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) http_announces: AtomicU64,
    pub(super) udp_announces: AtomicU64,
    pub(super) scrapes: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) malformed: AtomicU64,
}

impl Counters {
    /// One more.
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes a line of what was counted into the log, now and then, for ever: a line for each announce would cost more
/// than the announce.
pub(super) async fn summarise(shared: Arc<Shared>) {
    let announces = || {
        let Counters { http_announces, udp_announces, .. } = &shared.counters;
        http_announces.load(Ordering::Relaxed) + udp_announces.load(Ordering::Relaxed)
    };
    let mut before = announces();
    loop {
        tokio::time::sleep(SUMMARY_INTERVAL).await;
        let now = announces();
        if now != before {
            let totals = shared.tracker().totals();
            shared.log.info(
                "tracked",
                &[
                    ("announces", &(now - before)),
                    ("peers", &totals.peers),
                    ("swarms", &totals.swarms),
                    ("installing", &totals.installing),
                ],
            );
        }
        before = now;
    }
}

/// The text of `/metrics`.
pub(super) fn text(shared: &Shared) -> String {
    let totals = shared.tracker().totals();
    let counters = &shared.counters;
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut out = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &[(&str, u64)]| {
        // Writing to a String does not fail.
        let _ = writeln!(out, "# TYPE {name} {kind}\n# HELP {name} {help}.");
        let suffix = if kind == "counter" { "_total" } else { "" };
        for (labels, value) in samples {
            let _ = writeln!(out, "{name}{suffix}{labels} {value}");
        }
    };
    let announces = [
        (r#"{transport="http"}"#, read(&counters.http_announces)),
        (r#"{transport="udp"}"#, read(&counters.udp_announces)),
    ];
    family("rocks_track_announces", "counter", "Announces answered", &announces);
    family("rocks_track_scrapes", "counter", "Scrapes answered", &[("", read(&counters.scrapes))]);
    family("rocks_track_refused", "counter", "Announces and scrapes refused", &[("", read(&counters.refused))]);
    family("rocks_track_malformed", "counter", "Requests that could not be read", &[("", read(&counters.malformed))]);
    family("rocks_track_hosts", "gauge", "Hosts of the cluster", &[("", totals.hosts as u64)]);
    family("rocks_track_installing", "gauge", "Hosts that are installing", &[("", totals.installing as u64)]);
    family("rocks_track_swarms", "gauge", "Swarms with a peer", &[("", totals.swarms as u64)]);
    family("rocks_track_peers", "gauge", "Peers in all swarms", &[("", totals.peers as u64)]);
    out.push_str("# EOF\n");
    out
}
