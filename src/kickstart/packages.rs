//! The packages that a profile asks for.

use std::collections::BTreeSet;
use std::sync::Arc;

/// The packages that a profile asks for, as its distribution's closure is given them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageList {
    /// Names as written (a name, a pattern with `*`, `name.arch`), sorted, each once.
    pub names: Vec<String>,
    /// Groups, without their `@`.
    pub groups: Vec<String>,
    /// Environments, without their `@^`.
    pub environments: Vec<String>,
    /// Names that must not be installed, without their `-`.
    pub excluded: Vec<String>,
    /// Groups that must not be installed, without their `-@`.
    pub excluded_groups: Vec<String>,
}

/// Lines of `%packages` while a profile is read: what is on and what is off, as the original counts them.
#[derive(Debug, Default)]
pub(super) struct Selection {
    on: Vec<Arc<str>>,
    off: Vec<Arc<str>>,
}

impl Selection {
    /// Asks for a package, a `@group` or a `@^environment`; takes back one earlier wish to be without it.
    pub(super) fn enable(&mut self, name: Arc<str>) {
        if let Some(place) = self.off.iter().position(|off| *off == name) {
            self.off.remove(place);
        }
        self.on.push(name);
    }

    /// Asks to be without it, unless it was asked for before.
    pub(super) fn disable(&mut self, name: Arc<str>) {
        if !self.on.contains(&name) {
            self.off.push(name);
        }
    }

    /// The lines of `%packages`: wishes in byte order, repetitions kept, then what is not wanted.
    pub(super) fn lines(mut self) -> Vec<String> {
        self.on.sort();
        self.off.sort();
        let off = self.off.iter().map(|name| format!("-{name}"));
        self.on.iter().map(|name| name.as_ref().to_owned()).chain(off).collect()
    }
}

impl PackageList {
    /// Sorts the lines of a `%packages` section into what they ask for.
    pub fn from_lines<'l>(lines: impl Iterator<Item = &'l str>) -> Self {
        let mut sets: [BTreeSet<&str>; 5] = Default::default();
        for line in lines.map(|line| line.split('#').next().unwrap_or_default().trim()) {
            let (kind, name) = if let Some(name) = line.strip_prefix("-@") {
                (4, name)
            } else if let Some(name) = line.strip_prefix('-') {
                (3, name)
            } else if let Some(name) = line.strip_prefix("@^") {
                (2, name)
            } else if let Some(name) = line.strip_prefix('@') {
                (1, name)
            } else {
                (0, line)
            };
            let name = match kind {
                1 | 4 => name.split(" --").next().unwrap_or_default().trim(),
                _ => name.trim(),
            };
            if !name.is_empty() {
                sets[kind].insert(name);
            }
        }
        let [names, groups, environments, excluded, excluded_groups] =
            sets.map(|set| set.into_iter().map(str::to_owned).collect());
        Self { names, groups, environments, excluded, excluded_groups }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sorted_into_what_they_ask_for() {
        let list = PackageList::from_lines(
            ["@core", " zsh", "-postfix", "@^minimal-environment", "zsh # a shell", "-@base", "", "@g --optional"]
                .into_iter(),
        );
        assert_eq!(list.names, ["zsh"]);
        assert_eq!(list.groups, ["core", "g"]);
        assert_eq!(list.environments, ["minimal-environment"]);
        assert_eq!(list.excluded, ["postfix"]);
        assert_eq!(list.excluded_groups, ["base"]);
    }

    #[test]
    fn wishes_are_counted_as_the_original_counts_them() {
        let mut selection = Selection::default();
        for name in ["x", "x"] {
            selection.disable(name.into());
        }
        selection.enable("x".into());
        selection.enable("a".into());
        selection.disable("a".into());
        assert_eq!(selection.lines(), ["a", "x", "-x"]);
    }
}
