//! Ends a program that renders a site's templates before they take the machine's memory, or for ever.
//!
//! Rendering has bounds of its own, but a template that joins a text with itself again and again grows without a step
//! in between that could be counted.

use crate::error::{Failure, Kind, finish};
use std::sync::Once;
use std::time::{Duration, Instant};

/// The most memory of a program that renders a site's own templates, in bytes.
const MEMORY_BYTES_MAX: u64 = 1 << 30;
/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// From now on, looks at the memory of this program and, where it has a limit, at its time.
pub(crate) fn watch(limit: Option<Duration>) {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        std::thread::spawn(move || look(limit));
    });
}

fn look(limit: Option<Duration>) {
    let begin = Instant::now();
    let problem = loop {
        let Some(bytes) = resident_bytes() else { return };
        if bytes > MEMORY_BYTES_MAX {
            break format!("the templates want more than {} MB of memory", MEMORY_BYTES_MAX >> 20);
        }
        if let Some(limit) = limit.filter(|limit| begin.elapsed() > *limit) {
            break format!("the templates want more than {} s", limit.as_secs());
        }
        std::thread::sleep(INTERVAL);
    };
    let hint = "look in templates/ for a text that is joined with itself, or a list that is gone through, in a loop";
    let _ = finish(Err(Failure::new(Kind::Invalid, problem).hint(hint).into()));
    std::process::exit(Kind::Invalid as i32);
}

/// What of this program is in memory; none where the system does not say.
fn resident_bytes() -> Option<u64> {
    let said = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = said.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
