//! Shell scripts read by the shell itself (`bash -n`), each distinct one once.
//!
//! Scripts of many hosts differ in addresses and numbers, which the shell's grammar does not look at: scripts that differ
//! in nothing else are one.

use super::written::is_shell;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

/// How many distinct scripts are remembered; beyond it a script is read again each time.
pub const SCRIPTS_MAX: usize = 100_000;
/// The largest script that the shell is given to read, in bytes.
const SCRIPT_BYTES_MAX: usize = 4 << 20;
/// How deep scripts may stand in scripts that write them.
const NESTED_MAX: usize = 3;
/// How long the shell may read one script.
const READING_TIME_MAX: Duration = Duration::from_secs(30);
/// How much of what the shell says is read, in bytes.
const SAID_BYTES_MAX: u64 = 64 << 10;

/// Knows which scripts the shell can read. Shared by threads; two that ask for the same script read it once.
#[derive(Debug, Default)]
pub struct Scripts {
    read: Mutex<HashMap<u128, Arc<OnceLock<Verdict>>>>,
}

/// What the shell says of a script: nothing, or the line it stumbles at (from 1) and why.
type Verdict = Option<(u32, String)>;

impl Scripts {
    /// None read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many distinct scripts were read.
    pub fn distinct(&self) -> usize {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What is wrong in a script and in the shell scripts that it writes: lines count from 1.
    pub(super) fn problems(&self, text: &str) -> Vec<(u32, String)> {
        self.problems_within(text, NESTED_MAX)
    }

    fn problems_within(&self, text: &str, depth: usize) -> Vec<(u32, String)> {
        if text.len() > SCRIPT_BYTES_MAX {
            return vec![(1, format!("the script is larger than {} MB: it was not read", SCRIPT_BYTES_MAX >> 20))];
        }
        let (outline, inner) = outline(text);
        let mut problems: Vec<(u32, String)> = self.read(outline).into_iter().collect();
        for (line, script) in inner.into_iter().filter(|_| depth > 0) {
            let within = self.problems_within(&script, depth - 1);
            problems.extend(within.into_iter().map(|(at, what)| (line + at, what)));
        }
        problems
    }

    fn read(&self, script: String) -> Verdict {
        if script.trim().is_empty() {
            return None;
        }
        let key = super::memo::fingerprint(&likeness(&script));
        let cell = {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            match read.get(&key) {
                Some(cell) => cell.clone(),
                None if read.len() >= SCRIPTS_MAX => Arc::default(),
                None => read.entry(key).or_default().clone(),
            }
        };
        cell.get_or_init(|| ask_bash(&script)).clone()
    }
}

/// What two scripts have in common that the shell reads alike: their text with every number as 0 and every MAC address
/// as M. Lines that begin or can end a here-document stay as they are.
fn likeness(script: &str) -> String {
    let ends: Vec<&str> = script
        .match_indices("<<")
        .filter_map(|(at, _)| {
            let rest = script[at + 2..].trim_start_matches(['-', '<', ' ', '\t', '\'', '"', '\\']);
            rest.split(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | ';' | '|' | '&' | ')' | '>')).next()
        })
        .filter(|word| !word.is_empty())
        .collect();
    let mut out = String::with_capacity(script.len());
    for line in script.split_inclusive('\n') {
        if line.contains("<<") || ends.iter().any(|end| line.contains(end)) {
            out.push_str(line);
            continue;
        }
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let starts_a_word = !out.ends_with(|c: char| c.is_ascii_alphanumeric() || c == ':');
            let skip = match first {
                _ if starts_a_word && is_mac(rest) => {
                    out.push('M');
                    17
                }
                '0'..='9' => {
                    out.push('0');
                    rest.bytes().take_while(u8::is_ascii_digit).count()
                }
                other => {
                    out.push(other);
                    other.len_utf8()
                }
            };
            rest = &rest[skip..];
        }
    }
    out
}

/// Whether a text begins with a MAC address that ends there.
fn is_mac(text: &str) -> bool {
    let bytes = text.as_bytes();
    let pair = |i: usize| bytes[i].is_ascii_hexdigit() && bytes[i + 1].is_ascii_hexdigit();
    bytes.len() >= 17
        && (0..6).all(|i| pair(3 * i) && (i == 5 || bytes[3 * i + 2] == b':'))
        && bytes.get(17).is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b':')
}

/// A script without the text of the files it writes, which no shell reads, so that scripts that differ only there
/// are one; and the shell scripts among those files, each with the line before its first.
///
/// Only here-documents of the plain form `... << 'WORD'` are left out. Where a script has another form, it stays
/// whole, since its text may then stand inside that one.
fn outline(text: &str) -> (String, Vec<(u32, String)>) {
    let mut out = String::with_capacity(text.len());
    let mut inner = Vec::new();
    let mut lines = (1u32..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let Some(end) = here_document(line) else {
            if line.contains("<<") && !line.contains("<<<") {
                return (text.to_owned(), Vec::new());
            }
            continue;
        };
        let mut body = String::new();
        let mut ended = false;
        for (_, line) in lines.by_ref() {
            if line == end {
                ended = true;
                out.push_str(line);
                out.push('\n');
                break;
            }
            body.push_str(line);
            body.push('\n');
            out.push('\n');
        }
        if !ended {
            return (text.to_owned(), Vec::new());
        }
        if let Some(interpreter) = body.lines().next().and_then(|first| first.strip_prefix("#!"))
            && is_shell(interpreter.trim())
        {
            inner.push((number, body));
        }
    }
    (out, inner)
}

/// The delimiter, where a line begins a here-document that the shell does not expand and nothing else of that kind.
fn here_document(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("<<")?;
    let word = after.trim().strip_prefix('\'')?.strip_suffix('\'')?;
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    let simple = !before.contains(['\'', '"', '#', '`', '\\', '<', '(', ')']);
    (simple && !word.is_empty() && plain(word)).then_some(word)
}

fn ask_bash(script: &str) -> Verdict {
    let child = Command::new("bash")
        .arg("-n")
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Some((1, format!("the script was not read, since bash does not start: {error}"))),
    };
    let mut input = child.stdin.take().expect("it was asked for");
    let errors = child.stderr.take().expect("it was asked for");
    let (sender, receiver) = mpsc::channel();
    let said = std::thread::scope(|scope| {
        // The shell may stop reading at the first mistake.
        scope.spawn(move || input.write_all(script.as_bytes()));
        scope.spawn(move || {
            let mut said = Vec::new();
            let read = errors.take(SAID_BYTES_MAX).read_to_end(&mut said);
            let _ = sender.send(read.map(|_| said));
        });
        let said = receiver.recv_timeout(READING_TIME_MAX);
        // It has said all, or too much, or it is late: then both threads wait for its end.
        let _ = child.kill();
        said
    });
    let _ = child.wait();
    let said = match said {
        Ok(Ok(said)) => String::from_utf8_lossy(&said).into_owned(),
        Ok(Err(error)) => return Some((1, format!("the script was not read: {error}"))),
        Err(_) => return Some((1, format!("the shell needs more than {} s for it", READING_TIME_MAX.as_secs()))),
    };
    let (line, what) = said.lines().next()?.split_once("line ")?.1.split_once(": ")?;
    let at = line.trim().parse().unwrap_or(1);
    Some((at, format!("the shell cannot read the script: {}", what.trim_start_matches("warning: "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_scripts_are_found_where_they_break() {
        let scripts = Scripts::new();
        assert_eq!(scripts.problems("echo a\nif [ x = ]; then\n  echo b\nfi\n"), []);
        let [(line, what)] = &scripts.problems("echo a\nif [ x = ; then\nfi\n")[..] else { panic!("one problem") };
        assert_eq!(*line, 3, "{what}");
        assert!(!scripts.problems("echo 'never closed\n").is_empty());
        assert!(!scripts.problems("cat > x << 'EOF'\nno end\n").is_empty());
        assert!(!scripts.problems("cat > x << EOF\nno end\n").is_empty());
    }

    #[test]
    fn a_script_has_an_end() {
        let scripts = Scripts::new();
        let [(1, what)] = &scripts.problems(&"x".repeat(SCRIPT_BYTES_MAX + 1))[..] else { panic!("one problem") };
        assert!(what.contains("larger than 4 MB"), "{what}");
        // Each writes the next one; deep inside nobody looks.
        let nest = |depth: usize| {
            let begin: String = (0..depth).map(|n| format!("cat > x << 'E{n}.'\n#!/bin/sh\n")).collect();
            let end: String = (0..depth).rev().map(|n| format!("E{n}.\n")).collect();
            format!("{begin}for\n{end}")
        };
        assert_ne!(scripts.problems(&nest(NESTED_MAX)), []);
        assert_eq!(scripts.problems(&nest(NESTED_MAX + 1)), []);
    }

    #[test]
    fn a_script_that_is_written_is_read_too() {
        let scripts = Scripts::new();
        let text = "mkdir x\ncat > x/y << 'EOF'\n#!/bin/sh\nfor\nEOF\ncat > x/z << 'EOF'\nfor\nEOF\n";
        assert_eq!(scripts.problems(text).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn scripts_that_differ_in_numbers_only_are_read_once() {
        let scripts = Scripts::new();
        for host in 0..20 {
            let text =
                format!("ip=10.1.{host}.7; mac=52:54:00:ab:c{:x}:01\nif [ $ip ]; then echo {host}; fi\n", host % 16);
            assert_eq!(scripts.problems(&text), []);
        }
        assert_eq!(scripts.distinct(), 1);
        // What ends a here-document is no number.
        assert_eq!(scripts.problems("cat << E1\nx\nE1\n"), []);
        assert_ne!(scripts.problems("cat << E1\nx\nE2\n"), []);
        assert_ne!(scripts.problems("if [ 1 ]; then echo 2\n"), []);
        assert_eq!(likeness("a52:54:00:00:00:01 52:54:00:00:00:01x\u{fc}12"), "a0:0:0:0:0:0 0:0:0:0:0:0x\u{fc}0");
    }

    #[test]
    fn scripts_that_differ_in_files_only_are_read_once() {
        let scripts = Scripts::new();
        for host in 0..20 {
            assert_eq!(
                scripts.problems(&format!("cat > /etc/x << 'EOF'\nhost {host} ( ' \nEOF\nchmod 600 /etc/x\n")),
                []
            );
        }
        assert_eq!(scripts.distinct(), 1);
        // Here the plain form stands inside another one.
        assert!(outline("cat << EOF\ncat << 'X'\nEOF\nfor\nX\n").0.contains("for"));
    }
}
