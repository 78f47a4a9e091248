//! `<ansible>`: a playbook of the roll's include folder and plays written in the node file, run on the installed
//! machine; the packages of its `yum` tasks join the profile's.

use super::KickstartError;
use super::script::{Dialect, Files};
use super::section::Kind;
use super::shell;
use super::written::Script;
use crate::profile::{Element, Origin, Profile};
use std::fmt::Write;

/// What an `<ansible>` element says.
#[derive(Debug)]
pub(super) struct Playbook {
    /// The file it is written to; none where the element only has plays of its own.
    name: Option<String>,
    command: String,
    arguments: String,
    text: String,
}

impl Playbook {
    /// Reads an element; the included file's text comes with the profile.
    pub(super) fn read(element: &Element, profile: &Profile, files: &mut Files<'_>) -> Result<Self, KickstartError> {
        let name = element.attribute("playbook").map(str::trim).filter(|name| !name.is_empty());
        let included = name.and_then(|name| profile.file(&format!("ansible/{name}"))).unwrap_or_default();
        Ok(Self {
            name: name.map(str::to_owned),
            command: element.attribute("ansible_cmd").unwrap_or("/usr/bin/ansible-playbook").to_owned(),
            arguments: element.attribute("args").unwrap_or_default().to_owned(),
            text: format!("{included}{}", files.text(element)?),
        })
    }

    /// The packages of its `yum`, `dnf` and `package` tasks: name, and whether it is to be there.
    pub(super) fn packages(&self) -> Vec<(String, bool)> {
        let mut packages = Vec::new();
        let lines: Vec<&str> = self.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let item = line.trim_start().trim_start_matches("- ").trim_start();
            let Some(rest) = ["yum:", "dnf:", "package:"].iter().find_map(|task| item.strip_prefix(task)) else {
                continue;
            };
            let indent = line.len() - item.len();
            let task = match rest.trim() {
                "" => block(&lines[at + 1..], indent),
                inline => fields(inline),
            };
            let wanted = !task
                .iter()
                .any(|(key, values)| key == "state" && values.iter().any(|v| v == "absent" || v == "removed"));
            for (_, names) in task.iter().filter(|(key, _)| key == "name" || key == "pkg") {
                let names =
                    names.iter().flat_map(|names| names.split(',')).map(str::trim).filter(|name| !name.is_empty());
                packages.extend(names.map(|name| (name.to_owned(), wanted)));
            }
        }
        packages
    }
}

/// The script that writes a playbook and runs it; none where there is no file to write it to.
pub(super) fn script(playbook: &Playbook, dialect: Dialect, origin: &Origin) -> Option<Script> {
    let name = playbook.name.as_ref()?;
    let target = format!("/var/rocks/ansible/{name}");
    let word = shell::word(&target, false);
    let folder = shell::word(target.rsplit_once('/').map_or("/", |(folder, _)| folder), false);
    let mut text = format!("#### WRITE PLAYBOOK '{name}' in '/var/rocks/ansible' ####\n");
    let _ = writeln!(text, "if [ ! -d {folder} ]; then mkdir -p {folder}; fi");
    let here = shell::Here { end: "ROCKS-KS-YML", ..shell::LITERAL };
    shell::write_file(&mut text, &word, &playbook.text, here);
    let _ = write!(text, "##### RUN the Playbook #####\n{} {} {word}", playbook.command, playbook.arguments);
    Some(Script::new(Kind::Post, "", "", &text, origin, dialect))
}

/// The keys of the block below a task that is indented by this much.
fn block(lines: &[&str], indent: usize) -> Vec<(String, Vec<String>)> {
    let mut fields: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines {
        let item = line.trim_start();
        if item.is_empty() || item.starts_with('#') {
            continue;
        }
        let depth = line.len() - item.len();
        if depth < indent || (depth == indent && !item.starts_with("- ")) {
            break;
        }
        if let Some(value) = item.strip_prefix("- ") {
            match fields.last_mut() {
                Some((_, values)) if depth >= indent => values.push(scalar(value)),
                _ => break,
            }
        } else if let Some((key, value)) = item.split_once(':') {
            fields.push((key.trim().to_owned(), list(value.trim())));
        }
    }
    fields
}

/// `{name: "foo, bar", state: present}` or `name=foo state=present`.
fn fields(text: &str) -> Vec<(String, Vec<String>)> {
    if let Some(body) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        return split(body)
            .filter_map(|field| field.split_once(':'))
            .map(|(k, v)| (scalar(k), list(v.trim())))
            .collect();
    }
    text.split_whitespace()
        .filter_map(|field| field.split_once('='))
        .map(|(k, v)| (k.to_owned(), vec![scalar(v)]))
        .collect()
}

fn list(text: &str) -> Vec<String> {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(body) => split(body).map(scalar).collect(),
        None if text.is_empty() => Vec::new(),
        None => vec![scalar(text)],
    }
}

/// Splits at commas outside quotes and brackets.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let (mut quote, mut depth) = (None, 0i32);
    text.split(move |c: char| {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth -= 1,
            (None, ',') => return depth == 0,
            _ => {}
        }
        false
    })
}

fn scalar(text: &str) -> String {
    let text = text.trim();
    let inside = |quote| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(text: &str) -> Vec<(String, bool)> {
        let playbook = Playbook { name: None, command: String::new(), arguments: String::new(), text: text.to_owned() };
        playbook.packages()
    }

    #[test]
    fn packages_of_tasks_are_found_in_every_notation() {
        let on = |name: &str| (name.to_owned(), true);
        assert_eq!(packages("- yum: {name: \"foo, bar\", state: present}"), [on("foo"), on("bar")]);
        assert_eq!(
            packages("  - name: x\n    yum:\n      name: gone\n      state: absent\n"),
            [("gone".to_owned(), false)]
        );
        assert_eq!(packages("  - yum:\n      name:\n        - a\n        - b\n  - shell: name=c"), [on("a"), on("b")]);
        assert_eq!(packages("  - dnf: name=a state=latest\n  - yum: {name: [b, 'c']}"), [on("a"), on("b"), on("c")]);
        assert_eq!(packages("- copy:\n    name: nothing\n"), []);
    }
}
