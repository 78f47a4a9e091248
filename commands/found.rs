//! Findings of many hosts, each said once.

use crate::error::{Failure, Kind};
use crate::kickstart_of::Guest;
use crate::ui::{self, Format};
use rocks::cluster::{HostName, MacAddress, fold};
use rocks::profile::{Finding, Severity};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Findings, each with the hosts that have it: none for what stands in a file of its own.
///
/// What differs only by a host's own name and addresses is one finding, shown as the first host has it.
#[derive(Default)]
pub(crate) struct Found(BTreeMap<Finding, (Finding, Vec<HostName>)>);

impl Found {
    /// Of no host.
    pub(crate) fn add(&mut self, finding: Finding) {
        self.0.entry(finding.clone()).or_insert_with(|| (finding, Vec::new()));
    }

    /// Of a host; its findings follow each other.
    pub(crate) fn add_of(&mut self, host: &Guest, finding: Finding) {
        let hosts = match self.known_mistake(&finding) {
            Some(hosts) => hosts,
            None => {
                let key =
                    Finding { message: without_own_values(host, &finding.message), shown: None, ..finding.clone() };
                &mut self.0.entry(key).or_insert_with(|| (finding, Vec::new())).1
            }
        };
        if hosts.last() != Some(&host.name) {
            hosts.push(host.name.clone());
        }
    }

    /// The hosts of what is known to be wrong at the same place of the same file: a host that cannot be compiled for
    /// a mistake in a graph file is one of those that have this mistake.
    fn known_mistake(&mut self, finding: &Finding) -> Option<&mut Vec<HostName>> {
        let place = |finding: &Finding| (finding.line, finding.column);
        let same = |known: &Finding| {
            let stopped = finding.severity == Severity::Error && known.severity == Severity::Error;
            known.file == finding.file
                && place(known) == place(finding)
                && (stopped || known.message == finding.message)
        };
        if finding.file == KICKSTART || finding.line.is_none() {
            return None;
        }
        self.0.iter_mut().find(|(known, _)| same(known)).map(|(_, (_, hosts))| hosts)
    }

    /// Prints all; an error, and so status 4, where one of them is.
    pub(crate) fn report(self, format: Format, checked: usize) -> anyhow::Result<()> {
        let all: Vec<(Finding, Vec<HostName>)> = self.0.into_values().collect();
        match format {
            Format::Json => ui::json(&all.iter().map(|(finding, hosts)| record(finding, hosts)).collect::<Vec<_>>())?,
            Format::Table => {
                for (finding, hosts) in &all {
                    let whose = if hosts.is_empty() { String::new() } else { format!("{}: ", fold(hosts)) };
                    // The place of a file stands first in its line, as editors read it.
                    match finding.file == KICKSTART || finding.file.is_empty() {
                        true => ui::print(&format!("{whose}{finding}\n"))?,
                        false if hosts.is_empty() => ui::print(&format!("{finding}\n"))?,
                        false => ui::print(&format!("{finding}\n    for {}\n", fold(hosts)))?,
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

/// How the Kickstart of a host is called in findings: it is in no file.
pub(crate) const KICKSTART: &str = "ks.cfg";

/// A text without the name and the addresses that a host has for itself.
fn without_own_values(host: &Guest, message: &str) -> String {
    let is_own = |value: &str| {
        value.contains(host.name.as_str()) || value.parse::<IpAddr>().is_ok() || MacAddress::parse(value).is_ok()
    };
    let own = host.attributes.iter().filter(|(_, value)| message.contains(value.as_str()) && is_own(value));
    let mut own: Vec<_> = own.map(|(name, value)| (value.as_str(), format!("&{name};"))).collect();
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
