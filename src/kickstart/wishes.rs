//! The lines of `%packages`: packages, groups and environments that must be there, and those that must not.

use super::check::{FINDINGS_MAX, Shelf};
use super::document::SectionText;
use super::{PackageList, groups};
use crate::profile::{Finding, Severity};
use std::collections::HashMap;

/// The longest line of `%packages`, in bytes.
const NAME_BYTES_MAX: usize = 1024;

/// What is wrong in a section `%packages`, each with its line; `shelf` knows what can be installed.
pub(super) fn findings(section: &SectionText<'_>, shelf: Option<&dyn Shelf>) -> Vec<Finding> {
    let mut wishes = Wishes { shelf, findings: Vec::new() };
    wishes.read(section);
    wishes.findings
}

struct Wishes<'s> {
    shelf: Option<&'s dyn Shelf>,
    findings: Vec<Finding>,
}

impl Wishes<'_> {
    fn add(&mut self, severity: Severity, line: u32, code: &'static str, message: String) {
        if self.findings.len() <= 10 * FINDINGS_MAX {
            let mut finding = Finding::new(severity, code, message);
            finding.line = Some(line);
            self.findings.push(finding);
        }
    }

    fn error(&mut self, line: u32, code: &'static str, message: String) {
        self.add(Severity::Error, line, code, message);
    }

    fn read(&mut self, section: &SectionText<'_>) {
        let mut wishes: HashMap<String, bool> = HashMap::new();
        for (line, text) in section.lines() {
            let list = PackageList::from_lines(std::iter::once(text));
            let wish = text.split('#').next().unwrap_or_default().trim();
            if wish.is_empty() {
                continue;
            }
            if wish.len() > NAME_BYTES_MAX {
                self.error(line, "package", format!("a name is longer than {NAME_BYTES_MAX} bytes"));
                continue;
            }
            let options = wish.split_whitespace().filter(|word| word.starts_with("--"));
            for option in options.filter(|_| wish.starts_with('@') || wish.starts_with("-@")) {
                if !matches!(option, "--nodefaults" | "--optional") {
                    self.error(line, "unknown-option", format!("a group has no option '{option}'"));
                }
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
                let known = self.shelf.map_or_else(|| groups::is_group(name), |shelf| shelf.group(name));
                if !known && !name.contains('*') {
                    self.missing(line, "group", name);
                }
            }
            for name in list.excluded_groups.iter().filter(|name| !name.contains('*')) {
                if !self.shelf.map_or_else(|| groups::is_group(name), |shelf| shelf.group(name)) {
                    self.add(Severity::Warning, line, "group", format!("there is no group '{name}' to be without"));
                }
            }
            for name in &list.environments {
                let known = self.shelf.map_or_else(|| groups::is_environment(name), |shelf| shelf.environment(name));
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
        if self.shelf.is_some_and(|shelf| !shelf.package(name)) {
            self.missing(line, "package", name);
        }
    }

    /// Something that cannot be installed: an installation ends there, or goes on (`--ignoremissing`) without it.
    fn missing(&mut self, line: u32, kind: &'static str, name: &str) {
        let known = self.shelf.is_some();
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
}
