//! What must be true at the end of a bad day, whatever happened on it.

use super::plan::{MACHINES, WRITERS, Whom};
use super::world::{World, machine_address};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

impl World {
    /// Through each machine's own door, as its installer would: every package of its set is the frontend's file.
    pub(super) fn check_packages(&self, seed_value: u64) {
        let packages: Vec<_> = std::fs::read_dir(self.tree().join("Packages"))
            .expect("the tree has packages")
            .map(|entry| entry.expect("it can be read").file_name().into_string().expect("names are text"))
            .collect();
        for n in 0..MACHINES {
            let door = SocketAddr::new(IpAddr::V4(machine_address(n)), self.ports.proxy);
            for name in packages.iter().skip(n % 3).step_by(3) {
                let path = format!("/install/distributions/day/Packages/{name}");
                let got = exchange(door, "GET", &path)
                    .unwrap_or_else(|why| panic!("seed {seed_value}: machine {n}: {name}: {why}"));
                let right = std::fs::read(self.tree().join("Packages").join(name)).expect("the file is there");
                assert!(got == right, "seed {seed_value}: machine {n} was given wrong bytes of {name}");
            }
        }
    }

    /// Nobody lied on this day, so nobody may have been banned for it.
    pub(super) fn check_accusations(&self, seed_value: u64) {
        for machine in &self.machines {
            let log = std::fs::read_to_string(&machine.log).expect("every machine has a log");
            let banned = log.lines().find(|line| line.contains("event=peer-banned"));
            assert_eq!(banned, None, "seed {seed_value}: {}", machine.log.display());
        }
    }

    /// What was acknowledged is there; what was not may be.
    pub(super) fn check_writes(&self, seed_value: u64) {
        let acknowledged = self.acknowledged.0.lock().expect("no writer panics");
        assert_eq!(acknowledged.len(), 2 * WRITERS, "seed {seed_value}: a writer was never acknowledged");
        for (name, last) in &*acknowledged {
            if name.starts_with("compute") {
                let listed = self.rocks(&format!("list-host {name} --format json"), "");
                let rows: serde_json::Value = serde_json::from_str(&listed).expect("a listing is JSON");
                let boot = &rows[0]["boot"];
                // Once more: it was added to install.
                let told = boot["install_id"].as_u64().expect("a number");
                assert!(told > *last, "seed {seed_value}: {name} was told {told} times, {last} were acknowledged");
                assert_eq!(boot["action"], "install", "seed {seed_value}: {name}");
                continue;
            }
            let host = format!("compute-0-{}", name.trim_start_matches("day_"));
            let listed = self.rocks(&format!("list-attribute {host} --format json"), "");
            let rows: serde_json::Value = serde_json::from_str(&listed).expect("a listing is JSON");
            let rows = rows.as_array().expect("a listing is a list");
            let row = rows.iter().find(|row| row["name"] == **name);
            let value = row.and_then(|row| row["value"].as_str()).and_then(|text| text.parse::<u64>().ok());
            assert!(value >= Some(*last), "seed {seed_value}: {name} is {value:?}, {last} was acknowledged");
        }
    }

    /// All machines end their installation, as `%post` makes them: each waits until the frontend has heard it, and the
    /// frontend is killed just then, and away for a while.
    pub(super) fn say_goodbye(&mut self, seed_value: u64) {
        self.kill(Whom::Serve, Duration::from_secs(2));
        let port = self.ports.proxy;
        let words: Vec<_> = (0..MACHINES)
            .map(|n| {
                std::thread::spawn(move || exchange((machine_address(n), port).into(), "POST", "/rocks/installed"))
            })
            .collect();
        // Whether this whole machine stood still meanwhile (paused, or measured on), and with it every word's time.
        let mut stood_still = false;
        while !words.iter().all(std::thread::JoinHandle::is_finished) {
            self.heal();
            let slept = Instant::now();
            std::thread::sleep(Duration::from_millis(50));
            stood_still |= slept.elapsed() > Duration::from_secs(5);
        }
        for (n, word) in words.into_iter().enumerate() {
            let mut heard = word.join().expect("no panic");
            if stood_still && heard.as_ref().is_err_and(|head| head.starts_with("HTTP/1.1 202")) {
                heard = exchange((machine_address(n), port).into(), "POST", "/rocks/installed");
            }
            assert_eq!(heard.as_deref(), Ok(&b"noted\n"[..]), "seed {seed_value}: machine {n}'s goodbye");
        }
        for role in &mut self.machines {
            if let Some(child) = &role.child {
                let _ = kill_process(Pid::from_child(child), Signal::TERM);
            }
        }
        for role in &mut self.machines {
            if let Some(mut child) = role.child.take() {
                let status = child.wait().expect("it is our child");
                assert!(status.success(), "a machine's goodbye ended with {status}");
            }
        }
    }

    /// Every host boots from its disk next, without a person.
    pub(super) fn check_states(&self, seed_value: u64) {
        for looks in 0.. {
            let listed = self.rocks("list-host --format json", "");
            let rows: serde_json::Value = serde_json::from_str(&listed).expect("a listing is JSON");
            let stuck: Vec<_> = rows
                .as_array()
                .expect("a listing is a list")
                .iter()
                .filter(|row| row["boot"]["action"] != "os" && !row["name"].to_string().contains("compute-1"))
                .map(|row| row["name"].to_string())
                .collect();
            if stuck.is_empty() {
                return;
            }
            assert!(looks < 150, "seed {seed_value}: {stuck:?} would install again");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// One exchange over plain HTTP; the body of a good answer.
fn exchange(from: SocketAddr, method: &str, path: &str) -> Result<Vec<u8>, String> {
    let mut stream = TcpStream::connect(from).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(|error| error.to_string())?;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {from}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(|error| error.to_string())?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or("no answer")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    if !head.starts_with("HTTP/1.1 200") {
        return Err(head);
    }
    Ok(answer.split_off(end + 4))
}
