//! What would fail at install time in a Kickstart file, ours or not.

use super::arguments::{Arguments, Problem};
use super::document::{CommandLine, Document, SectionText};
use super::grammar::{Grammar, Shape, Status};
use super::memo::{Memo, fingerprint};
use super::scripts::Scripts;
use super::storage::Storage;
use super::{addons, doubts, rules, values, wishes, written};
use crate::cluster::Release;
use crate::profile::{Finding, Severity};
use std::collections::{HashMap, HashSet};

/// What can be installed: a distribution's packages and groups, asked by name.
pub trait Shelf: Sync {
    /// Whether something can be installed by this name: a package, a pattern, a file or a capability.
    fn package(&self, name: &str) -> bool;
    /// Whether there is a group of this identifier or name.
    fn group(&self, name: &str) -> bool;
    /// Whether there is an environment of this identifier or name.
    fn environment(&self, name: &str) -> bool;
}

/// The longest message, in characters.
const MESSAGE_CHARACTERS_MAX: usize = 400;
/// The most findings of one file.
pub(super) const FINDINGS_MAX: usize = 1000;

/// A check of Kickstart files for one release.
pub struct Check<'a> {
    /// The release whose language is asked for.
    pub release: Release,
    /// What can be installed; none where that is not known.
    pub shelf: Option<&'a dyn Shelf>,
    /// Reads the scripts; none where they are not to be read.
    pub scripts: Option<&'a Scripts>,
    /// Knows what was found in files before. It must not outlive a shelf it was used with.
    pub memo: &'a Memo,
}

impl Check<'_> {
    /// Everything that is wrong in a file, by line. `file` is the name it goes by.
    pub fn run(&self, file: &str, text: &str) -> Vec<Finding> {
        let mut run = Run {
            check: self,
            grammar: Grammar::of(self.release),
            findings: Vec::new(),
            seen: HashSet::new(),
            identities: HashSet::new(),
            single: HashMap::new(),
            earlier: HashMap::new(),
            storage: Storage::default(),
            keys: Vec::new(),
        };
        if text.contains('\0') {
            run.error(1, "text", "the file has a NUL byte".to_owned());
        }
        let document = Document::read(text, &|name| run.grammar.section(name).is_some());
        for (line, problem) in &document.broken {
            run.error(*line, "syntax", problem.clone());
        }
        for command in &document.commands {
            run.command(command, &document);
        }
        for section in &document.sections {
            run.section(section, &document);
        }
        run.whole(&document);
        let mut findings = run.findings;
        findings.sort_by_key(|finding| finding.line);
        // Their lines, found in one way through the text.
        let mut lines = (1..).zip(text.lines()).peekable();
        let mut line = |number: u32| {
            while lines.next_if(|(passed, _)| *passed < number).is_some() {}
            lines.peek().filter(|(at, _)| *at == number).map_or("", |(_, line)| *line)
        };
        let more = findings.len() > FINDINGS_MAX;
        findings.truncate(FINDINGS_MAX);
        let mut findings: Vec<_> = findings.into_iter().map(|finding| place(finding, file, &mut line)).collect();
        if more {
            let message = format!("more is wrong in this file than the {FINDINGS_MAX} findings that are told");
            findings.push(Finding::new(Severity::Error, "more", message).at(file, 1, 1));
        }
        findings
    }
}

/// Gives a finding its file and the line it stands in.
fn place<'t>(finding: Finding, file: &str, line_of: &mut impl FnMut(u32) -> &'t str) -> Finding {
    let line = finding.line.unwrap_or(1);
    let shown = line_of(line);
    // Never show a password, not even a wrong one.
    let secret = finding.code == "password" || shown.contains("pw ") || shown.contains("password");
    let column = column(shown, &finding.message);
    let mut finding = finding.at(file, line, column);
    finding.message = harmless(&finding.message);
    if !secret && !shown.is_empty() {
        finding = finding.show_line(shown);
    }
    finding
}

/// Where in a line the word stands that a finding is about: the first one in quotes that is there, the command aside.
fn column(line: &str, message: &str) -> u32 {
    let begin = line.len() - line.trim_start().len();
    let command = line[begin..].split_whitespace().next().unwrap_or_default();
    let after = begin + command.len();
    let quoted = message.split('\'').skip(1).step_by(2).filter(|word| !word.is_empty() && *word != command);
    let mut places = quoted.filter_map(|word| line.get(after..)?.find(word));
    let offset = places.next().map_or(begin, |found| after + found);
    u32::try_from(line[..offset].chars().count() + 1).unwrap_or(1)
}

/// A message without what a terminal would obey, and without most of a word that goes on and on.
fn harmless(message: &str) -> String {
    let plain = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut text: String = message.chars().take(MESSAGE_CHARACTERS_MAX).map(plain).collect();
    if message.chars().nth(MESSAGE_CHARACTERS_MAX).is_some() {
        text.push_str("...");
    }
    text
}

struct Run<'a> {
    check: &'a Check<'a>,
    grammar: Grammar,
    findings: Vec<Finding>,
    /// Commands seen so far.
    seen: HashSet<&'a str>,
    identities: HashSet<(&'a str, String)>,
    /// The last of those commands of which one counts, by the first of its kind.
    single: HashMap<&'static str, &'a [String]>,
    earlier: HashMap<&'a str, Arguments>,
    storage: Storage,
    /// The users that keys are for, and the line.
    keys: Vec<(u32, String)>,
}

/// One name for commands that have two.
fn canonical(name: &str) -> &str {
    match name {
        "part" => "partition",
        "authconfig" => "auth",
        other => other,
    }
}

impl<'a> Run<'a> {
    fn add(&mut self, severity: Severity, line: u32, code: &'static str, message: String) {
        if self.findings.len() > 10 * FINDINGS_MAX {
            return;
        }
        let mut finding = Finding::new(severity, code, message);
        finding.line = Some(line);
        self.findings.push(finding);
    }

    fn error(&mut self, line: u32, code: &'static str, message: String) {
        self.add(Severity::Error, line, code, message);
    }

    fn command(&mut self, command: &'a CommandLine, document: &Document<'_>) {
        let line = command.line;
        let name = command.words[0].as_str();
        if name == "%include" || name == "%ksappend" {
            self.storage.include();
            return self.include(line, &command.words, document);
        }
        let release = self.check.release;
        let Some(shape) = self.grammar.command(name) else {
            let known = Grammar::known_in(name, None);
            return self.error(
                line,
                "unknown-command",
                match known.first() {
                    None => format!("unknown command '{name}'"),
                    Some(first) if *first > release => format!("{release} does not know '{name}' yet ({first} does)"),
                    Some(_) => format!("{release} does not know '{name}'"),
                },
            );
        };
        match shape.status {
            Status::Removed => return self.error(line, "removed", format!("{release} has no '{name}' any more")),
            Status::Deprecated => {
                self.error(line, "deprecated", format!("'{name}' is deprecated and has no effect in {release}"))
            }
            Status::Ok => {}
        }
        let same = canonical(name);
        for other in &shape.conflicts {
            if self.seen.contains(canonical(other)) {
                self.error(line, "conflict", format!("'{name}' cannot be used together with '{other}'"));
            }
        }
        let is_first = self.seen.insert(same);
        if let Some(rivals) = doubts::rivals(name) {
            match self.single.insert(rivals[0], &command.words) {
                Some(before) if *before != command.words => {
                    let problem = match before[0] == *name {
                        true => format!("'{name}' is there twice: the last one counts"),
                        false => format!("'{name}' stands beside '{}': the last one counts", before[0]),
                    };
                    self.add(Severity::Warning, line, "repeated", problem);
                }
                _ => {}
            }
        }
        if name == "realm" {
            let problem = rules::realm_problem(&command.words[1..]).map(|problem| format!("'realm': {problem}"));
            problem.into_iter().for_each(|problem| self.error(line, "syntax", problem));
            if !is_first {
                self.error(line, "repeated", "'realm' is there twice".to_owned());
            }
        }
        if shape.free {
            let mut unread = Arguments::default();
            unread.words.extend_from_slice(&command.words[1..]);
            for (code, problem) in doubts::of(name, &unread) {
                self.add(Severity::Warning, line, code, problem);
            }
            return;
        }
        let mut arguments = self.arguments(line, name, shape, &command.words[1..]);
        if name == "timezone" && release == Release::Rhel9 && command.words.iter().any(|word| word == "--isUtc") {
            self.error(line, "deprecated", "option '--isUtc' is deprecated: use '--utc'".to_owned());
        }
        if name == "timezone" && command.words.len() == 1 {
            self.error(line, "syntax", "'timezone' needs a time zone or an option".to_owned());
        }
        if let Some(identity) = rules::identity(name, &arguments)
            && !self.identities.insert((same, identity.clone()))
        {
            let of = if identity.is_empty() { String::new() } else { format!(" for '{identity}'") };
            self.error(line, "repeated", format!("'{name}'{of} is there twice"));
        }
        for (code, problem) in values::problems(name, &arguments) {
            self.error(line, code, problem);
        }
        for (code, problem) in doubts::of(name, &arguments) {
            self.add(Severity::Warning, line, code, problem);
        }
        self.storage.command(line, name, &arguments);
        if name == "sshkey" {
            self.keys.extend(arguments.value("--username").map(|user| (line, user.to_owned())));
        }
        if rules::keeps_state(name) {
            if let Some(earlier) = self.earlier.get(same) {
                arguments.inherit(earlier);
            }
            self.earlier.insert(same, arguments.clone());
        }
        for problem in rules::problems(name, &arguments, release) {
            self.error(line, "syntax", format!("'{name}': {problem}"));
        }
    }

    fn arguments(&mut self, line: u32, name: &str, shape: &Shape, words: &[String]) -> Arguments {
        let arguments = Arguments::read(shape, words);
        let release = self.check.release;
        for problem in &arguments.problems {
            match problem {
                Problem::UnknownOption(option) => {
                    let known = Grammar::known_in(name, Some(option));
                    let (code, message) = match known.first() {
                        None => ("unknown-option", format!("'{name}' has no option '{option}'")),
                        Some(first) if *first > release => {
                            ("unknown-option", format!("{release} does not know '{name} {option}' yet ({first} does)"))
                        }
                        Some(_) => ("removed", format!("{release} has no '{name} {option}' any more")),
                    };
                    self.error(line, code, message);
                }
                Problem::DeprecatedOption(option) => {
                    self.error(
                        line,
                        "deprecated",
                        format!("'{name} {option}' is deprecated and has no effect in {release}"),
                    );
                }
                Problem::Other(problem) => self.error(line, "syntax", format!("'{name}': {problem}")),
            }
        }
        arguments
    }

    /// A file that is included must be on the installer's medium, behind a URL, or written by a `%pre`.
    fn include(&mut self, line: u32, words: &[String], document: &Document<'_>) {
        let Some(path) = words.get(1).filter(|path| !path.is_empty()) else {
            return self.error(line, "include", format!("'{}' names no file", words[0]));
        };
        let wrong = if path.contains("://") {
            let arguments = Arguments::default().with("--url", path);
            values::problems("url", &arguments).into_iter().next().map(|(_, problem)| problem)
        } else if ["/run/install/", "/mnt/install/", "/mnt/stage2/"].iter().any(|start| path.starts_with(start)) {
            None
        } else {
            let written = document
                .sections
                .iter()
                .filter(|section| section.name() == "%pre")
                .any(|section| section.lines().any(|(_, text)| text.contains(path.as_str())));
            (!written).then(|| format!("'{path}' is included, but no %pre script writes it"))
        };
        if let Some(problem) = wrong {
            self.error(line, "include", problem);
        }
    }

    fn section(&mut self, section: &'a SectionText<'a>, document: &Document<'_>) {
        let (name, line) = (section.name(), section.line);
        if !section.ended {
            self.error(line, "missing-end", format!("section '{name}' has no %end"));
        }
        for include in &section.includes {
            self.include(include.line, &include.words, document);
        }
        if matches!(name, "%addon" | "%anaconda") {
            let found = addons::findings(section);
            return found.into_iter().for_each(|(severity, line, what)| self.add(severity, line, "add-on", what));
        }
        let Some(shape) = self.grammar.section(name) else { return };
        if shape.free {
            return;
        }
        let arguments = self.arguments(line, name, shape, &section.head[1..]);
        for problem in rules::problems(name, &arguments, self.check.release) {
            self.error(line, "syntax", format!("'{name}': {problem}"));
        }
        match name {
            "%packages" => {
                let first = section.first;
                let shelf = self.check.shelf.map_or(0, |shelf| std::ptr::from_ref(shelf).addr());
                let key = fingerprint(&(self.check.release.as_str(), shelf, section.body));
                let found = self.check.memo.findings(key, || {
                    let mut found = wishes::findings(section, self.check.shelf);
                    found.iter_mut().for_each(|finding| finding.line = finding.line.map(|line| line - first));
                    found
                });
                let placed =
                    |finding: &Finding| Finding { line: finding.line.map(|line| line + first), ..finding.clone() };
                self.findings.extend(found.iter().map(placed));
            }
            "%certificate" => self.certificate(section, &arguments),
            _ => {
                for problem in doubts::of_script(&arguments) {
                    self.add(Severity::Warning, line, "script", problem);
                }
                self.script(section, arguments.value("--interpreter").unwrap_or("/bin/sh"));
            }
        }
    }

    fn certificate(&mut self, section: &SectionText<'_>, arguments: &Arguments) {
        let line = section.line;
        if arguments.value("--filename").is_some_and(|name| name.contains('/') || matches!(name, "." | "..")) {
            self.error(
                line,
                "certificate",
                "option '--filename' is no file's name: '--dir' names its folder".to_owned(),
            );
        }
        let has = |wanted: &str| section.lines().any(|(_, text)| text.trim() == wanted);
        if section.lines().all(|(_, text)| text.trim().is_empty()) {
            self.error(line, "syntax", "section '%certificate' is empty".to_owned());
        } else if section.includes.is_empty()
            && !section.body.contains("%ksappend")
            && !(has("-----BEGIN CERTIFICATE-----") && has("-----END CERTIFICATE-----"))
        {
            self.error(line, "certificate", "section '%certificate' has no certificate (PEM)".to_owned());
        }
    }

    fn script(&mut self, section: &SectionText<'_>, interpreter: &str) {
        if !interpreter.starts_with('/') {
            self.error(section.line, "interpreter", format!("interpreter '{interpreter}' is no absolute path"));
        }
        let Some(scripts) = self.check.scripts.filter(|_| written::is_shell(interpreter)) else { return };
        for (at, what) in scripts.problems(&section.text()) {
            let line = section.lines().nth(at.saturating_sub(1) as usize).or(section.lines().last());
            self.error(line.map_or(section.line, |(line, _)| line), "script", what);
        }
    }

    /// What only the whole file shows.
    fn whole(&mut self, document: &Document<'_>) {
        for (line, severity, problem) in std::mem::take(&mut self.storage).finish() {
            self.add(severity, line, "partitioning", problem);
        }
        let included = document.commands.iter().any(|command| command.words[0].starts_with('%'));
        if included || self.seen.is_empty() {
            return;
        }
        let of_users: Vec<(u32, String)> = std::mem::take(&mut self.keys);
        for (line, user) in of_users {
            if user != "root" && !self.identities.contains(&("user", user.clone())) {
                self.add(Severity::Warning, line, "ssh-key", format!("no line makes the user '{user}' of this key"));
            }
        }
        let missing = |names: &[&str]| !names.iter().any(|name| self.seen.contains(name));
        let mut questions = Vec::new();
        if missing(&[
            "url",
            "nfs",
            "cdrom",
            "harddrive",
            "liveimg",
            "ostreesetup",
            "ostreecontainer",
            "bootc",
            "hmc",
            "repo",
        ]) {
            questions.push("no installation source is named (url)");
        }
        if missing(&["autopart", "partition", "logvol", "mount", "btrfs", "reqpart", "stratisfs"]) {
            questions.push("no partitioning is told (part, autopart)");
        }
        if missing(&["rootpw", "user", "sshkey"]) {
            questions.push("nobody can log in (rootpw, user, sshkey)");
        }
        for question in questions {
            self.add(Severity::Warning, 1, "incomplete", question.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<Finding> {
        let check = Check { release: Release::Rhel9, shelf: None, scripts: None, memo: &Memo::default() };
        check.run("ks", text)
    }

    #[test]
    fn a_finding_stands_at_the_word_it_is_about() {
        for (line, message, expected) in [
            ("lang xx_NOPE", "unknown locale 'xx_NOPE'", 6),
            ("  network --ip=1.2.3", "'--ip=1.2.3' is no IPv4 address", 11),
            ("network --x", "'network' has no option '--x'", 9),
            ("\u{fc} 'a'", "'a' is odd", 4),
            ("part / --size=1", "no file system is mounted", 1),
            ("", "nothing", 1),
        ] {
            assert_eq!(column(line, message), expected, "{line}");
        }
    }

    #[test]
    fn hostile_lines_are_told_in_bounds() {
        for line in ["lang ".to_owned() + &"x".repeat(1 << 20), "part / ".to_owned() + &"--x ".repeat(1 << 18)] {
            let found = findings(&format!("{line}\nlang xx_NOPE\n"));
            assert!(found[0].message.contains("longer than 65536 bytes"), "{}", found[0]);
            assert!(found.iter().any(|finding| finding.line == Some(2) && finding.code == "locale"));
        }
        let found = findings(&format!("lang {}\u{1b}[2J\n", "x".repeat(5000)));
        assert!(found.iter().all(|f| f.message.len() < 500 && !f.to_string().contains('\u{1b}')));
        let section = format!("%pre\n{}%end\n%packages\n{}\n%end\n", "%include /x\n".repeat(3000), "p".repeat(5000));
        let found = findings(&section);
        assert!(found.len() <= FINDINGS_MAX + 1, "{}", found.len());
        assert!(findings(&section.replace("%include /x\n", "")).iter().any(|f| f.message.contains("longer than 1024")));
        assert!(findings(&"nosuch\n".repeat(20 * FINDINGS_MAX)).len() <= FINDINGS_MAX + 1);
    }
}
