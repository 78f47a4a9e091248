//! Runs scripts in a shell, with an end to their time and their output. The only file of this room that starts
//! processes.

use super::eval::{Environment, EvalRunner, Outcome, Script};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How much of what a script complains is kept, in bytes.
const STDERR_BYTES_MAX: usize = 4096;

/// Runs scripts with `sh -c SHELL`, the script on standard input.
pub(super) struct ShellRunner {
    /// Where they run.
    pub(super) folder: PathBuf,
    /// How long one may take.
    pub(super) limit: Duration,
    /// How long what it left running may hold its output open.
    pub(super) linger: Duration,
    /// The most it may print, in bytes.
    pub(super) output_bytes_max: usize,
}

impl EvalRunner for ShellRunner {
    fn run(&self, script: &Script, environment: &Environment) -> Result<Outcome, String> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&script.shell).current_dir(&self.folder).envs(environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that what it starts can be ended with it.
        let mut child = command.process_group(0).spawn().map_err(|error| format!("cannot start a shell: {error}"))?;
        let talk = Talk::begin(&mut child, &script.text, self);
        let ended = talk.listen(self);
        // Until it is waited for, its number stands for its group and nothing else.
        if ended != Ok(Ended::Closed) {
            kill_group(child.id());
        }
        let status = child.wait().map_err(|error| format!("lost the shell: {error}"))?;
        let left_running = ended? == Ended::LeftRunning;
        let [stdout, stderr] = talk.outputs.map(|output| std::mem::take(&mut *locked(&output)));
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Ok(Outcome { stdout, stderr, failure: failure(status), left_running })
    }
}

/// What is heard of a shell.
enum Heard {
    /// One of its outputs ended.
    Closed,
    /// It printed more than it may.
    Overflow,
    /// It ended itself; what it started may still print.
    Exited,
    /// Its time is up, or that of what it started.
    TimeIsUp,
}

/// How a talk ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// Shell and outputs are at their end.
    Closed,
    /// The shell is at its end; what it started holds its outputs open.
    LeftRunning,
}

/// A talk with a shell, each of its ends held by a thread. A thread whose pipe something still holds open is left to
/// end with it.
struct Talk {
    /// What it printed and what it complained.
    outputs: [Arc<Mutex<Vec<u8>>>; 2],
    heard: mpsc::Receiver<Heard>,
    /// Ends the thread that waits for the time to be up.
    _over: mpsc::Sender<()>,
}

impl Talk {
    fn begin(child: &mut Child, script: &str, runner: &ShellRunner) -> Self {
        let (sender, heard) = mpsc::channel();
        let mut stdin = child.stdin.take().expect("it was asked for");
        let script = script.as_bytes().to_vec();
        // A shell that does not read its script (`true`) closes the pipe: that is no error.
        std::thread::spawn(move || stdin.write_all(&script));
        let stdout: Box<dyn Read + Send> = Box::new(child.stdout.take().expect("it was asked for"));
        let stderr: Box<dyn Read + Send> = Box::new(child.stderr.take().expect("it was asked for"));
        let outputs = [(stdout, runner.output_bytes_max, true), (stderr, STDERR_BYTES_MAX, false)];
        let outputs = outputs.map(|(mut output, bytes_max, is_bounded)| {
            let (gathered, sender) = (Arc::new(Mutex::new(Vec::new())), sender.clone());
            let into = gathered.clone();
            std::thread::spawn(move || {
                let is_more = gather(&mut output, &into, bytes_max);
                if is_more && is_bounded {
                    let _ = sender.send(Heard::Overflow);
                }
                let _ = std::io::copy(&mut output, &mut std::io::sink());
                let _ = sender.send(Heard::Closed);
            });
            gathered
        });
        let (over, news) = mpsc::channel();
        let (process, limit, linger) = (process_of(child.id()), runner.limit, runner.linger);
        let (exited, alarm) = (over.clone(), sender.clone());
        std::thread::spawn(move || {
            let mut patience = limit;
            loop {
                match news.recv_timeout(patience) {
                    Ok(()) => patience = linger,
                    Err(RecvTimeoutError::Timeout) => {
                        let _ = alarm.send(Heard::TimeIsUp);
                        break;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
        });
        std::thread::spawn(move || {
            // It is only looked at: the number stays its own until it is waited for.
            if let Some(process) = process {
                let _ = waitid(WaitId::Pid(process), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            }
            let _ = (sender.send(Heard::Exited), exited.send(()));
        });
        Self { outputs, heard, _over: over }
    }

    /// Waits for the end of the shell and of its outputs, as long as they may take.
    fn listen(&self, runner: &ShellRunner) -> Result<Ended, String> {
        let (mut closed, mut exited) = (0, false);
        while closed < 2 || !exited {
            match self.heard.recv().expect("a thread sends when the time is up") {
                Heard::Closed => closed += 1,
                Heard::Overflow => {
                    return Err(format!("printed more than {} MB and was ended", runner.output_bytes_max >> 20));
                }
                Heard::Exited => exited = true,
                Heard::TimeIsUp if exited => return Ok(Ended::LeftRunning),
                Heard::TimeIsUp => return Err(format!("ran longer than {} s and was ended", runner.limit.as_secs())),
            }
        }
        Ok(Ended::Closed)
    }
}

/// Keeps so much of an output, as it comes; whether there is more.
fn gather(output: &mut impl Read, into: &Mutex<Vec<u8>>, bytes_max: usize) -> bool {
    let mut part = [0; 16 << 10];
    while let Ok(length @ 1..) = output.read(&mut part) {
        let mut gathered = locked(into);
        let room = length.min(bytes_max - gathered.len());
        gathered.extend_from_slice(&part[..room]);
        if room < length {
            return true;
        }
    }
    false
}

fn locked(output: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

fn process_of(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

/// Ends a shell and what it started.
fn kill_group(group: u32) {
    if let Some(group) = process_of(group) {
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
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
        lingering(shell, text, limit, LONG)
    }

    fn lingering(shell: &str, text: &str, limit: Duration, linger: Duration) -> Result<Outcome, String> {
        let runner = ShellRunner { folder: "/".into(), limit, linger, output_bytes_max: 1 << 20 };
        runner.run(&Script { shell: shell.into(), text: text.into() }, &[("VAR".to_owned(), "v".to_owned())].into())
    }

    const LONG: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

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
    fn what_a_script_leaves_running_is_not_waited_for() {
        let left = lingering("sh", "sleep 10000 & echo first; exit 4", HOUR, Duration::from_millis(100)).expect("ran");
        assert_eq!((left.stdout.as_slice(), left.left_running), (&b"first\n"[..], true));
        assert_eq!(left.failure.as_deref(), Some("exit status 4"));
        // What ends by itself is heard out.
        let heard = lingering("sh", "(sleep 0.2; echo late) & echo early", LONG, LONG).expect("ran");
        assert_eq!((heard.stdout.as_slice(), heard.left_running), (&b"early\nlate\n"[..], false));
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
