//! Findings of many hosts, each said once.

use crate::error::{Failure, Kind};
use crate::kickstart_of::Guest;
use crate::ui::{self, Format};
use rocks::cluster::{HostName, MacAddress, fold};
use rocks::profile::{Finding, Severity};
use std::collections::HashMap;
use std::net::IpAddr;

/// Findings, each with the hosts that have it: none for what stands in a file of its own.
///
/// What differs only by a host's own name and addresses is one finding, shown as the first host has it.
#[derive(Default)]
pub(crate) struct Found {
    entries: Vec<Entry>,
    /// Entries by their key.
    by_key: HashMap<Finding, usize>,
    /// Entries that have a place in a file, by it.
    by_place: HashMap<Place, Vec<usize>>,
    /// Entries by a finding as a host had it, so that most hosts cost a look: at most `SEEN_MAX`.
    seen: HashMap<Finding, usize>,
    /// Hosts that have something, in the order they came.
    names: Vec<HostName>,
}

/// File, line and column.
type Place = (String, Option<u32>, Option<u32>);

struct Entry {
    /// The finding without what is a host's own.
    key: Finding,
    finding: Finding,
    /// Numbers of hosts.
    hosts: Vec<u32>,
}

/// How many findings are remembered just as a host had them.
const SEEN_MAX: usize = 10_000;

impl Found {
    /// Of no host.
    pub(crate) fn add(&mut self, finding: Finding) {
        if !self.by_key.contains_key(&finding) {
            self.enter(finding.clone(), finding);
        }
    }

    /// Of a host; its findings follow each other.
    pub(crate) fn add_of(&mut self, host: &Guest, finding: Finding) {
        let number = match self.seen.get(&finding) {
            Some(number) => *number,
            None => {
                let number = self.number(host, &finding);
                if self.seen.len() < SEEN_MAX {
                    self.seen.insert(finding, number);
                }
                number
            }
        };
        if self.names.last() != Some(&host.name) {
            self.names.push(host.name.clone());
        }
        let own = u32::try_from(self.names.len() - 1).expect("a cluster has fewer hosts");
        let hosts = &mut self.entries[number].hosts;
        if hosts.last() != Some(&own) {
            hosts.push(own);
        }
    }

    fn number(&mut self, host: &Guest, finding: &Finding) -> usize {
        if let Some(number) = self.known_mistake(finding) {
            return number;
        }
        // Where a host's own values stand in a line, words behind them stand elsewhere.
        let column = finding.column.filter(|_| finding.file != KICKSTART);
        let message = without_own_values(host, &finding.message);
        let key = Finding { message, column, shown: None, ..finding.clone() };
        match self.by_key.get(&key) {
            Some(number) => *number,
            None => self.enter(key, finding.clone()),
        }
    }

    fn enter(&mut self, key: Finding, finding: Finding) -> usize {
        let number = self.entries.len();
        self.by_key.insert(key.clone(), number);
        self.by_place.entry(place(&finding)).or_default().push(number);
        self.entries.push(Entry { key, finding, hosts: Vec::new() });
        number
    }

    /// What is known to be wrong at the same place of the same file: a host that cannot be compiled for a mistake in a
    /// graph file is one of those that have this mistake.
    fn known_mistake(&self, finding: &Finding) -> Option<usize> {
        if finding.file == KICKSTART || finding.line.is_none() {
            return None;
        }
        let same = |number: &&usize| {
            let known = &self.entries[**number].finding;
            let stopped = finding.severity == Severity::Error && known.severity == Severity::Error;
            stopped || known.message == finding.message
        };
        self.by_place.get(&place(finding))?.iter().find(same).copied()
    }

    /// Prints all; an error, and so status 4, where one of them is.
    pub(crate) fn report(mut self, format: Format, checked: usize) -> anyhow::Result<()> {
        self.entries.sort_by(|one, other| one.key.cmp(&other.key));
        let named = |hosts: Vec<u32>| hosts.into_iter().map(|host| self.names[host as usize].clone()).collect();
        let all: Vec<(Finding, Vec<HostName>)> =
            self.entries.into_iter().map(|entry| (entry.finding, named(entry.hosts))).collect();
        match format {
            Format::Json => ui::json(&all.iter().map(|(finding, hosts)| record(finding, hosts)).collect::<Vec<_>>())?,
            Format::Table => {
                // Most findings are of the same hosts, and a large set takes its time.
                let mut folded: HashMap<&[HostName], String> = HashMap::new();
                for (finding, hosts) in &all {
                    let hosts = folded.entry(hosts).or_insert_with(|| fold(hosts)).as_str();
                    let whose = if hosts.is_empty() { String::new() } else { format!("{hosts}: ") };
                    // The place of a file stands first in its line, as editors read it.
                    match finding.file == KICKSTART || finding.file.is_empty() {
                        true => ui::print(&format!("{whose}{finding}\n"))?,
                        false if hosts.is_empty() => ui::print(&format!("{finding}\n"))?,
                        false => ui::print(&format!("{finding}\n    for {hosts}\n"))?,
                    }
                }
            }
        }
        let count = |severity| all.iter().filter(|(finding, _)| finding.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let summary = format!("{checked} checked: {}, {}", plural(errors, "error"), plural(warnings, "warning"));
        if errors > 0 {
            return Err(Failure::new(Kind::Invalid, summary).into());
        }
        ui::note(&summary);
        Ok(())
    }
}

fn place(finding: &Finding) -> Place {
    (finding.file.clone(), finding.line, finding.column)
}

/// How the Kickstart of a host is called in findings: it is in no file.
pub(crate) const KICKSTART: &str = "ks.cfg";

/// A text without the name and the addresses that a host has for itself.
fn without_own_values(host: &Guest, message: &str) -> String {
    let is_own = |value: &str| {
        value.contains(host.name.as_str()) || value.parse::<IpAddr>().is_ok() || MacAddress::parse(value).is_ok()
    };
    let own = host.attributes.iter().filter(|(_, value)| message.contains(value) && is_own(value));
    let mut own: Vec<_> = own.map(|(name, value)| (value, format!("&{name};"))).collect();
    own.push((host.name.as_str(), "&hostname;".to_owned()));
    // A name within a longer one is not its own word.
    own.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    own.iter().fold(message.to_owned(), |text, (value, name)| text.replace(value, name))
}

fn record(finding: &Finding, hosts: &[HostName]) -> serde_json::Value {
    let Finding { file, line, column, severity, code, message, shown, hint } = finding;
    serde_json::json!({
        "file": file, "line": line, "column": column, "severity": severity.as_str(), "code": code,
        "message": message, "shown": shown, "hint": hint, "hosts": hosts,
    })
}
