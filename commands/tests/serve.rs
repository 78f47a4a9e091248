//! The frontend as a process: what is done to it from outside.

use crate::Cluster;
use rocks::demo::packages::{DistributionSpec, make_distribution};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

/// A file longer than what sockets and pipes hold together.
const LENGTH: usize = 48 << 20;
/// A transfer that stands still for so long will not go on by itself.
const STALL: Duration = Duration::from_secs(30);
const PATH: &str = "/install/distributions/base/images/install.img";

/// A frontend with one distribution; it ends with this.
struct Frontend {
    child: Child,
    address: SocketAddr,
}

impl Frontend {
    fn start(cluster: &Cluster) -> Self {
        let tree = cluster.scratch().join("tree");
        let spec = DistributionSpec { bytes: 1 << 20, packages: 2, ..DistributionSpec::default() };
        make_distribution(&tree, &spec).unwrap();
        std::fs::create_dir_all(tree.join("images")).unwrap();
        std::fs::write(tree.join("images/install.img"), content()).unwrap();
        cluster.rocks(&format!("add-distribution base {} --release rhel9", tree.display())).ok();
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
        let child = cluster
            .command(&["serve", "--listen", &address.to_string(), "--peer-port", "0"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program was built for this test");
        while TcpStream::connect(address).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, address }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Frontend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn content() -> Vec<u8> {
    (0..LENGTH as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Reads the file, some at a time.
fn read(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut tcp = TcpStream::connect(address)?;
    tcp.set_read_timeout(Some(STALL))?;
    write!(tcp, "GET {PATH} HTTP/1.1\r\nHost: frontend\r\nConnection: close\r\n\r\n")?;
    let (mut answer, mut some) = (Vec::new(), vec![0; 128 << 10]);
    loop {
        match tcp.read(&mut some)? {
            0 => break,
            read => answer.extend_from_slice(&some[..read]),
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
    Ok(answer.split_off(head))
}

#[test]
fn a_frontend_that_is_stopped_and_continued_goes_on_with_every_file() {
    let cluster = Cluster::new();
    let frontend = Frontend::start(&cluster);
    let readers: Vec<_> = (0..8).map(|_| frontend.address).map(|at| std::thread::spawn(move || read(at))).collect();
    while readers.iter().any(|reader| !reader.is_finished()) {
        frontend.signal(Signal::STOP);
        std::thread::sleep(Duration::from_micros(500));
        frontend.signal(Signal::CONT);
        std::thread::sleep(Duration::from_millis(2));
    }
    for reader in readers {
        assert!(reader.join().unwrap().expect("no transfer stands still") == content(), "wrong bytes");
    }
}

#[test]
fn whoever_watches_a_frontend_goes_on_while_it_is_away() {
    let cluster = Cluster::new();
    // A port that nobody listens at.
    let away = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
    let url = format!("http://{away}");
    let mut watching = cluster
        .command(&["status", "--watch", "--frontend", &url])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built for this test");
    let said = BufReader::new(watching.stderr.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<String> = said.filter(|line| line.contains(&url)).take(2).collect();
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert_eq!(said.len(), 2, "{said:?}");
}
