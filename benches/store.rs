//! How fast the store is: ratios to what the machine itself costs, so that they mean the same on any machine.
//!
//! `cargo bench --bench store` prints a table; nothing is compared and nothing fails.

use rocks::cluster::{BootAction, HostList, HostName};
use rocks::store::Store;
use std::fmt::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Hosts in one batch: a large cluster.
const HOSTS: usize = 10_000;
/// Times a short thing is done; the median counts.
const ROUNDS: usize = 41;

fn main() {
    let folder = tempfile::tempdir().expect("benchmarks may write to the temporary folder");
    let mut table = String::from("| what | time | target |\n|---|---|---|\n");
    let mut row = |what: &str, took: Duration, target: &str| {
        let _ = writeln!(table, "| {what} | {:.2} ms | {target} |", took.as_secs_f64() * 1e3);
    };

    let list = HostList::parse(&csv(), None);
    assert!(list.errors.is_empty());
    let store = Store::create(folder.path()).expect("a new store");
    let batch = timed(|| store.write("batch", |w| w.add_hosts(&list, BootAction::Install, "-")).expect("a good list"));
    row("10,000 hosts in one batch, library", batch, "");

    let names: Vec<HostName> = (0..ROUNDS).map(|i| name(i * HOSTS / ROUNDS)).collect();
    let mut names = names.iter().cycle();
    let one = median(|| drop(store.read(|r| r.host(names.next().expect("it cycles"))).expect("it is there")));
    row("one host of 10,000, library", one, "");
    let write = median(|| {
        let host = name(7);
        store.write("boot", |w| w.set_boot(&host, BootAction::Install).map(drop)).expect("it is there");
    });
    let sync = median(|| sync_once(folder.path()));
    row("one small write", write, "");
    row("two syncs of this disk, the least a safe write costs", 2 * sync, "");

    let command = |folder: &std::path::Path, arguments: &[&str]| {
        let status = Command::new(env!("CARGO_BIN_EXE_rocks"))
            .env("ROCKS_CLUSTER", folder)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.expect("the program was built for this benchmark").success());
    };
    let file = folder.path().join("hosts.csv");
    std::fs::write(&file, csv()).expect("benchmarks may write to the temporary folder");
    let other = tempfile::tempdir().expect("benchmarks may write to the temporary folder");
    let added = timed(|| command(other.path(), &["add-host", "--from", &file.to_string_lossy()]));
    row("rocks add-host --from, 10,000 hosts, exec to exit", added, "< 1000 ms");
    let listed = median(|| command(folder.path(), &["list-host", "compute-100-7"]));
    row("rocks list-host NAME of 10,000, exec to exit", listed, "< 10 ms");
    let nothing = median(|| {
        let status = Command::new("true").status();
        assert!(status.expect("every system has it").success());
    });
    row("true, exec to exit", nothing, "");
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    let _ = writeln!(
        table,
        "\nlist-host NAME / true: {:.1}; one write / two syncs: {:.1}; batch / one write: {:.1} for 10,000 hosts",
        ratio(listed, nothing),
        ratio(write, 2 * sync),
        ratio(batch, write)
    );
    show(&table);
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn show(table: &str) {
    print!("{table}");
}

fn name(i: usize) -> HostName {
    HostName::parse(&format!("compute-{}-{}", i / 40, i % 40)).expect("a good name")
}

fn csv() -> String {
    let mut text = String::from("name,appliance,mac,ip\n");
    for i in 0..HOSTS {
        let _ = writeln!(text, "{},compute,5254000{i:05x},10.1.{}.{}", name(i), 1 + i / 250, 1 + i % 250);
    }
    text
}

/// Writes a page and waits until the disk has it.
fn sync_once(folder: &std::path::Path) {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("synced"))
        .expect("benchmarks may write to the temporary folder");
    file.write_all(&[7; 4096]).and_then(|()| file.sync_data()).expect("the disk takes a page");
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

fn median(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| timed(&mut work)).collect();
    times.sort();
    times[ROUNDS / 2]
}
