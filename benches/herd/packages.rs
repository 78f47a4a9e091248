//! Files to few and to many connections, against nginx in alternating pairs; and fast readers beside a crowd.

use crate::client::{Connection, Moved, hammer};
use crate::servers::{Cluster, FILES, Server};
use std::time::Duration;

/// How long one measurement takes.
const TIME: Duration = Duration::from_millis(1500);
/// Pairs of (ours, nginx) a row; the median of their ratios is printed.
const PAIRS: usize = 5;
/// Pairs of (beside a crowd, without one).
const CROWD_PAIRS: usize = 8;
/// Where `serve` has the tree.
const OURS: &str = "/install/distributions/herd/";

struct Row {
    name: String,
    path: &'static str,
    headers: &'static str,
    connections: usize,
}

/// Prints requests, bytes and CPU a GB, ours over nginx's.
pub(crate) async fn run(cluster: &Cluster) {
    let ours = cluster.serve(&[]);
    let nginx = cluster.nginx();
    if nginx.is_none() {
        println!("packages: nginx is not installed; ours alone");
    }
    println!("packages: medians of {PAIRS} pairs");
    println!(
        "{:<26} {:>11} {:>10} {:>12} {:>14} {:>14}",
        "row", "requests/s", "MB/s", "CPU s/GB", "rate / nginx's", "CPU / nginx's"
    );
    for row in rows() {
        let (mut rates, mut cpus, mut last) = (Vec::new(), Vec::new(), (Moved::default(), 0.0));
        for _ in 0..PAIRS {
            let mine = measure(&ours, &format!("{OURS}{}", row.path), &row).await;
            if let Some(nginx) = &nginx {
                let theirs = measure(nginx, &format!("/{}", row.path), &row).await;
                rates.push(rate(&mine.0) / rate(&theirs.0));
                cpus.push(mine.1 / theirs.1);
            }
            last = mine;
        }
        let (moved, cpu) = last;
        println!(
            "{:<26} {:>11.0} {:>10.0} {:>12.2} {:>14} {:>14}{}",
            row.name,
            moved.requests as f64 / moved.secs,
            rate(&moved) / 1e6,
            cpu,
            median(&mut rates),
            median(&mut cpus),
            if moved.failed > 0 { format!("  {} failed", moved.failed) } else { String::new() },
        );
    }
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for connections in [8, 1000] {
        for (path, bytes) in FILES {
            rows.push(Row {
                name: format!("{} kB, {connections} conn.", bytes / 1000),
                path,
                headers: "",
                connections,
            });
        }
        let headers = "Range: bytes=500000-565535\r\n";
        rows.push(Row { name: format!("64 KiB range, {connections} conn."), path: FILES[1].0, headers, connections });
    }
    rows
}

/// What was moved, and the server's CPU seconds a GB.
async fn measure(server: &Server, path: &str, row: &Row) -> (Moved, f64) {
    let before = server.cpu_secs();
    let moved = hammer(server.address, path, row.headers, row.connections, TIME).await;
    (moved, (server.cpu_secs() - before) / (moved.bytes as f64 / 1e9))
}

fn rate(moved: &Moved) -> f64 {
    moved.bytes as f64 / moved.secs
}

fn median(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

/// Prints what 10,000 idle and 2,000 slow connections cost eight fast ones: against a server of the same kind that has no
/// crowd, in alternating pairs; ours, then nginx where it is installed, which shows what the machine itself pays.
pub(crate) async fn crowd(cluster: &Cluster) {
    let (ours, alone) = (cluster.serve(&[]), cluster.serve(&[]));
    crowded("rocks", &ours, &alone, &format!("{OURS}{}", FILES[1].0)).await;
    drop((ours, alone));
    if let (Some(nginx), Some(alone)) = (cluster.nginx(), cluster.nginx()) {
        crowded("nginx", &nginx, &alone, &format!("/{}", FILES[1].0)).await;
    }
}

async fn crowded(name: &str, server: &Server, alone: &Server, path: &str) {
    const IDLE: usize = 10_000;
    const SLOW: usize = 2_000;
    let mut held = Vec::new();
    let mut refused = 0;
    for n in 0..IDLE + SLOW {
        let from = crate::servers::host_address(n as u32 % 4000).into();
        match Connection::open(Some(from), server.address).await {
            Ok(connection) => held.push(connection),
            Err(_) => refused += 1,
        }
    }
    let mut slow = held.split_off(held.len().saturating_sub(SLOW));
    for connection in &mut slow {
        let _ = connection.ask_only(path).await;
    }
    let sipping = tokio::spawn(async move {
        loop {
            for connection in &mut slow {
                if connection.sip().await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let (mut ratios, mut failed) = (Vec::new(), 0);
    for pair in 0..CROWD_PAIRS {
        // Whoever is measured second finds another machine than the first.
        let order = if pair % 2 == 0 { [server, alone] } else { [alone, server] };
        let mut rates = [0.0; 2];
        for (one, rate_of_one) in order.iter().zip(&mut rates) {
            let moved = hammer(one.address, path, "", 8, TIME).await;
            failed += moved.failed;
            *rate_of_one = rate(&moved);
        }
        ratios.push(if pair % 2 == 0 { rates[0] / rates[1] } else { rates[1] / rates[0] });
    }
    sipping.abort();
    println!(
        "crowd, {name}: {IDLE} idle and {SLOW} slow connections ({refused} refused) leave 8 fast ones {} of their rate alone, {failed} failed, server at {:.1} MB",
        median(&mut ratios),
        server.peak_mb()
    );
}
