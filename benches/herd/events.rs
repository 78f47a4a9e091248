//! Ten thousand machines that say how far they are: as often as the frontend tells them, and three times as often.

use crate::client::Connection;
use crate::servers::{Cluster, Server, host_address};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How many machines report.
pub(crate) const MACHINES: u32 = 10_000;
/// How often each one does: what the frontend tells so many machines, and what a fixed rhythm would be.
const EVERY: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(3)];
/// Rounds that are measured.
const ROUNDS: u32 = 3;
/// Connections that come up at one time.
const ARRIVING: u32 = 500;

/// Prints what their reports cost the frontend while somebody looks at the status page.
pub(crate) async fn run(cluster: &Cluster) {
    let server = cluster.serve(&[]);
    let mut viewer = Connection::open(None, server.address).await.expect("a viewer comes in");
    viewer.ask_only("/status/events").await.expect("a viewer asks");
    let viewing = tokio::spawn(async move {
        let mut seen = 0;
        while let Ok(read @ 1..) = viewer.drink().await {
            seen += read;
        }
        seen
    });
    let mut machines = Vec::new();
    for first in (0..MACHINES).step_by(ARRIVING as usize) {
        let arriving = (first..MACHINES.min(first + ARRIVING)).map(|n| {
            let to = server.address;
            tokio::spawn(async move {
                let mut connection = Connection::open(Some(IpAddr::V4(host_address(n))), to).await.ok()?;
                let answer = connection.post("/install/events", &report(n, 0)).await.ok()?;
                (answer.status == 200).then_some(connection)
            })
        });
        for machine in arriving.collect::<Vec<_>>() {
            machines.push(machine.await.expect("a load task does not panic"));
        }
    }
    let mut machines: Vec<_> = machines.into_iter().enumerate().map(|(n, machine)| (n as u32, machine)).collect();
    for (turn, every) in (0..).zip(EVERY) {
        machines = rounds(&server, machines, turn * ROUNDS, every).await;
    }
    viewing.abort();
}

/// A machine's number and its connection, as long as that lives.
type Machine = (u32, Option<Connection>);

/// Lets all machines report a few times.
async fn rounds(server: &Server, machines: Vec<Machine>, first: u32, every: Duration) -> Vec<Machine> {
    let there = machines.iter().filter(|(_, machine)| machine.is_some()).count();
    let (begin, before) = (Instant::now(), server.cpu_secs());
    let reporting: Vec<_> = machines
        .into_iter()
        .map(|(n, mut connection)| {
            tokio::spawn(async move {
                let mut taken = 0;
                for round in 0..ROUNDS {
                    tokio::time::sleep_until((begin + every * round + every * n / MACHINES).into()).await;
                    let Some(open) = &mut connection else { break };
                    match open.post("/install/events", &report(n, first + round + 1)).await {
                        Ok(answer) if answer.status == 200 => taken += 1,
                        _ => connection = None,
                    }
                }
                (taken, (n, connection))
            })
        })
        .collect();
    let (mut taken, mut left) = (0_u32, Vec::new());
    for machine in reporting {
        let (reports, machine) = machine.await.expect("a load task does not panic");
        taken += reports;
        left.push(machine);
    }
    let (secs, cpu) = (begin.elapsed().as_secs_f64(), server.cpu_secs() - before);
    println!(
        "events: {there} machines, each every {} s, {taken} of {} reports taken in {secs:.1} s: {:.1} % of one core, server at {:.1} MB",
        every.as_secs(),
        MACHINES * ROUNDS,
        100.0 * cpu / secs,
        server.peak_mb()
    );
    left
}

fn report(n: u32, round: u32) -> String {
    let bytes = u64::from(round) * 60_000_000 + u64::from(n);
    format!(
        "{{\"phase\":\"fetching\",\"bytes\":{bytes},\"total_bytes\":325000000,\"frontend_bytes\":{},\"peer_bytes\":{},\
         \"uploaded_bytes\":{bytes},\"peers\":12}}",
        bytes / 16,
        bytes - bytes / 16
    )
}
