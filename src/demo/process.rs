//! The processes that a demonstration starts, and the folder they write into. Whatever way the demonstration ends,
//! dropping these ends the processes and removes the folder.

use super::DemoError;
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Told to every process: end when the one that started you ends, however it ends.
pub const LIFELINE: &str = "ROCKS_DIE_WITH_PARENT";
/// How long processes may take to say goodbye before they are killed.
const GOODBYE: Duration = Duration::from_secs(3);
/// Of a process's own words, how much its error repeats.
const LAST_WORDS_BYTES: usize = 2_000;

/// A folder of our own, removed with everything in it.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a folder that nobody else has, below the system's place for such.
    pub(super) fn make() -> Result<Self, DemoError> {
        let base = std::env::temp_dir();
        let base = base.canonicalize().unwrap_or(base);
        for attempt in 0..100 {
            let path = base.join(format!("rocks-demo-{}-{attempt}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(DemoError::Write { path, error }),
            }
        }
        Err(DemoError::Write { path: base, error: std::io::ErrorKind::AlreadyExists.into() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One process of ours, leader of its own group, so that a Ctrl-C at the terminal reaches us alone and we end it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it prints goes to the file `NAME.log` in `folder`.
    pub fn start(program: &Path, folder: &Path, name: &str, words: &[String]) -> Result<Self, DemoError> {
        let log = folder.join(format!("{name}.log"));
        let fail = |error| DemoError::Start { name: name.to_owned(), error };
        let out = std::fs::File::create(&log).map_err(fail)?;
        let child = Command::new(program)
            .args(words)
            .env(LIFELINE, "1")
            .env_remove("ROCKS_CLUSTER")
            .stdin(Stdio::null())
            .stdout(out.try_clone().map_err(fail)?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .map_err(fail)?;
        Ok(Self { child, name: name.to_owned(), log })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Fails if it has ended, with its last words.
    pub fn check(&mut self) -> Result<(), DemoError> {
        match self.ended() {
            None => Ok(()),
            Some(status) => Err(self.died(status)),
        }
    }

    /// Its end as an error.
    pub fn died(&self, status: ExitStatus) -> DemoError {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let tail = &text[text.len().saturating_sub(LAST_WORDS_BYTES)..];
        let words = String::from_utf8_lossy(tail).lines().last().unwrap_or("it said nothing").to_owned();
        DemoError::Died { name: self.name.clone(), status, words }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Ends processes the polite way, all at once; those that do not listen are killed.
pub fn stop(processes: &mut Vec<Process>) {
    for process in processes.iter_mut() {
        if process.ended().is_none() {
            process.signal(Signal::TERM);
        }
    }
    let deadline = Instant::now() + GOODBYE;
    while processes.iter_mut().any(|process| process.ended().is_none()) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    processes.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(scratch: &Scratch, name: &str, script: &str) -> Process {
        Process::start(Path::new("/bin/sh"), scratch.path(), name, &["-c".into(), script.into()]).expect("sh starts")
    }

    /// Whether it still runs; one that only waits to be buried by its parent does not.
    fn is_alive(pid: u32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    /// Reads the process id that a script writes into a file once it runs.
    fn pid_in(file: &Path) -> u32 {
        loop {
            match std::fs::read_to_string(file).unwrap_or_default().trim().parse() {
                Ok(pid) => return pid,
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    #[test]
    fn dropping_ends_a_process_with_its_children_and_removes_the_folder() {
        let scratch = Scratch::make().expect("a folder");
        let file = scratch.path().join("grandchild");
        let process =
            shell(&scratch, "stubborn", &format!("trap '' TERM; sleep 600 & echo $! > {}; wait", file.display()));
        let (child, grandchild) = (process.child.id(), pid_in(&file));
        drop(process);
        assert!(!is_alive(child));
        while is_alive(grandchild) {
            std::thread::sleep(Duration::from_millis(5)); // it was killed with its group, and is dying
        }
        let folder = scratch.path().to_owned();
        drop(scratch);
        assert!(!folder.exists());
    }

    #[test]
    fn stopping_asks_first() {
        let scratch = Scratch::make().expect("a folder");
        let (ready, said) = (scratch.path().join("ready"), scratch.path().join("said"));
        let script = format!(
            "trap 'echo goodbye > {}; exit 0' TERM; echo $$ > {}; while :; do sleep 0.01; done",
            said.display(),
            ready.display()
        );
        let mut processes = vec![shell(&scratch, "polite", &script)];
        pid_in(&ready);
        stop(&mut processes);
        assert_eq!(std::fs::read_to_string(said).expect("it said goodbye"), "goodbye\n");
    }

    #[test]
    fn a_death_is_told_with_its_last_words() {
        let scratch = Scratch::make().expect("a folder");
        let mut process = shell(&scratch, "fetch of compute-0-1", "echo first; echo 'rocks: no frontend' >&2; exit 3");
        let status = process.child.wait().expect("it ends");
        assert_eq!(
            process.died(status).to_string(),
            "fetch of compute-0-1 ended with exit status: 3: rocks: no frontend"
        );
        assert!(process.check().is_err());
    }
}
