//! Many hosts in few letters: the node sets of ClusterShell.
//!
//! `compute-[0-3]-[0-39]`, `node[01-16/2]`, `a,b`, `@compute` (the hosts of an appliance), `@all`, and the operators
//! `,` (both), `!` (without), `&` (in both), `^` (in one of them), from left to right, with parentheses.

use super::{HostName, InvalidNoun};
use std::collections::{BTreeMap, BTreeSet};

/// A node set may name at most this many hosts.
pub const NODE_SET_HOSTS_MAX: usize = 100_000;
/// A node set is at most this many bytes long.
pub const NODE_SET_BYTES_MAX: usize = 1 << 20;
/// Parentheses stand at most this deep.
pub const NODE_SET_DEPTH_MAX: usize = 16;

/// A node set as typed. Its grammar is checked; its groups are not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSet {
    text: String,
    groups: BTreeSet<String>,
}

impl NodeSet {
    /// Checks a text and makes it a node set.
    pub fn parse(text: &str) -> Result<Self, InvalidNoun> {
        let bad = |why| InvalidNoun::new("node set", text, why);
        if text.trim().is_empty() {
            return Err(bad("is empty"));
        }
        if text.len() > NODE_SET_BYTES_MAX {
            return Err(InvalidNoun::new("node set", &format!("{} ...", shortened(text)), "is too long"));
        }
        check_depth(text).map_err(bad)?;
        check_count(text).map_err(bad)?;
        let mut groups = BTreeSet::new();
        each_group(text, |name| {
            groups.insert(name.to_owned());
        });
        if groups.contains("") {
            return Err(bad("has an '@' without the name of an appliance"));
        }
        let set = Self { text: text.to_owned(), groups };
        set.expand(&set.groups.iter().map(|name| (name.clone(), Vec::new())).collect())?;
        Ok(set)
    }

    /// The text as typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The groups it names, without `@`.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(String::as_str)
    }

    /// The one host it names, where it is a plain name.
    pub fn as_host(&self) -> Option<HostName> {
        HostName::parse(&self.text).ok()
    }

    /// The hosts it names, each once; `groups` has the members of every group in it.
    pub fn expand(&self, groups: &BTreeMap<String, Vec<HostName>>) -> Result<Vec<HostName>, InvalidNoun> {
        if let Some(host) = self.as_host() {
            return Ok(vec![host]);
        }
        let mut text = String::new();
        let mut rest = self.text.as_str();
        while let Some(at) = rest.find('@') {
            text.push_str(&rest[..at]);
            let name = group_name(&rest[at + 1..]);
            let members: Vec<&str> = groups.get(name).into_iter().flatten().map(HostName::as_str).collect();
            text.push('(');
            text.push_str(&members.join(","));
            text.push(')');
            rest = &rest[at + 1 + name.len()..];
        }
        text.push_str(rest);
        let bad = || InvalidNoun::new("node set", &self.text, "cannot be read: write it as compute-[0-3]-[0-39]");
        let set: nodeset::NodeSet = nodeset::Parser::default().parse(&text).map_err(|_| bad())?;
        set.iter().map(|name| HostName::parse(&name)).collect()
    }
}

impl std::fmt::Display for NodeSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.text)
    }
}

impl std::str::FromStr for NodeSet {
    type Err = InvalidNoun;
    fn from_str(text: &str) -> Result<Self, InvalidNoun> {
        Self::parse(text)
    }
}

/// Host names in the short form that people read: `compute-0-[0-3]`.
pub fn fold(names: &[HostName]) -> String {
    let listed = names.iter().map(HostName::as_str).collect::<Vec<_>>().join(",");
    match nodeset::Parser::default().parse::<nodeset::IdRangeList>(&listed) {
        Ok(set) => set.to_string(),
        Err(_) => listed,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

fn each_group<'a>(text: &'a str, mut visit: impl FnMut(&'a str)) {
    for (at, _) in text.match_indices('@') {
        visit(group_name(&text[at + 1..]));
    }
}

/// The name at the beginning of `text`.
fn group_name(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))).unwrap_or(text.len());
    &text[..end]
}

fn check_depth(text: &str) -> Result<(), &'static str> {
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1).ok_or("closes a parenthesis that is not open")?,
            _ => {}
        }
        if depth > NODE_SET_DEPTH_MAX {
            return Err("has too many parentheses in each other");
        }
    }
    if depth > 0 { Err("has a parenthesis that is not closed") } else { Ok(()) }
}

/// Counts what the brackets multiply to before anything is expanded: `[0-4000000000]` must cost nothing.
fn check_count(text: &str) -> Result<(), &'static str> {
    const TOO_MANY: &str = "names more than 100000 hosts";
    let (mut all, mut term) = (0_usize, 1_usize);
    let mut rest = text;
    while let Some(at) = rest.find(['[', ',', '!', '&', '^', ' ', '(', ')']) {
        let is_bracket = rest.as_bytes()[at] == b'[';
        rest = &rest[at + 1..];
        if !is_bracket {
            all = all.saturating_add(term);
            term = 1;
            continue;
        }
        let end = rest.find(']').ok_or("has a bracket that is not closed")?;
        term = term.saturating_mul(rest[..end].split(',').map(count_range).fold(0, usize::saturating_add));
        rest = &rest[end + 1..];
        if term > NODE_SET_HOSTS_MAX {
            return Err(TOO_MANY);
        }
    }
    if all.saturating_add(term) > NODE_SET_HOSTS_MAX { Err(TOO_MANY) } else { Ok(()) }
}

/// How many numbers `3-9` has; 1 where it cannot be read (the parser will say so).
fn count_range(range: &str) -> usize {
    let (range, _step) = range.split_once('/').unwrap_or((range, "1"));
    let Some((first, last)) = range.split_once('-') else { return 1 };
    match (first.trim().parse::<usize>(), last.trim().parse::<usize>()) {
        (Ok(first), Ok(last)) => last.saturating_sub(first).saturating_add(1),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expand(text: &str) -> Result<Vec<String>, String> {
        let hosts = |names: &[&str]| names.iter().map(|name| HostName::parse(name).unwrap()).collect::<Vec<_>>();
        let groups = BTreeMap::from([
            ("compute".to_owned(), hosts(&["compute-0-0", "compute-0-1", "compute-0-10"])),
            ("login".to_owned(), hosts(&["login-0-0"])),
            ("nas".to_owned(), Vec::new()),
        ]);
        let names = NodeSet::parse(text).and_then(|set| set.expand(&groups)).map_err(|error| error.to_string())?;
        Ok(names.into_iter().map(String::from).collect())
    }

    #[test]
    fn sets_are_expanded_as_clustershell_does() {
        for (text, names) in [
            ("compute-0-0", "compute-0-0"),
            ("Compute-0-0", "compute-0-0"),
            ("compute-[0-1]-[0-1]", "compute-0-0 compute-0-1 compute-1-0 compute-1-1"),
            ("node[01-05/2]", "node01 node03 node05"),
            ("node[08-10]", "node08 node09 node10"),
            ("a,b c", "a b c"),
            ("n[1-4]!n[2-3]", "n1 n4"),
            ("n[1-4]&n[3-9]", "n3 n4"),
            ("n[1-2]^n[2-3]", "n1 n3"),
            ("n[1,3,5-6]", "n1 n3 n5 n6"),
            ("@login", "login-0-0"),
            ("@compute!compute-0-0", "compute-0-1 compute-0-10"),
            ("@login,@compute", "compute-0-0 compute-0-1 compute-0-10 login-0-0"),
            ("@nas", ""),
            ("@nas,x", "x"),
            ("(n[1-3],m1)&(n2,m1)", "m1 n2"),
            ("n[1-4] - n1", "n2 n3 n4"),
        ] {
            let mut found = expand(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            found.sort();
            let mut expected: Vec<&str> = names.split_whitespace().collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_set_says_why() {
        for (text, why) in [
            ("", "is empty"),
            ("n[1-3", "has a bracket that is not closed"),
            ("n[3-1]", "cannot be read"),
            ("(n1", "has a parenthesis that is not closed"),
            ("n1)", "closes a parenthesis that is not open"),
            ("n[0-4000000000]", "names more than 100000 hosts"),
            ("n[0-999]m[0-999]", "names more than 100000 hosts"),
            ("@", "has an '@' without the name of an appliance"),
            ("a.b", "has a dot"),
            ("a;b", "cannot be read"),
        ] {
            let error = expand(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn folding_is_expanding_backwards() {
        let names = ["compute-0-0", "compute-0-1", "compute-0-2", "login"].map(|name| HostName::parse(name).unwrap());
        assert_eq!(fold(&names), "compute-0-[0-2],login");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-c0-9,!&^@()\\[\\]/ -]{0,40}") {
            let _ = expand(&text);
        }
    }
}
