//! Commands of an older installer said in the words of today's: what has no meaning any more is left out, what has a
//! new name gets it, and every change is told.

use super::grammar::{Grammar, Shape, Status};
use super::line;
use super::section::Command;
use crate::cluster::Release;

/// The command section for a release, and what was changed on the way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Modernised {
    /// Its lines, and for each the place in `Sections::makers` of what made it.
    pub(super) lines: Vec<(String, usize)>,
    /// One sentence for each change.
    pub(super) changes: Vec<String>,
    /// What is being said anew.
    maker: usize,
}

/// Says these commands in the words of this release.
pub(super) fn modernise(commands: &[Command], release: Release) -> Modernised {
    let mut out = Modernised::default();
    let grammar = Grammar::of(release);
    for command in commands {
        out.maker = command.maker;
        let mut lines = command.text.split('\n').map(str::trim_end);
        let first = format!("{} {}", command.name, lines.next().unwrap_or_default().trim());
        out.command(&command.name, first.trim(), grammar, release);
        // Nodes hang whole lines (`%include /tmp/partition-info`) on a command that takes nothing.
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let line = line.trim_start();
            match line.split_whitespace().next() {
                Some(name) if !line.starts_with(['%', '#']) => out.command(name, line, grammar, release),
                _ => out.line(line.to_owned()),
            }
        }
    }
    out
}

impl Modernised {
    fn line(&mut self, line: String) {
        if let Some(more) = line.strip_prefix("services ")
            && let Some(earlier) =
                self.lines.iter_mut().map(|(line, _)| line).find(|line| line.starts_with("services "))
        {
            // The installer takes the last such line alone; nodes mean all of them.
            *earlier = merge_services(&earlier["services ".len()..], more);
            return;
        }
        let known = self.lines.iter().any(|(known, _)| *known == line);
        if !known || line.starts_with("part") || line.starts_with("logvol") {
            self.lines.push((line, self.maker));
        }
    }

    fn change(&mut self, change: String) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    fn command(&mut self, name: &str, text: &str, grammar: Grammar, release: Release) {
        let shape = match grammar.command(name) {
            Some(shape) if shape.status == Status::Ok => shape,
            Some(_) if matches!(name, "auth" | "authconfig") => {
                let profile = if matches!(release, Release::Rhel8 | Release::Rhel9) { "minimal" } else { "local" };
                self.change(format!("'{name}' became 'authselect select {profile}'"));
                return self.line(format!("authselect select {profile}"));
            }
            Some(_) => return self.change(format!("'{name}' left out: {release} does without it")),
            None if name.starts_with('%') => return self.line(text.to_owned()),
            None if name == "timesource" && release < Release::Rhel9 => return self.older_timesource(text, release),
            None if name == "authselect" => {
                return self.change(format!("'authselect' left out: {release} does not know it"));
            }
            None if is_obsolete(name) || !Grammar::known_in(name, None).is_empty() => {
                return self.change(format!("'{name}' left out: {release} does not know it"));
            }
            // Nobody knows it: left for the check to find.
            None => return self.line(text.to_owned()),
        };
        if shape.free {
            return self.line(text.to_owned());
        }
        match line::split(text) {
            Ok(words) => self.options(name, text, &words, shape, release),
            Err(_) => self.line(text.to_owned()),
        }
    }

    /// Rewrites options that this release has other words for; a line that needs no change stays as written.
    fn options(&mut self, name: &str, text: &str, words: &[String], shape: &Shape, release: Release) {
        let (mut kept, mut after, mut changed) = (vec![name.to_owned()], Vec::new(), false);
        let mut rest = words.iter().skip(1).peekable();
        while let Some(word) = rest.next() {
            let option = word.split('=').next().unwrap_or_default();
            if name == "zerombr" {
                self.change("'zerombr' takes nothing".to_owned());
                changed = true;
                continue;
            }
            if !option.starts_with("--") {
                kept.push(line::quote(word));
                continue;
            }
            let modern_timesource = name == "timezone" && release >= Release::Rhel9;
            let value = || word.split_once('=').map(|(_, value)| value.to_owned());
            match option {
                "--isUtc" => {
                    changed = true;
                    self.change("'timezone --isUtc' became '--utc'".to_owned());
                    kept.push("--utc".to_owned());
                }
                "--nontp" if modern_timesource => {
                    changed = true;
                    self.change("'timezone --nontp' became 'timesource --ntp-disable'".to_owned());
                    after.push("timesource --ntp-disable".to_owned());
                }
                "--ntpservers" if modern_timesource => {
                    changed = true;
                    self.change("'timezone --ntpservers' became 'timesource --ntp-server'".to_owned());
                    let servers = value().or_else(|| rest.next().cloned()).unwrap_or_default();
                    let servers = servers.split(',').map(str::trim).filter(|server| !server.is_empty());
                    after.extend(servers.map(|server| format!("timesource --ntp-server={}", line::quote(server))));
                }
                _ => {
                    let gone = match shape.option(option) {
                        Some(fact) => fact.deprecated,
                        None => {
                            shape.abbreviated(option).is_empty() && !Grammar::known_in(name, Some(option)).is_empty()
                        }
                    };
                    if gone {
                        changed = true;
                        self.change(format!("'{name} {option}' left out: {release} does not know it"));
                        let bare = !word.contains('=') && rest.peek().is_some_and(|next| !next.starts_with('-'));
                        if bare && Grammar::takes_a_value(name, option) {
                            rest.next();
                        }
                    } else {
                        kept.push(line::quote(word));
                    }
                }
            }
        }
        self.line(if changed { kept.join(" ") } else { text.to_owned() });
        for line in after {
            self.line(line);
        }
    }

    fn older_timesource(&mut self, text: &str, release: Release) {
        let servers: Vec<&str> =
            text.split_whitespace().filter_map(|word| word.strip_prefix("--ntp-server=")).collect();
        let addition = match servers[..] {
            [] if text.contains("--ntp-disable") => "--nontp".to_owned(),
            [] => return self.change(format!("'timesource' left out: {release} does not know it")),
            _ => format!("--ntpservers={}", servers.join(",")),
        };
        self.change(format!("'timesource' became 'timezone {}'", addition.split('=').next().unwrap_or_default()));
        match self.lines.iter_mut().rev().map(|(line, _)| line).find(|line| line.starts_with("timezone ")) {
            Some(line) if addition.starts_with("--ntpservers=") && line.contains(" --ntpservers=") => {
                let more = format!(" --ntpservers={},", servers.join(","));
                *line = line.replace(" --ntpservers=", &more);
            }
            Some(line) => {
                line.push(' ');
                line.push_str(&addition);
            }
            None => self.lines.push((format!("timezone {addition}"), self.maker)),
        }
    }
}

/// Two lists of services as one line.
fn merge_services(one: &str, other: &str) -> String {
    let mut lists = [("--enabled=", Vec::new()), ("--disabled=", Vec::new())];
    for word in one.split_whitespace().chain(other.split_whitespace()) {
        for (option, names) in &mut lists {
            for name in word.strip_prefix(*option).unwrap_or_default().split(',').filter(|name| !name.is_empty()) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
    }
    let given = lists.iter().filter(|(_, names)| !names.is_empty());
    given.fold("services".to_owned(), |line, (option, names)| format!("{line} {option}{}", names.join(",")))
}

/// Commands so old that no release in the facts remembers them.
fn is_obsolete(name: &str) -> bool {
    matches!(name, "langsupport" | "lilo" | "lilocheck" | "mouse" | "interactive" | "monitor" | "key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modernised(lines: &[&str], release: Release) -> Modernised {
        let command = |line: &&str| {
            let (name, text) = line.split_once(' ').unwrap_or((line, ""));
            Command { name: name.to_owned(), text: text.to_owned(), maker: 0 }
        };
        modernise(&lines.iter().map(command).collect::<Vec<_>>(), release)
    }

    fn texts(modernised: &Modernised) -> Vec<&str> {
        modernised.lines.iter().map(|(line, _)| line.as_str()).collect()
    }

    #[test]
    fn old_words_become_new_ones_and_every_change_is_told() {
        let old = [
            "install \n%include /tmp/partition-info",
            "lang en_US.UTF-8",
            "langsupport --default=en_US",
            "mouse none",
            "auth --useshadow --enablemd5",
            "zerombr yes",
            "timezone --isUtc --ntpservers=10.1.1.1,ntp.example Europe/Berlin",
            "eula --agreed",
            "eula --agreed",
            "url  --url http://10.1.1.1/x",
            "bootloader --location=mbr --upgrade",
        ];
        let new = modernised(&old, Release::Rhel9);
        assert_eq!(
            texts(&new),
            [
                "%include /tmp/partition-info",
                "lang en_US.UTF-8",
                "authselect select minimal",
                "zerombr",
                "timezone --utc Europe/Berlin",
                "timesource --ntp-server=10.1.1.1",
                "timesource --ntp-server=ntp.example",
                "eula --agreed",
                "url --url http://10.1.1.1/x",
                "bootloader --location=mbr",
            ]
        );
        assert_eq!(new.changes.len(), 8, "{:#?}", new.changes);
    }

    #[test]
    fn new_words_become_old_ones() {
        let lines = [
            "timezone UTC --utc",
            "timesource --ntp-server=a",
            "timesource --ntp-server=b",
            "authselect select minimal",
        ];
        assert_eq!(texts(&modernised(&lines, Release::Rhel7)), ["timezone UTC --utc --ntpservers=b,a"]);
        assert_eq!(
            texts(&modernised(&["timezone UTC", "timesource --ntp-disable"], Release::Rhel8)),
            ["timezone UTC --nontp"]
        );
    }

    #[test]
    fn services_of_all_nodes_become_one_line() {
        let lines = ["services --enabled=a,b", "lang C", "services --enabled=b,c --disabled=d"];
        assert_eq!(texts(&modernised(&lines, Release::Rhel9)), ["services --enabled=a,b,c --disabled=d", "lang C"]);
    }

    #[test]
    fn what_is_right_stays_as_written() {
        let lines = ["part / --size=1  --fsoptions=\"a b\"", "part pv.1 --size=1", "part pv.1 --size=1", "nonsense x"];
        let modern = modernised(&lines, Release::Rhel10);
        assert_eq!((texts(&modern), &modern.changes[..]), (lines.to_vec(), &[][..]));
    }
}
