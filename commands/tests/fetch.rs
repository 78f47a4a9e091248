//! `fetch` as an installing machine runs it.

use crate::Cluster;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A process that is ended with the test.
struct Process(Child);

impl Process {
    fn end(&mut self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a frontend and says where it listens.
fn serve(cluster: &Cluster) -> (Process, String) {
    let words = ["serve", "--listen", "127.0.0.1:0", "--peer-port", "0"];
    let mut child = cluster.command(&words).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let at = lines.find_map(|line| Some(line.unwrap().split_once("http=")?.1.split(' ').next()?.to_owned())).unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    (Process(child), at)
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_there() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a machine, and waits until it has all that it came for.
fn machine(cluster: &Cluster, frontend: &str, door: &str, summary: &Path) -> Process {
    let _ = std::fs::remove_file(summary);
    let frontend = format!("http://{frontend}");
    let words = ["fetch", "--frontend", &frontend, "--bind", "127.1.0.1", "--peer-port", "0", "--proxy", door];
    let child = cluster.command(&words).arg("--summary").arg(summary).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the summary is written", || summary.exists());
    Process(child)
}

#[test]
fn a_machine_is_installed_when_its_installer_says_so_and_not_when_it_is_ended() {
    let cluster = Cluster::new();
    cluster.rocks("add-network loop 127.0.0.0/8").ok();
    cluster.rocks("add-host compute-0-0 --appliance compute --ip 127.1.0.1 --mac 52:54:00:00:00:01").ok();
    cluster.rocks("set-boot compute-0-0 install").ok();
    let boot = || cluster.rocks("list-host compute-0-0 --format json").json()[0]["boot"].clone();
    let (_frontend, at) = serve(&cluster);
    let door = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let summary = cluster.scratch().join("summary.json");

    machine(&cluster, &at, &door, &summary).end();
    wait_for("it has failed", || boot()["state"] == "failed");
    let told = boot();
    assert_eq!(told["action"], "install", "{told}");
    assert!(told["note"].as_str().unwrap().contains("before the installer said"), "{told}");

    let mut machine = machine(&cluster, &at, &door, &summary);
    let ask = |method: &str| {
        let mut installer = TcpStream::connect(&door).unwrap();
        write!(installer, "{method} /rocks/installed HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        installer.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("GET").starts_with("HTTP/1.1 405"), "a word is posted");
    assert!(ask("POST").starts_with("HTTP/1.1 200"));
    assert_eq!((boot()["state"].as_str(), boot()["action"].as_str()), (Some("installed"), Some("os")));
    assert!(ask("POST").starts_with("HTTP/1.1 200"), "it may be said again");
    machine.end();
    assert_eq!(boot()["state"], "installed");
}
