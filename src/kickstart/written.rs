//! A script as its section carries it: what follows `%pre` or `%post`, and a text that fits between that and `%end`.

use super::script::Dialect;
use super::section::Kind;
use super::shell;
use crate::profile::{Element, Origin};
use minijinja::Value;
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

/// A `<pre>`, `<post>`, `<configure>` or playbook that became a script.
#[derive(Debug)]
pub(super) struct Script {
    head: Head,
    /// Its text, as it stands in its section.
    pub(super) text: Arc<str>,
    /// Whether it does nothing but note that a node's own begins or ends.
    pub(super) is_log_record: bool,
}

/// What follows `%pre` or `%post`, with a blank before it.
#[derive(Debug)]
enum Head {
    Fixed(Arc<str>),
    /// The script's number stands between.
    Numbered(String, String),
}

impl Script {
    /// The script of an element, given its text.
    pub(super) fn of(element: &Element, kind: Kind, text: &str, dialect: Dialect) -> Self {
        let attribute = |name| element.attribute(name).unwrap_or_default();
        Self::new(kind, attribute("interpreter"), attribute("arg").trim(), text.trim_end(), &element.origin, dialect)
    }

    /// A script with its interpreter (the installer's own choice where it is empty) and what its head ends with
    /// (`--nochroot`); no white space is at the end of its text.
    pub(super) fn new(
        kind: Kind,
        interpreter: &str,
        argument: &str,
        text: &str,
        origin: &Origin,
        dialect: Dialect,
    ) -> Self {
        let interpreter = Some(interpreter).filter(|interpreter| !interpreter.is_empty());
        let (head, written) = match dialect {
            Dialect::Rocks7 if kind == Kind::Pre => old_pre(interpreter, argument, text),
            Dialect::Rocks7 => old_post(interpreter, argument, text),
            Dialect::Modern => modern(kind, interpreter.unwrap_or("/bin/bash"), argument, text, origin),
        };
        Self { head, text: written, is_log_record: is_log_record(text) }
    }

    /// What follows `%pre` or `%post`, given how many such scripts there are up to this one.
    pub(super) fn head(&self, number: usize) -> Arc<str> {
        match &self.head {
            Head::Fixed(head) => head.clone(),
            Head::Numbered(before, after) => format!("{before}{number:03}{after}").into(),
        }
    }

    /// As templates see it.
    pub(super) fn value(&self, number: usize) -> Value {
        super::context::script(self.head(number), self.text.clone())
    }
}

fn old_pre(interpreter: Option<&str>, argument: &str, text: &str) -> (Head, Arc<str>) {
    let named = interpreter.map(|interpreter| format!(" --interpreter {interpreter}")).unwrap_or_default();
    let head = format!(" --log=/tmp/ks-pre.log{named} {argument}");
    (Head::Fixed(head.trim_end().into()), fitting(text, interpreter.unwrap_or("/bin/sh")).into())
}

/// The original ran every script from a file of its own. Ours is named after what is in it, so that a script that comes
/// or goes leaves the others as they are.
fn old_post(interpreter: Option<&str>, argument: &str, text: &str) -> (Head, Arc<str>) {
    let body = format!("#!{}\n{text}\n\n", interpreter.unwrap_or("/bin/bash"));
    let temporary = format!("/tmp/ks-script-{:016x}", digest(&body));
    let mut written = String::with_capacity(body.len() + 200);
    shell::write_file(&mut written, &temporary, &body, shell::Here { end: "ROCKS-KS-POST", ..shell::LITERAL });
    let _ = write!(written, "/bin/chmod +x {temporary}\n{temporary}\n/bin/rm {temporary}");
    let head = format!(" --log=/mnt/sysimage/var/log/rocks-install.log {argument}");
    (Head::Fixed(head.trim_end().into()), written.into())
}

fn modern(kind: Kind, interpreter: &str, argument: &str, text: &str, origin: &Origin) -> (Head, Arc<str>) {
    let section = if kind == Kind::Pre { "pre" } else { "post" };
    let mut before = format!(" --interpreter={interpreter}");
    let argument = if argument.is_empty() { String::new() } else { format!(" {argument}") };
    let head = if argument.contains("--log") {
        before.push_str(&argument);
        Head::Fixed(before.into())
    } else {
        let file = origin.file.rsplit('/').next().unwrap_or_default();
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
        let node: String = file.trim_end_matches(".xml").chars().map(plain).collect();
        // Without a new root, a path is the installer's own.
        let folder = match section {
            "pre" => "/tmp",
            _ if argument.contains("--nochroot") => "/mnt/sysimage/var/log/rocks",
            _ => "/var/log/rocks",
        };
        let _ = write!(before, " --log={folder}/{section}-");
        Head::Numbered(before, format!("-{node}.log{argument}"))
    };
    (head, fitting(text.strip_prefix('\n').unwrap_or(text), interpreter).into())
}

/// A script that a section can carry: itself, or its base64 and the shell that runs it.
fn fitting<'t>(text: &'t str, interpreter: &str) -> Cow<'t, str> {
    // Another language has no here-documents: its text must stand as it is, and the check will say so.
    if shell::fits_a_section(text) || !is_shell(interpreter) {
        return text.into();
    }
    let mut out = String::from("rocks_script=$(mktemp /tmp/rocks-script.XXXXXX)\n");
    shell::write_file(&mut out, "\"$rocks_script\"", text, shell::LITERAL);
    let _ =
        write!(out, "{interpreter} \"$rocks_script\"\nrocks_status=$?\nrm -f \"$rocks_script\"\n(exit $rocks_status)");
    out.into()
}

/// Whether an interpreter reads shell.
pub(super) fn is_shell(interpreter: &str) -> bool {
    let mut words = interpreter.split_whitespace();
    let program = match words.next().unwrap_or_default() {
        "/usr/bin/env" | "/bin/env" => words.find(|word| !word.starts_with('-')).unwrap_or_default(),
        program => program,
    };
    matches!(program.rsplit('/').next(), Some("sh" | "bash" | "dash" | "ksh"))
}

/// Whether a script does nothing but note that a node's own begins or ends, as stage 1 writes them for the original.
fn is_log_record(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let head = lines.next().is_some_and(|line| line.starts_with("cat >> /var/log/rocks-install.log <<"));
    let record =
        lines.next().is_some_and(|line| line.ends_with(": begin post section") || line.ends_with(": end post section"));
    head && record && lines.count() == 1
}

/// A number that stands for a text, the same on every machine and in every version.
fn digest(text: &str) -> u64 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |digest: u64, value: u64| (digest.rotate_left(23) ^ value).wrapping_mul(SPREAD);
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let digest = words.iter().fold(text.len() as u64, |digest, word| mix(digest, u64::from_le_bytes(*word)));
    let digest = rest.iter().fold(digest, |digest, byte| mix(digest, u64::from(*byte)));
    let digest = mix(digest ^ digest >> 32, SPREAD);
    digest ^ digest >> 29
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_are_known() {
        for shell in ["/bin/sh", "/usr/bin/bash -x", "/usr/bin/env bash", "/usr/bin/env -S bash -e", "/bin/ksh"] {
            assert!(is_shell(shell), "{shell}");
        }
        for other in ["/usr/bin/python3", "/usr/bin/env python3", "/usr/bin/env", ""] {
            assert!(!is_shell(other), "{other}");
        }
    }

    #[test]
    fn texts_have_numbers_of_their_own() {
        let texts =
            ["", "a", "b", "aaaaaaaa", "aaaaaaab", "aaaaaaaaa", "baaaaaaa", "aaaaaaaabbbbbbbb", "bbbbbbbbaaaaaaaa"];
        let digests: std::collections::BTreeSet<u64> = texts.iter().map(|text| digest(text)).collect();
        assert_eq!(digests.len(), texts.len());
        assert_eq!(
            digest("#!/bin/bash\necho one\n\n"),
            0x3e4fda0ff9c0ec67,
            "it does not change from version to version"
        );
    }
}
