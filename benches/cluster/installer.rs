//! The installer of each machine: it asks at the door of its `rocks fetch` for every file in the order of names, over some
//! connections at once (dnf opens three), from when the Kickstart file is there. This program plays it, inside the machine's
//! namespace, and tells the longest time that it waited for the next byte of a file.

use crate::peers::{Bytes, DISTRIBUTION, DOOR};
use crate::wires::namespace;
use anyhow::{Context, Result, bail, ensure};
use rocks::demo::process::Process;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The word that makes this program an installer.
const WORD: &str = "--installer";
/// How often it looks whether it is to begin.
const LOOK: Duration = Duration::from_millis(10);
/// How long after its machine has everything it may take.
const AFTER: Duration = Duration::from_secs(30);

/// A machine's installer.
pub(crate) struct Installer {
    process: Process,
    told: PathBuf,
}

impl Installer {
    /// Starts it; it begins once the Kickstart file is there.
    pub(crate) fn start(
        machine: usize,
        connections: usize,
        bytes: &Bytes,
        home: &Path,
        kickstart: &Path,
    ) -> Result<Self> {
        let (list, told) = (home.join("files"), home.join("waited"));
        let files: Vec<&str> = bytes.files.iter().map(|(file, _)| file.as_str()).collect();
        std::fs::write(&list, files.join("\n"))?;
        let program = std::env::current_exe()?.display().to_string();
        let path = |path: &Path| path.display().to_string();
        let mut words: Vec<String> = ["netns", "exec", &namespace(machine), &program, WORD].map(str::to_owned).to_vec();
        words.extend([connections.to_string(), path(&list), path(kickstart), path(&told)]);
        Ok(Self { process: Process::start("ip".as_ref(), home, "installer", &words)?, told })
    }

    /// Its longest wait in seconds, once it has everything; its machine has it already.
    pub(crate) fn waited(&mut self) -> Result<f64> {
        let begun = Instant::now();
        while !self.told.exists() {
            self.process.check()?;
            ensure!(begun.elapsed() < AFTER, "an installer does not come to its end");
            std::thread::sleep(LOOK);
        }
        Ok(std::fs::read_to_string(&self.told)?.trim().parse()?)
    }
}

/// Plays one where the words say so.
pub(crate) fn is_one_of_them(words: &[String]) -> Result<bool> {
    let [word, connections, list, kickstart, told] = words else { return Ok(false) };
    if word != WORD {
        return Ok(false);
    }
    let list = std::fs::read_to_string(list)?;
    let files = Mutex::new(list.lines());
    while !Path::new(kickstart).exists() {
        std::thread::sleep(LOOK);
    }
    let connection = || -> Result<Duration> {
        let (mut tcp, mut longest) = (TcpStream::connect(DOOR)?, Duration::ZERO);
        loop {
            let next = files.lock().expect("no connection panics").next();
            let Some(file) = next else { return Ok(longest) };
            longest = longest.max(take(&mut tcp, file).with_context(|| file.to_owned())?);
        }
    };
    let waits = std::thread::scope(|scope| {
        let all: Vec<_> = (0..connections.parse::<usize>()?).map(|_| scope.spawn(connection)).collect();
        all.into_iter().map(|one| one.join().expect("no connection panics")).collect::<Result<Vec<_>>>()
    })?;
    let longest = waits.into_iter().max().unwrap_or_default().as_secs_f64();
    let new = format!("{told}.new");
    std::fs::write(&new, format!("{longest:.3}\n"))?;
    std::fs::rename(new, told)?;
    Ok(true)
}

/// Takes one file; the longest time without a byte of it.
fn take(tcp: &mut TcpStream, file: &str) -> Result<Duration> {
    let path = format!("/install/distributions/{DISTRIBUTION}/{file}");
    write!(tcp, "GET {path} HTTP/1.1\r\nHost: {DOOR}\r\n\r\n")?;
    let (mut since, mut longest) = (Instant::now(), Duration::ZERO);
    let (mut head, mut room) = (Vec::new(), vec![0; 256 << 10]);
    let mut left = None;
    while left != Some(0) {
        let came = tcp.read(&mut room)?;
        if came == 0 {
            bail!("the door closed");
        }
        let mut body = came as u64;
        if left.is_none() {
            head.extend_from_slice(&room[..came]);
            let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let text = String::from_utf8_lossy(&head[..end]).to_ascii_lowercase();
            ensure!(text.starts_with("http/1.1 200"), "{}", text.lines().next().unwrap_or(""));
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            left = Some(length.context("no length")?);
            body = (head.len() - end - 4) as u64;
        }
        if body > 0 {
            longest = longest.max(since.elapsed());
            since = Instant::now();
        }
        left = left.map(|left: u64| left.saturating_sub(body));
    }
    Ok(longest)
}
