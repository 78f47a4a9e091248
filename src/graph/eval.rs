//! Scripts of `<eval>`: whose may run, what is put into them, where their results come from.
//!
//! A script runs only where its roll is trusted. Attributes go into it as text, as they always did; so a value that
//! means something to a shell is refused when the script is really to be run, unless the attribute is named as
//! allowed.

use super::error::{GraphError, Place};
use super::shell;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a script may take.
pub const EVAL_SECS_MAX: u64 = 30;
/// How long what a script left running may hold its output open.
pub const EVAL_LINGER_SECS_MAX: u64 = 2;
/// The most that a script may print, in bytes.
pub const EVAL_BYTES_MAX: usize = 16 << 20;
/// How many results are kept, so that scripts that differ from host to host do not fill the memory of a server.
pub const RESULTS_MAX: usize = 20_000;

/// A script, ready to be run: attributes in their place, what Python needs in front.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Script {
    /// The command line it is piped into.
    pub shell: String,
    /// Its text.
    pub text: String,
}

impl Script {
    /// The first 16 hexadecimal digits of the SHA-256 of its text: what recordings go by, beside the shell.
    pub fn digest(&self) -> String {
        Sha256::digest(self.text.as_bytes())[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a script left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained.
    pub stderr: String,
    /// Its exit status, if it was not 0 (`exit status 3`, `signal 9`).
    pub failure: Option<String>,
    /// Whether it left something running that held its output open, and was ended.
    pub left_running: bool,
}

/// Runs scripts.
pub trait EvalRunner: Send + Sync {
    /// Runs a script; an error is why it could not be run or did not end.
    fn run(&self, script: &Script, environment: &Environment) -> Result<Outcome, String>;
}

/// One result in a recording.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Recorded {
    /// The command line.
    pub shell: String,
    /// The first 16 hexadecimal digits of the SHA-256 of the script.
    pub sha256_16: String,
    /// The script, for people.
    #[serde(default)]
    pub script: String,
    /// What it printed.
    pub stdout: String,
    /// What `<var>` had put into its environment.
    #[serde(default, skip_serializing_if = "Environment::is_empty")]
    pub environment: Environment,
}

/// What `<var>` puts into the environment of scripts.
pub type Environment = BTreeMap<String, String>;

/// Where results come from.
enum Source {
    /// From nowhere: scripts stay as text.
    Off,
    /// From running them, for these rolls (none: all).
    Run { runner: Box<dyn EvalRunner>, rolls: Option<BTreeSet<String>> },
    /// From a recording, by shell, digest and environment.
    Replay(BTreeMap<(String, String, Environment), String>),
}

/// What is done with scripts while profiles are compiled; shared by all compiles.
pub struct Evals {
    source: Source,
    allowed: BTreeSet<String>,
    results: Mutex<BTreeMap<(Script, Environment), Outcome>>,
    recording: Option<Mutex<Vec<Recorded>>>,
}

/// What is to be put in a script's place.
pub(super) enum Answer {
    /// This.
    Output(Outcome),
    /// Nothing, since its roll is not trusted.
    Untrusted,
}

impl Evals {
    fn new(source: Source) -> Self {
        Self { source, allowed: BTreeSet::new(), results: Mutex::default(), recording: None }
    }

    /// No script runs; its text stays in its place. Neither copies nor file includes are made.
    pub fn off() -> Self {
        Self::new(Source::Off)
    }

    /// Every roll's scripts run in this folder, and its copies may read any file.
    pub fn run(folder: &Path) -> Self {
        Self::with_runner(Box::new(Self::shell(folder)), None)
    }

    /// The scripts of these rolls run in this folder; those of others are left out with a warning.
    pub fn trusting(folder: &Path, rolls: BTreeSet<String>) -> Self {
        Self::with_runner(Box::new(Self::shell(folder)), Some(rolls))
    }

    /// As `run` (no rolls) or `trusting`, with a runner of the caller's.
    pub fn with_runner(runner: Box<dyn EvalRunner>, rolls: Option<BTreeSet<String>>) -> Self {
        Self::new(Source::Run { runner, rolls })
    }

    /// Nothing runs; results come from a recording.
    pub fn replay(recorded: Vec<Recorded>) -> Self {
        let keyed = |one: Recorded| ((one.shell, one.sha256_16, one.environment), one.stdout);
        let results = recorded.into_iter().map(keyed).collect();
        Self::new(Source::Replay(results))
    }

    /// Keeps what scripts print, for `recorded`.
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.recording = Some(Mutex::default());
        self
    }

    /// Lets the values of these attributes into scripts whatever they mean to a shell.
    #[must_use]
    pub fn allowing(mut self, attributes: BTreeSet<String>) -> Self {
        self.allowed = attributes;
        self
    }

    /// What was kept, in the order in which scripts first ran.
    pub fn recorded(&self) -> Vec<Recorded> {
        let recording = self.recording.as_ref();
        recording.map(|recorded| recorded.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }

    fn shell(folder: &Path) -> shell::ShellRunner {
        let folder: PathBuf = folder.to_owned();
        let (limit, linger) = (Duration::from_secs(EVAL_SECS_MAX), Duration::from_secs(EVAL_LINGER_SECS_MAX));
        shell::ShellRunner { folder, limit, linger, output_bytes_max: EVAL_BYTES_MAX }
    }

    /// Whether scripts, copies and file includes are done at all.
    pub(super) fn is_on(&self) -> bool {
        !matches!(self.source, Source::Off)
    }

    /// Whether this roll may read any file and run scripts.
    pub(super) fn trusts(&self, roll: &str) -> bool {
        match &self.source {
            Source::Run { rolls, .. } => rolls.as_ref().is_none_or(|rolls| rolls.contains(roll)),
            _ => false,
        }
    }

    /// Fails where a value may not go into a script of this roll that is really to be run.
    pub(super) fn check_value(&self, roll: &str, name: &str, value: &str, place: &Place) -> Result<(), GraphError> {
        if !self.trusts(roll) || self.allowed.contains(name) {
            return Ok(());
        }
        match value.chars().find(|c| means_something_to_a_shell(*c)) {
            Some(character) => Err(GraphError::ShellValue { place: place.clone(), name: name.to_owned(), character }),
            None => Ok(()),
        }
    }

    /// What a script prints. `alternative` is the same script as the original would have made it, by which an old
    /// recording may know it.
    pub(super) fn answer(
        &self,
        roll: &str,
        script: Script,
        alternative: Option<Script>,
        environment: &Environment,
        place: &Place,
    ) -> Result<Answer, GraphError> {
        let fail = |what: String| GraphError::Eval { place: place.clone(), what };
        match &self.source {
            Source::Off => Ok(Answer::Untrusted),
            Source::Run { .. } if !self.trusts(roll) => Ok(Answer::Untrusted),
            Source::Replay(results) => {
                let known = |script: &Script| {
                    let known = |environment: &Environment| {
                        results.get(&(script.shell.clone(), script.digest(), environment.clone()))
                    };
                    // Old recordings say nothing of environments.
                    known(environment).or_else(|| known(&Environment::new()))
                };
                let found = known(&script).or_else(|| alternative.as_ref().and_then(known));
                let stdout = found.ok_or_else(|| {
                    let (shell, digest) = (&script.shell, script.digest());
                    fail(format!("the recording has no result of this script (shell '{shell}', digest {digest})"))
                })?;
                Ok(Answer::Output(Outcome { stdout: stdout.clone().into_bytes(), ..Outcome::default() }))
            }
            Source::Run { runner, .. } => {
                let key = (script, environment.clone());
                let known = self.results.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
                if let Some(outcome) = known {
                    return Ok(Answer::Output(outcome));
                }
                let outcome = runner.run(&key.0, environment).map_err(fail)?;
                self.keep(key, &outcome);
                Ok(Answer::Output(outcome))
            }
        }
    }

    fn keep(&self, (script, environment): (Script, Environment), outcome: &Outcome) {
        if let Some(recording) = &self.recording {
            let stdout = String::from_utf8_lossy(&outcome.stdout).into_owned();
            let sha256_16 = script.digest();
            let (shell, text, environment) = (script.shell.clone(), script.text.clone(), environment.clone());
            let recorded = Recorded { shell, sha256_16, script: text, stdout, environment };
            recording.lock().unwrap_or_else(PoisonError::into_inner).push(recorded);
        }
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if results.len() < RESULTS_MAX {
            results.insert((script, environment), outcome.clone());
        }
    }
}

/// Whether a character could make more of a script than a word: quotes, expansion, operators, white space but blanks.
fn means_something_to_a_shell(c: char) -> bool {
    c.is_control()
        || c.is_ascii_punctuation() && !matches!(c, '.' | ',' | ':' | '/' | '_' | '-' | '+' | '=' | '@' | '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(Mutex<usize>);
    impl EvalRunner for Counting {
        fn run(&self, script: &Script, environment: &Environment) -> Result<Outcome, String> {
            *self.0.lock().expect("one thread") += 1;
            let stdout = script.text.clone() + &environment.values().cloned().collect::<String>();
            Ok(Outcome { stdout: stdout.into_bytes(), ..Outcome::default() })
        }
    }

    fn place() -> Place {
        Place { file: "x".into(), line: 1, column: 1 }
    }

    fn script(text: &str) -> Script {
        Script { shell: "sh".into(), text: text.into() }
    }

    fn answer(evals: &Evals, roll: &str, text: &str) -> Result<Option<String>, GraphError> {
        answer_in(evals, roll, text, &Environment::new())
    }

    fn answer_in(evals: &Evals, roll: &str, text: &str, variables: &Environment) -> Result<Option<String>, GraphError> {
        let answer = evals.answer(roll, script(text), None, variables, &place())?;
        Ok(match answer {
            Answer::Output(outcome) => Some(String::from_utf8(outcome.stdout).expect("text")),
            Answer::Untrusted => None,
        })
    }

    #[test]
    fn only_trusted_rolls_run_and_each_script_once() {
        let evals = Evals::with_runner(Box::new(Counting(Mutex::new(0))), Some(["ours".to_owned()].into())).recording();
        assert_eq!(answer(&evals, "ours", "echo"), Ok(Some("echo".into())));
        assert_eq!(answer(&evals, "ours", "echo"), Ok(Some("echo".into())));
        assert_eq!(answer(&evals, "theirs", "echo"), Ok(None));
        let recorded = evals.recorded();
        assert_eq!(recorded.len(), 1);
        assert_eq!(answer(&Evals::replay(recorded), "theirs", "echo"), Ok(Some("echo".into())));
        assert!(answer(&Evals::replay(vec![]), "ours", "echo").is_err());
        assert_eq!(answer(&Evals::off(), "ours", "echo"), Ok(None));
    }

    #[test]
    fn a_script_with_other_variables_is_another() {
        let with = |value: &str| Environment::from([("v".to_owned(), value.to_owned())]);
        let evals = Evals::with_runner(Box::new(Counting(Mutex::new(0))), None).recording();
        assert_eq!(answer_in(&evals, "r", "echo ", &with("1")), Ok(Some("echo 1".into())));
        assert_eq!(answer_in(&evals, "r", "echo ", &with("2")), Ok(Some("echo 2".into())));
        let text = serde_json::to_string(&evals.recorded()).expect("JSON");
        let replay = Evals::replay(serde_json::from_str(&text).expect("its own"));
        assert_eq!(answer_in(&replay, "r", "echo ", &with("1")), Ok(Some("echo 1".into())));
        assert_eq!(answer_in(&replay, "r", "echo ", &with("2")), Ok(Some("echo 2".into())));
        assert!(answer_in(&replay, "r", "echo ", &with("3")).is_err());
        // A recording that says nothing of variables fits all.
        let old = format!("[{{\"shell\":\"sh\",\"sha256_16\":\"{}\",\"stdout\":\"x\"}}]", script("echo ").digest());
        let replay = Evals::replay(serde_json::from_str(&old).expect("a recording"));
        assert_eq!(answer_in(&replay, "r", "echo ", &with("3")), Ok(Some("x".into())));
    }

    #[test]
    fn digests_are_those_of_recordings() {
        assert_eq!(script("").digest(), "e3b0c44298fc1c14");
    }

    #[test]
    fn values_with_a_meaning_to_a_shell_are_refused_unless_allowed() {
        let evals = Evals::run(Path::new("/")).allowing(["free".to_owned()].into());
        for value in
            ["a'b", "a\"b", "$x", "`x`", "a;b", "a\nb", "a|b", "a&b", "<a", "(a)", "*", "~", "#", "\\", "{a,b}", "!x"]
        {
            assert!(evals.check_value("r", "a", value, &place()).is_err(), "{value}");
            assert_eq!(evals.check_value("r", "free", value, &place()), Ok(()), "{value}");
        }
        for value in ["compute-0-0", "Our Cluster", "10.1.1.1/16", "a@b.c", "Zürich", ""] {
            assert_eq!(evals.check_value("r", "a", value, &place()), Ok(()), "{value}");
        }
        assert_eq!(Evals::off().check_value("r", "a", "$x", &place()), Ok(()));
    }
}
