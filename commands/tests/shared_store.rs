//! Several processes share the store: nothing is lost but what a killed one had not finished, nobody is told that it
//! is open already, and readers are never blocked.

use crate::{Cluster, Outcome};
use std::collections::BTreeSet;
use std::process::{Child, Stdio};

fn spawn(cluster: &Cluster, line: &str) -> Child {
    let words: Vec<&str> = line.split_whitespace().collect();
    cluster
        .command(&words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built for this test")
}

fn names(cluster: &Cluster) -> BTreeSet<String> {
    let hosts = cluster.rocks("list-host --format json").json();
    hosts.as_array().unwrap().iter().map(|host| host["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn eight_shells_write_at_once_from_nothing() {
    let cluster = Cluster::new();
    let shells: Vec<Vec<Child>> = (0..4)
        .map(|round| (0..8).map(|shell| spawn(&cluster, &format!("add-host compute-{shell}-{round}"))).collect())
        .collect();
    for child in shells.into_iter().flatten() {
        Outcome::of(child).ok();
    }
    assert_eq!(names(&cluster).len(), 32);
    let log = cluster.rocks("log --format json").json();
    let generations: Vec<u64> = log.as_array().unwrap().iter().filter_map(|e| e["generation"].as_u64()).collect();
    assert_eq!(generations, (1..=33).collect::<Vec<u64>>(), "one generation for each write");
}

#[test]
fn a_killed_writer_loses_only_what_it_had_not_finished() {
    let cluster = Cluster::new();
    cluster.rocks("add-host login-0-0").ok();
    let mut acknowledged = names(&cluster);
    for round in 0..12_u64 {
        let list: String = (0..500).fold("name\n".to_owned(), |list, i| list + &format!("compute-{round}-{i}\n"));
        let file = cluster.scratch().join("hosts.csv");
        std::fs::write(&file, list).unwrap();
        let mut victim = spawn(&cluster, &format!("add-host --from {}", file.display()));
        // Whenever the blow falls (each round later), the outcome must be one of two.
        std::thread::sleep(std::time::Duration::from_millis(3 * round));
        let _ = victim.kill();
        victim.wait().unwrap();
        let after = names(&cluster);
        let gained = after.len() - acknowledged.len();
        assert!(after.is_superset(&acknowledged), "an acknowledged host is lost");
        assert!(gained == 0 || gained == 500, "{gained} hosts of a list of 500");
        cluster.rocks(&format!("add-host nas-0-{round}")).ok();
        acknowledged = names(&cluster);
    }
}

/// The process with this number is stopped, and goes on when the value ends.
#[cfg(target_os = "linux")]
struct Frozen(u32);

#[cfg(target_os = "linux")]
impl Frozen {
    fn new(child: &Child) -> Self {
        let pid = child.id();
        signal(pid, "STOP");
        Self(pid)
    }
}

#[cfg(target_os = "linux")]
impl Drop for Frozen {
    fn drop(&mut self) {
        signal(self.0, "CONT");
    }
}

#[cfg(target_os = "linux")]
fn signal(pid: u32, name: &str) {
    let script = format!("kill -{name} {pid}");
    assert!(std::process::Command::new("sh").args(["-c", &script]).status().unwrap().success());
}

/// A writer is stopped while it holds the lock: reads go on, and who waits is told whom for.
#[cfg(target_os = "linux")]
#[test]
fn a_frozen_writer_blocks_no_reader_and_is_named_to_the_next_writer() {
    use rocks::store::Store;
    use std::io::{BufRead, BufReader};
    let cluster = Cluster::new();
    cluster.rocks("add-host compute-0-0").ok();
    // This test is the writer: it holds the lock for as long as the closure runs.
    let store = Store::open(&cluster.path()).unwrap();
    let waiter = store
        .write("a long piece of work", |_| {
            assert_eq!(names(&cluster).len(), 1, "a reader is not blocked");
            let mut waiter = spawn(&cluster, "add-host compute-0-1");
            let mut told = String::new();
            BufReader::new(waiter.stderr.take().unwrap()).read_line(&mut told).unwrap();
            let expected = format!("process {} (\"a long piece of work\")", std::process::id());
            assert!(told.contains("waiting for") && told.contains(&expected), "{told}");
            Ok(waiter)
        })
        .unwrap();
    Outcome::of(waiter).ok();
    assert_eq!(names(&cluster).len(), 2);
    // And a process that is really stopped is said to be.
    let list: String = (0..20_000).fold("name\n".to_owned(), |list, i| list + &format!("compute-9-{i}\n"));
    let file = cluster.scratch().join("many.csv");
    std::fs::write(&file, list).unwrap();
    let writer = spawn(&cluster, &format!("add-host --from {}", file.display()));
    let sidecar = cluster.path().join("rocks.redb.writer");
    while !std::fs::metadata(&sidecar).is_ok_and(|about| about.len() > 0) {
        std::thread::yield_now();
    }
    let frozen = Frozen::new(&writer);
    if sidecar.exists() {
        assert_eq!(names(&cluster).len(), 2, "a reader is not blocked");
        let error = store
            .write_within(std::time::Duration::from_millis(100), "impatient", |w| {
                w.remove_host(&"compute-0-0".parse()?)
            })
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("process {}", writer.id())) && error.contains("is stopped"), "{error}");
    }
    drop(frozen);
    Outcome::of(writer).ok();
    assert_eq!(names(&cluster).len(), 20_002);
}

/// A writer that is stopped anywhere, also while it writes down the head of the file, stops no reader.
#[cfg(target_os = "linux")]
#[test]
fn a_writer_frozen_in_the_middle_of_its_commit_blocks_no_reader_and_is_named() {
    use redb::StorageBackend;
    use redb::backends::FileBackend;
    use std::ops::Bound::{Excluded, Included};
    let cluster = Cluster::new();
    cluster.rocks("add-host compute-0-0").ok();
    let file = cluster.path().join("rocks.redb");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
    // The locks that the database's own writer has while it commits: this test is the writer, and stays there.
    let writer = FileBackend::new(file).unwrap();
    assert!(writer.try_lock_range(Included(1 << 62), Included(1 << 62)).unwrap());
    assert!(writer.try_lock_range(Included(0), Excluded(320)).unwrap());
    assert_eq!(names(&cluster).len(), 1, "a reader is not blocked");
    let store = rocks::store::Store::open(&cluster.path()).unwrap();
    let patience = std::time::Duration::from_millis(100);
    let error = store.write_within(patience, "impatient", |w| w.remove_host(&"compute-0-0".parse()?)).unwrap_err();
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    writer.close().unwrap();
    cluster.rocks("add-host compute-0-1").ok();
    assert_eq!(names(&cluster).len(), 2);
}
