//! Does the net carry its rate? Every machine sends to its neighbour and receives from the other, all at once, plain TCP.
//! This program plays each link of the ring itself, started inside the machine's namespace.

use crate::wires::{Wires, address, namespace};
use anyhow::{Context, Result};
use rocks::demo::process::Process;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// The word that makes this program a link of the ring.
const WORD: &str = "--ring-link";
/// Where links listen.
const PORT: u16 = 5201;
/// How long the ring runs.
const SECS: u64 = 4;
/// What is not measured at its beginning: connections come up, and fill the queue of a slow link until they lose
/// packets.
const WARM_UP: Duration = Duration::from_secs(3);
/// Of a full packet on the wire, the part that is payload: 1,448 of 1,514 bytes.
pub(crate) const PAYLOAD_SHARE: f64 = 1448.0 / 1514.0;
/// A net is good where its slowest machine has this much of its link.
const GOOD_SHARE: f64 = 0.95;

/// What the ring came to, as shares of the link, headers counted.
pub(crate) struct Ring {
    slowest: f64,
    fastest: f64,
}

impl Ring {
    pub(crate) fn is_good(&self) -> bool {
        self.slowest >= GOOD_SHARE
    }
}

impl std::fmt::Display for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "slowest machine {:.1} % of its link, fastest {:.1} %", self.slowest * 100.0, self.fastest * 100.0)
    }
}

/// Runs the ring.
pub(crate) fn check(wires: &Wires, folder: &Path) -> Result<Ring> {
    let folder = folder.join("ring");
    std::fs::create_dir(&folder)?;
    let program = std::env::current_exe()?;
    let mut links = Vec::new();
    for machine in 0..wires.machines {
        let neighbour = address((machine + 1) % wires.machines).to_string();
        let words =
            ["netns", "exec", &namespace(machine), &program.display().to_string(), WORD, &neighbour].map(str::to_owned);
        links.push(Process::start("ip".as_ref(), &folder, &machine.to_string(), &words)?);
    }
    let deadline = Instant::now() + Duration::from_secs(SECS + 30);
    while links.iter_mut().any(|link| link.ended().is_none()) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    let link_rate = wires.rate.bytes_per_sec() as f64 * PAYLOAD_SHARE;
    let mut ring = Ring { slowest: f64::MAX, fastest: 0.0 };
    for machine in 0..wires.machines {
        let text = std::fs::read_to_string(folder.join(format!("{machine}.log")))?;
        let rate: f64 =
            text.trim().parse().with_context(|| format!("machine {machine} of the ring said '{}'", text.trim()))?;
        ring.slowest = ring.slowest.min(rate / link_rate);
        ring.fastest = ring.fastest.max(rate / link_rate);
    }
    Ok(ring)
}

/// Plays one link where the words say so: sends to the neighbour, receives, prints the bytes a second received.
pub(crate) fn is_a_link_of_it(words: &[String]) -> Result<bool> {
    let [word, neighbour] = words else { return Ok(false) };
    if word != WORD {
        return Ok(false);
    }
    let listener = TcpListener::bind(("0.0.0.0", PORT))?;
    let target = (neighbour.clone(), PORT);
    std::thread::spawn(move || -> std::io::Result<()> {
        let mut stream = loop {
            match TcpStream::connect((target.0.as_str(), target.1)) {
                Ok(stream) => break stream,
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        // What most systems have, where ours may set it: BBR, which some have, does not fill these links.
        let _ = socket2::SockRef::from(&stream).set_tcp_congestion(b"cubic");
        let block = vec![0; 256 << 10];
        loop {
            stream.write_all(&block)?;
        }
    });
    let (mut stream, _) = listener.accept()?;
    let mut block = vec![0; 256 << 10];
    let begin = Instant::now();
    while begin.elapsed() < WARM_UP {
        stream.read_exact(&mut block[..16 << 10])?;
    }
    let (begin, mut bytes) = (Instant::now(), 0);
    while begin.elapsed() < Duration::from_secs(SECS) {
        bytes += stream.read(&mut block)?;
    }
    println!("{}", bytes as f64 / begin.elapsed().as_secs_f64());
    // The neighbours still measure: what they get goes on for a moment.
    std::thread::sleep(Duration::from_secs(1));
    Ok(true)
}
