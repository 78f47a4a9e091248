//! A cluster in a temporary folder, and the built program to run on it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The program under test.
const ROCKS: &str = env!("CARGO_BIN_EXE_rocks");

/// A cluster that is removed when the test ends. Nothing is created in it until a command writes.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
}

impl Cluster {
    /// A cluster that nobody has written to.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("tests may write to the temporary folder") }
    }

    /// The cluster's folder; it may not exist yet.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("cluster")
    }

    /// A folder beside the cluster's, for other files of the test.
    pub(crate) fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// The program with these arguments, for this cluster, not started yet.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(ROCKS);
        command.env("ROCKS_CLUSTER", self.path()).env_remove("SUDO_USER").env("TZ", "UTC").args(arguments);
        command
    }

    /// Runs a command line (words separated by spaces) to its end.
    pub(crate) fn rocks(&self, line: &str) -> Outcome {
        self.run(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs the program to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Outcome {
        self.run_with_input(arguments, "")
    }

    /// Runs the program to its end with this on standard input.
    pub(crate) fn run_with_input<S: AsRef<OsStr>>(&self, arguments: &[S], input: &str) -> Outcome {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built for this test");
        // A program that ends without reading its input closes the pipe; that is its right.
        let _ = child.stdin.take().expect("it was piped").write_all(input.as_bytes());
        Outcome::of(child)
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Its exit status; -1 where it was killed.
    pub(crate) status: i32,
    /// What it wrote for programs.
    pub(crate) stdout: String,
    /// What it wrote for people.
    pub(crate) stderr: String,
}

impl Outcome {
    /// Waits for a program whose output is piped.
    pub(crate) fn of(child: Child) -> Self {
        let output = child.wait_with_output().expect("a child can be waited for");
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("the program writes UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("the program writes UTF-8"),
        }
    }

    /// What it wrote, where it succeeded; the test ends where it did not.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.status, 0, "{}", self.stderr);
        self.stdout
    }

    /// What it wrote, as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.ok()).expect("--format json writes JSON")
    }

    /// The errors, where it failed with this exit status; the test ends where it did not. Nobody sees a backtrace.
    #[track_caller]
    pub(crate) fn fails(self, status: i32) -> String {
        assert_eq!(self.status, status, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "", "an error is not data");
        assert!(!self.stderr.contains("panicked") && !self.stderr.contains("backtrace"), "{}", self.stderr);
        self.stderr
    }
}
