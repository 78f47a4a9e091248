//! Runs scripts in a shell, with an end to their time and their output. The only file of this room that starts
//! processes.

use super::eval::{EvalRunner, Outcome, Script};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How much of what a script complains is kept, in bytes.
const STDERR_BYTES_MAX: usize = 4096;

/// Runs scripts with `sh -c SHELL`, the script on standard input.
pub(super) struct ShellRunner {
    /// Where they run.
    pub(super) folder: PathBuf,
    /// How long one may take.
    pub(super) limit: Duration,
    /// The most it may print, in bytes.
    pub(super) output_bytes_max: usize,
}

impl EvalRunner for ShellRunner {
    fn run(&self, script: &Script, environment: &BTreeMap<String, String>) -> Result<Outcome, String> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&script.shell).current_dir(&self.folder).envs(environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that what it starts can be ended with it.
        let mut child = command.process_group(0).spawn().map_err(|error| format!("cannot start a shell: {error}"))?;
        let group = child.id();
        let ended = self.talk(&mut child, &script.text);
        if ended.is_err() {
            kill_group(group);
        }
        let status = child.wait().map_err(|error| format!("lost the shell: {error}"))?;
        let (stdout, stderr) = ended?;
        Ok(Outcome { stdout, stderr: String::from_utf8_lossy(&stderr).into_owned(), failure: failure(status) })
    }
}

impl ShellRunner {
    /// Writes the script and reads what comes back; an error when time is up or too much was printed. A thread whose
    /// pipe something still holds open is left to end with it.
    fn talk(&self, child: &mut Child, script: &str) -> Result<(Vec<u8>, Vec<u8>), String> {
        let (sender, receiver) = mpsc::channel();
        let mut stdin = child.stdin.take().expect("it was asked for");
        let script = script.as_bytes().to_vec();
        // A shell that does not read its script (`true`) closes the pipe: that is no error.
        std::thread::spawn(move || stdin.write_all(&script));
        let outputs: [(usize, Box<dyn Read + Send>); 2] = [
            (self.output_bytes_max, Box::new(child.stdout.take().expect("it was asked for"))),
            (STDERR_BYTES_MAX, Box::new(child.stderr.take().expect("it was asked for"))),
        ];
        for (i, (limit, mut output)) in outputs.into_iter().enumerate() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = output.by_ref().take(limit as u64 + 1).read_to_end(&mut bytes);
                let _ = sender.send((i, bytes));
                let _ = std::io::copy(&mut output, &mut std::io::sink());
            });
        }
        let mut read = [Vec::new(), Vec::new()];
        for _ in 0..2 {
            let late = |_| format!("ran longer than {} s and was ended", self.limit.as_secs());
            let (i, bytes) = receiver.recv_timeout(self.limit).map_err(late)?;
            if i == 0 && bytes.len() > self.output_bytes_max {
                return Err(format!("printed more than {} MB and was ended", self.output_bytes_max >> 20));
            }
            read[i] = bytes;
        }
        let [stdout, stderr] = read;
        Ok((stdout, stderr))
    }
}

/// Ends a shell and what it started.
fn kill_group(group: u32) {
    if let Some(group) = i32::try_from(group).ok().and_then(rustix::process::Pid::from_raw) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

fn failure(status: ExitStatus) -> Option<String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("exit status {code}")),
        (None, signal) => Some(format!("signal {}", signal.unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(shell: &str, text: &str, limit: Duration) -> Result<Outcome, String> {
        let runner = ShellRunner { folder: "/".into(), limit, output_bytes_max: 1 << 20 };
        runner.run(&Script { shell: shell.into(), text: text.into() }, &[("VAR".to_owned(), "v".to_owned())].into())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn scripts_run_and_tell_how_they_ended() {
        let outcome = run("sh", "echo out $VAR; echo err >&2; exit 3", LONG).expect("ran");
        assert_eq!((outcome.stdout.as_slice(), outcome.stderr.as_str()), (&b"out v\n"[..], "err\n"));
        assert_eq!(outcome.failure.as_deref(), Some("exit status 3"));
        assert_eq!(run("sed -e s/a/b/", "banana", LONG).expect("ran").stdout, b"bbnana");
        assert_eq!(run("/nonexistent/shell", "x", LONG).expect("ran").failure.as_deref(), Some("exit status 127"));
        assert_eq!(run("true", &"x".repeat(1 << 20), LONG).expect("ran"), Outcome::default());
    }

    #[test]
    fn time_and_output_end() {
        let late = run("sh", "sleep 100 & sleep 100", Duration::from_millis(200));
        assert!(late.is_err_and(|what| what.contains("longer")));
        // One that would print for ever is ended at once.
        for script in ["head -c 3000000 /dev/zero", "yes"] {
            assert!(run("sh", script, LONG).is_err_and(|what| what.contains("more than 1 MB")));
        }
    }
}
