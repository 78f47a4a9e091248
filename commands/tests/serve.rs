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
        Self::run(cluster, TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap())
    }

    /// The same once more, at this address.
    fn run(cluster: &Cluster, address: SocketAddr) -> Self {
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
    let frontend = Frontend::start(&cluster);
    let address = frontend.address;
    let url = format!("http://{address}");
    let mut watching = cluster
        .command(&["status", "--watch", "--frontend", &url])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built for this test");
    let mut said = BufReader::new(watching.stderr.take().unwrap()).lines().map(Result::unwrap);
    let is_shown = |line: &String| line.ends_with("out of the frontend");
    assert!(said.by_ref().any(|line| is_shown(&line)));
    drop(frontend);
    assert!(said.by_ref().any(|line| !is_shown(&line)), "it says that the frontend is away");
    // Several looks.
    std::thread::sleep(Duration::from_secs(3));
    let again = Frontend::run(&cluster, address);
    let meanwhile: Vec<String> = said.by_ref().take_while(|line| !is_shown(line)).collect();
    assert!(meanwhile.windows(2).all(|lines| lines[0] != lines[1]), "the same is said once: {meanwhile:#?}");
    assert!(meanwhile.len() < 3, "{meanwhile:#?}");
    drop(again);
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn who_asks_where_no_frontend_is_hears_so_and_does_not_watch_nothing() {
    let cluster = Cluster::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        for answer in ["404 Not Found", "200 OK"].into_iter().flat_map(|answer| [answer, answer]) {
            let (tcp, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(&tcp).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            write!(&tcp, "HTTP/1.1 {answer}\r\nConnection: close\r\nContent-Length: 6\r\n\r\nhello\n").unwrap();
        }
    });
    let url = format!("http://{at}");
    let ask = |words: &[&str], status: i32| cluster.run(&[&["status"], words].concat()).fails(status);
    for said in ["404; a frontend knows", "not what a frontend answers"] {
        for words in [&["--frontend", &url][..], &["--watch", "--frontend", &url][..]] {
            let error = ask(words, 1);
            assert!(error.contains(said) && error.contains(&url), "{error}");
        }
    }
    server.join().unwrap();
    let error = ask(&["--watch", "--frontend", &url], 1);
    assert!(error.contains(&format!("cannot connect to {at}: connection refused\nhint: is 'rocks serve'")), "{error}");
    let error = ask(&["--watch"], 3);
    assert!(error.contains("no frontend ever ran in this cluster\nhint: start one with: rocks serve"), "{error}");
}
