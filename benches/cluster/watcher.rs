//! Clears away after this program when it is killed so that it cannot do so itself: a child in a process group of its own that
//! holds the other end of a pipe. Where the pipe ends without a word, the net and the folder are removed.

use crate::wires;
use anyhow::Result;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The word that makes this program the watcher.
const WORD: &str = "--watch";
/// What says through the pipe that there is nothing left to clear away.
const DONE: &[u8] = b"done";
/// How often, and how long apart, a folder is removed into which somebody who was just killed may still write.
const TIMES: usize = 20;
const APART: Duration = Duration::from_millis(100);

/// The watcher; dropping it says that all is cleared away.
pub(crate) struct Watcher(Child);

impl Watcher {
    /// Starts it, before there is anything to clear away but this folder.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        // A group of its own: Ctrl-C is for the other one.
        command.arg(WORD).arg(folder).stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        Ok(Self(command.spawn()?))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = pipe.write_all(DONE);
        }
        let _ = self.0.wait();
    }
}

/// Watches where the words say so.
pub(crate) fn is_it(words: &[String]) -> Result<bool> {
    let [word, folder] = words else { return Ok(false) };
    if word != WORD {
        return Ok(false);
    }
    let mut told = Vec::new();
    std::io::stdin().read_to_end(&mut told)?;
    if told != DONE {
        wires::clear();
        for _ in 0..TIMES {
            if std::fs::remove_dir_all(folder).is_ok() || !Path::new(folder).exists() {
                break;
            }
            std::thread::sleep(APART);
        }
    }
    Ok(true)
}
