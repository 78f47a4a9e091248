//! Thousands of machines that ask for their profiles, spread over one second.

use crate::client::Connection;
use crate::servers::{Cluster, host_address};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How many machines ask.
pub(crate) const HOSTS: u32 = 5_000;
/// How long they take to begin.
const SPREAD: Duration = Duration::from_secs(1);

/// Prints how many were answered and how long the slowest percent waited; twice, so that the second row is the herd
/// that finds every profile made.
pub(crate) async fn run(cluster: &Cluster) {
    let server = cluster.serve(&[]);
    println!("profiles: {HOSTS} machines, spread over {} s", SPREAD.as_secs());
    println!(
        "{:<8} {:>9} {:>8} {:>9} {:>9} {:>9} {:>10}",
        "round", "answered", "failed", "median", "p99", "slowest", "server MB"
    );
    let mut first = Vec::new();
    for round in ["first", "second"] {
        let begin = Instant::now();
        let tasks: Vec<_> = (0..HOSTS)
            .map(|n| {
                let to = server.address;
                tokio::spawn(async move {
                    tokio::time::sleep_until((begin + SPREAD * n / HOSTS).into()).await;
                    let asked = Instant::now();
                    let from = IpAddr::V4(host_address(n));
                    let answer = match Connection::open(Some(from), to).await {
                        Ok(mut connection) => connection.get("/install/profile", "").await,
                        Err(error) => Err(error),
                    };
                    (asked.elapsed(), answer)
                })
            })
            .collect();
        let (mut waits, mut sizes, mut failed) = (Vec::new(), Vec::new(), 0);
        for task in tasks {
            match task.await.expect("a load task does not panic") {
                (wait, Ok(answer)) if answer.status == 200 => {
                    waits.push(wait.as_secs_f64());
                    sizes.push(answer.body_bytes);
                }
                _ => failed += 1,
            }
        }
        waits.sort_by(f64::total_cmp);
        let at = |share: f64| waits.get(((waits.len() as f64 * share) as usize).min(waits.len().saturating_sub(1)));
        println!(
            "{round:<8} {:>9} {failed:>8} {:>7.0} ms {:>6.0} ms {:>6.0} ms {:>10.1}",
            waits.len(),
            1e3 * at(0.5).unwrap_or(&0.0),
            1e3 * at(0.99).unwrap_or(&0.0),
            1e3 * at(1.0).unwrap_or(&0.0),
            server.peak_mb(),
        );
        if round == "first" {
            first = sizes;
        } else {
            println!("the same bytes in both rounds: {}", if first == sizes { "yes" } else { "no" });
        }
    }
}
