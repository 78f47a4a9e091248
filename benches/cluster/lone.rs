//! One machine alone: what the swarm costs where there is nobody to share with. Pairs of runs, `rocks fetch` and plain HTTP
//! (nginx and curl) in turn on the same link, and the median of their ratios.

use crate::peers::Peer;
use crate::{median, race};
use anyhow::Result;
use std::time::Duration;

/// Runs so many pairs; `run` runs one machine of a kind, the number tells runs apart.
pub(crate) fn pairs(
    count: usize,
    line: Duration,
    mut run: impl FnMut(Peer, usize) -> Result<race::Outcome>,
) -> Result<()> {
    println!("pair | rocks s | HTTP s | rocks/HTTP");
    let mut ratios = Vec::new();
    for pair in 0..count {
        // Whoever is first changes, so that neither always finds the other's traces.
        let (rocks, http) = if pair % 2 == 0 {
            let rocks = run(Peer::Rocks, pair)?;
            (rocks, run(Peer::Http, pair)?)
        } else {
            let http = run(Peer::Http, pair)?;
            (run(Peer::Rocks, pair)?, http)
        };
        let ratio = rocks.secs / http.secs;
        println!("{} | {:.3} | {:.3} | {ratio:.4}", pair + 1, rocks.secs, http.secs);
        ratios.push(ratio);
    }
    println!(
        "\nthe link alone needs {:.3} s; one machine over plain HTTP, median: {:.4}",
        line.as_secs_f64(),
        median(ratios.into_iter())
    );
    Ok(())
}
