//! The state of every installation: a page that lives by server-sent events (and by reloading itself where there is no
//! script), the same as JSON.

use super::Shared;
use super::installs::MachineStatus;
use crate::net::http::{Document, Request, Response};
use bytes::Bytes;
use minijinja::{AutoEscape, Environment, Value, context};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// The page, filled once by us and then by its script.
const PAGE: &str = include_str!("../../../templates/status.html.j2");
/// Rows that the page shows without its script.
const PAGE_ROWS_MAX: usize = 1000;
/// An answer is given again for so many times as long as it took to make: who asks without end costs a tenth of a core.
const KEPT_TIMES: u32 = 10;
/// Everything that `/status.json` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusDocument {
    /// Package bytes out of the frontend, over HTTP and by its seeds.
    pub package_bytes_sent: u64,
    /// Of these, over HTTP.
    pub http_bytes_sent: u64,
    /// Of these, by the seeds.
    pub seed_bytes_sent: u64,
    /// Peers connected to the seeds.
    pub seed_peers: usize,
    /// Profiles served.
    pub profiles_served: u64,
    /// Time since the start.
    pub uptime_secs: f64,
    /// How many machines are in each phase.
    pub counts: BTreeMap<String, u64>,
    /// The machines, failures first.
    pub machines: Vec<MachineStatus>,
}

/// An answer that is the same for all who ask at one time.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Option<(Instant, Arc<Document>)>>);

impl Kept {
    fn get<B: Into<Bytes>, E>(&self, make: impl FnOnce() -> Result<B, E>) -> Result<Arc<Document>, E> {
        let mut kept = self.0.lock().expect("nobody panics while holding an answer");
        let begun = Instant::now();
        match &*kept {
            Some((until, made)) if begun < *until => Ok(Arc::clone(made)),
            _ => {
                let made = Arc::new(Document::new(make()?));
                *kept = Some((Instant::now() + begun.elapsed() * KEPT_TIMES, Arc::clone(&made)));
                Ok(made)
            }
        }
    }
}

fn document(shared: &Shared, since: u64) -> (StatusDocument, u64) {
    let (machines, change) = shared.board.rows_since(since);
    let counters = &shared.counters;
    let (http, seed) = (counters.package_bytes.load(Ordering::Relaxed), shared.seeds.sent_bytes());
    let document = StatusDocument {
        package_bytes_sent: http + seed,
        http_bytes_sent: http,
        seed_bytes_sent: seed,
        seed_peers: shared.seeds.peers(),
        profiles_served: counters.profiles.load(Ordering::Relaxed),
        uptime_secs: counters.started.elapsed().as_secs_f64(),
        counts: shared.board.counts(),
        machines,
    };
    (document, change)
}

/// `/status.json`.
pub(super) fn json(shared: &Shared, request: &Request) -> Response {
    match shared.status_json.get(|| serde_json::to_vec(&document(shared, 0).0)) {
        Ok(made) => made.answer("application/json", &request.head.headers).with("Cache-Control", "no-store"),
        Err(error) => Response::text(500, error),
    }
}

/// `/`.
pub(super) fn page(shared: &Shared, request: &Request) -> Response {
    match shared.status_page.get(|| render(shared)) {
        Ok(made) => {
            made.answer("text/html; charset=utf-8", &request.head.headers).with("Cache-Control", "no-store").with(
                "Content-Security-Policy",
                "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
            )
        }
        Err(error) => Response::text(500, error),
    }
}

fn render(shared: &Shared) -> Result<String, minijinja::Error> {
    let (mut document, _) = document(shared, 0);
    let total = document.machines.len();
    document.machines.truncate(PAGE_ROWS_MAX);
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("bytes", |bytes: u64| readable(bytes));
    let template = environment.template_from_named_str("status.html.j2", PAGE)?;
    template.render(context! { status => shown(&document), total })
}

/// The document as the page's template sees it.
fn shown(document: &StatusDocument) -> Value {
    let machine = |row: &MachineStatus| {
        context! {
            host => row.host.as_str(),
            phase => row.report.phase.as_str(),
            bytes => row.report.bytes,
            total_bytes => row.report.total_bytes,
            uploaded_bytes => row.report.uploaded_bytes,
            peers => row.report.peers,
            message => row.report.message.clone(),
            bytes_per_sec => row.bytes_per_sec,
            peer_share => row.peer_share,
            secs_left => row.secs_left,
            silent_secs => row.silent_secs,
            is_silent => row.is_silent,
        }
    };
    context! {
        package_bytes_sent => document.package_bytes_sent,
        seed_peers => document.seed_peers,
        profiles_served => document.profiles_served,
        counts => Value::from_pairs(document.counts.iter().map(|(phase, count)| (phase.as_str(), *count))),
        machines => document.machines.iter().map(machine).collect::<Vec<_>>(),
    }
}

/// Bytes for people.
fn readable(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// What changed since this count, as an event of the page, and the count now.
pub(super) fn event(shared: &Shared, since: u64) -> (Bytes, u64) {
    let (document, change) = document(shared, since);
    let text = serde_json::to_string(&document).unwrap_or_default();
    (format!("data: {text}\n\n").into(), change)
}

/// Everything, as an event of another name: what the page has beside it is gone.
pub(super) fn whole_event(shared: &Shared) -> Bytes {
    let text = serde_json::to_string(&document(shared, 0).0).unwrap_or_default();
    format!("event: whole\ndata: {text}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn who_asks_without_end_is_given_the_same_answer() {
        let kept = Kept::default();
        let mut made = 0;
        let mut ask = || {
            let make = || {
                made += 1;
                std::thread::sleep(Duration::from_millis(100));
                Ok::<_, ()>(made.to_string())
            };
            kept.get(make).expect("made")
        };
        let (first, second) = (ask(), ask());
        assert!(Arc::ptr_eq(&first, &second) && Arc::ptr_eq(&first, &ask()), "it stands for a second");
        assert_eq!(made, 1);
    }

    #[test]
    fn bytes_are_readable() {
        for (bytes, text) in
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (32_500_000, "32.5 MB"), (999_999, "1.0 MB")]
        {
            assert_eq!(readable(bytes), text);
        }
    }
}
