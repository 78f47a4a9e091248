//! `rocks demo`, small: its numbers, its files, and that nothing of it is left, however it ends.

use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A small demonstration, writing below `folder` only.
fn demo(folder: &Path, machines: &str, rate: &str) -> Command {
    let scratch = folder.join("tmp");
    std::fs::create_dir_all(&scratch).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rocks"));
    command.args(["demo", "--machines", machines, "--rate", rate, "--size", "3MB", "--format", "json", "--output"]);
    command.arg(folder).env("TMPDIR", scratch).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The processes that were told of this folder and still run.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().unwrap().display().to_string();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .map(|words| String::from_utf8_lossy(&words).replace('\0', " "))
        .filter(|words| words.contains(&folder) && !words.contains(" demo --machines "))
        .collect()
}

fn is_clean(folder: &Path) {
    let left: Vec<_> = std::fs::read_dir(folder.join("tmp")).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    // A killed process needs a moment to be gone.
    for _ in 0..200 {
        if processes_of(folder).is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("still running: {:#?}", processes_of(folder));
}

#[test]
fn three_machines_install_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path(), "3", "400mbit").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    let keys: Vec<&String> = told.as_object().unwrap().keys().collect();
    let expected = "machines one_secs http_secs swarm_secs http_ratio swarm_ratio http_copies swarm_copies";
    assert_eq!(keys, expected.split(' ').collect::<Vec<_>>(), "{text}");
    assert_eq!((told["machines"].as_u64(), text.lines().count()), (Some(3), 1), "{text}");
    let copies = told["http_copies"].as_f64().unwrap();
    assert!((2.8..=3.2).contains(&copies), "three machines over HTTP take three copies: {text}");
    assert!(told["swarm_copies"].as_f64().unwrap() >= 0.99, "every byte leaves the frontend once at least: {text}");
    let picture = std::fs::read_to_string(folder.path().join("rocks-demo.svg")).unwrap();
    assert!(picture.contains("all as a swarm") && picture.contains("class=\"area\""), "{picture}");
    assert!(std::fs::read_to_string(folder.path().join("rocks-demo.html")).unwrap().contains(&picture));
    is_clean(folder.path());
}

#[test]
fn nothing_is_left_after_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(folder.path(), "3", "200kbit").spawn().unwrap();
    // Far enough that machines install.
    while !processes_of(folder.path()).iter().any(|words| words.contains(" fetch ")) {
        assert!(child.try_wait().unwrap().is_none(), "it ended early");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "rocks: interrupted\n");
    is_clean(folder.path());
}

#[test]
fn a_number_of_machines_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for machines in ["0", "501"] {
        let output = demo(folder.path(), machines, "400mbit").output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(told, format!("rocks: a demonstration has 1 to 500 machines, not {machines}\n"));
    }
    is_clean(folder.path());
}
