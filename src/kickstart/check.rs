//! What would fail at install time in a Kickstart file, ours or not.

use super::arguments::{Arguments, Problem};
use super::document::{CommandLine, Document, SectionText};
use super::grammar::{Grammar, Shape, Status};
use super::memo::{Memo, fingerprint};
use super::scripts::Scripts;
use super::storage::Storage;
use super::{PackageList, groups, rules, values, written};
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
    let column = shown.len() - shown.trim_start().len() + 1;
    let mut finding = finding.at(file, line, u32::try_from(column).unwrap_or(1));
    if !secret && !shown.is_empty() {
        finding.shown = Some(shown.trim_end().chars().take(160).collect());
    }
    finding
}

struct Run<'a> {
    check: &'a Check<'a>,
    grammar: Grammar,
    findings: Vec<Finding>,
    /// Commands seen so far.
    seen: HashSet<&'a str>,
    identities: HashSet<(&'a str, String)>,
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
        if name == "realm" {
            let problem = rules::realm_problem(&command.words[1..]).map(|problem| format!("'realm': {problem}"));
            problem.into_iter().for_each(|problem| self.error(line, "syntax", problem));
            if !is_first {
                self.error(line, "repeated", "'realm' is there twice".to_owned());
            }
        }
        if shape.free {
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
                    let before = self.findings.len();
                    self.packages(section);
                    let mut found = self.findings.split_off(before);
                    found.iter_mut().for_each(|finding| finding.line = finding.line.map(|line| line - first));
                    found
                });
                let placed =
                    |finding: &Finding| Finding { line: finding.line.map(|line| line + first), ..finding.clone() };
                self.findings.extend(found.iter().map(placed));
            }
            "%certificate" => {
                if section.lines().all(|(_, text)| text.trim().is_empty()) {
                    self.error(line, "syntax", "section '%certificate' is empty".to_owned());
                }
            }
            _ => self.script(section, arguments.value("--interpreter").unwrap_or("/bin/sh")),
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

    fn packages(&mut self, section: &SectionText<'_>) {
        let mut wishes: HashMap<String, bool> = HashMap::new();
        for (line, text) in section.lines() {
            let list = PackageList::from_lines(std::iter::once(text));
            let wish = text.split('#').next().unwrap_or_default().trim();
            if wish.is_empty() {
                continue;
            }
            if wish.contains("--nodefaults") && wish.contains("--optional") {
                self.error(line, "syntax", "a group is either '--nodefaults' or '--optional'".to_owned());
            }
            let (off, name) = wish.strip_prefix('-').map_or((false, wish), |name| (true, name));
            if wishes.insert(name.to_owned(), off).is_some_and(|before| before != off) {
                self.add(Severity::Warning, line, "package", format!("'{name}' is both wanted and not wanted"));
            }
            let named = list.names.iter().chain(&list.groups).chain(&list.environments).next().is_some();
            if !off && !named {
                self.error(line, "package", format!("'{wish}' names nothing"));
            }
            for name in &list.names {
                self.package(line, name);
            }
            for name in &list.groups {
                let known = self.check.shelf.map_or_else(|| groups::is_group(name), |shelf| shelf.group(name));
                if !known && !name.contains('*') {
                    self.missing(line, "group", name);
                }
            }
            for name in &list.environments {
                let known =
                    self.check.shelf.map_or_else(|| groups::is_environment(name), |shelf| shelf.environment(name));
                if !known && !name.contains('*') {
                    self.missing(line, "environment", name);
                }
            }
        }
    }

    fn package(&mut self, line: u32, name: &str) {
        if name.contains(char::is_whitespace) {
            return self.error(line, "package", format!("'{name}' is no package name: it has a blank"));
        }
        let plain = |c: char| c.is_alphanumeric() || "._+-:*?[]!~^/()=<>".contains(c);
        if !name.chars().all(plain) {
            return self.error(line, "package", format!("'{name}' is no package name"));
        }
        if self.check.shelf.is_some_and(|shelf| !shelf.package(name)) {
            self.missing(line, "package", name);
        }
    }

    /// Something that cannot be installed: an installation ends there, or goes on (`--ignoremissing`) without it.
    fn missing(&mut self, line: u32, kind: &'static str, name: &str) {
        let known = self.check.shelf.is_some();
        let message = match known {
            true => format!("the distribution has no {kind} '{name}'"),
            false => {
                let article = if kind == "environment" { "an" } else { "a" };
                format!("no release of Enterprise Linux or Fedora has {article} {kind} '{name}'")
            }
        };
        let sure = known || groups::is_identifier(name);
        self.add(if sure { Severity::Error } else { Severity::Warning }, line, kind, message);
        if let Some(finding) = self.findings.last_mut().filter(|_| !known) {
            finding.hint = Some("where it is one of your own, name the distribution that has it".to_owned());
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
