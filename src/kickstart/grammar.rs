//! Which commands, sections and options each release of the installer knows.
//!
//! The facts are in `releases.json` beside this file, written by `.ci/release-data` from pykickstart's knowledge;
//! what they cannot say (options that exclude each other, values with a form) is in `rules`.

use crate::cluster::Release;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What an option of a command is followed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Takes {
    /// One value of any kind.
    #[default]
    Anything,
    /// Nothing.
    Nothing,
    /// A value or nothing.
    Maybe,
    /// A whole number.
    Integer,
    /// on, off, yes, no, true, false, 1, 0.
    Boolean,
    /// One of a list of words, in any case.
    Word,
    /// One of a list of words.
    #[serde(rename = "exact word")]
    ExactWord,
}

/// One option of a command or of a section's head.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OptionFact {
    /// Its names, the first one standing for all.
    pub(super) names: Vec<String>,
    #[serde(default)]
    pub(super) takes: Takes,
    /// The words it accepts where it takes a word.
    #[serde(default)]
    pub(super) words: Vec<String>,
    #[serde(default)]
    pub(super) required: bool,
    #[serde(default)]
    pub(super) deprecated: bool,
}

/// Whether a command still does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    #[default]
    Ok,
    /// Known, without effect, to be removed.
    Deprecated,
    /// An error.
    Removed,
}

/// What a command or a section's head is written like.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    #[serde(default)]
    pub(super) status: Status,
    /// Any text at all.
    #[serde(default)]
    pub(super) free: bool,
    #[serde(default)]
    pub(super) options: Vec<OptionFact>,
    /// How many words stand beside the options: `1`, `?` (at most one) or `*` for each group.
    #[serde(default)]
    pub(super) positional: Vec<String>,
    /// Commands that must not have come before this one.
    #[serde(default)]
    pub(super) conflicts: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Facts {
    shapes: Vec<Shape>,
    releases: HashMap<String, Numbers>,
}

#[derive(Debug, Deserialize)]
struct Numbers {
    commands: HashMap<String, usize>,
    sections: HashMap<String, usize>,
}

static FACTS: LazyLock<Facts> = LazyLock::new(|| {
    let facts: Facts = serde_json::from_str(include_str!("releases.json")).expect("a test reads every release");
    for numbers in facts.releases.values() {
        let within = |numbers: &HashMap<String, usize>| numbers.values().all(|n| *n < facts.shapes.len());
        assert!(
            within(&numbers.commands) && within(&numbers.sections),
            "releases.json numbers a shape it does not have"
        );
    }
    facts
});

/// The language of one release's Kickstart files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grammar(&'static Numbers);

impl Grammar {
    /// The language of this release.
    pub(super) fn of(release: Release) -> Self {
        let name = match release {
            Release::Rocks7 => "rhel7",
            other => other.as_str(),
        };
        Self(FACTS.releases.get(name).expect("a test reads every release"))
    }

    /// A command, if the release knows it or remembers it.
    pub(super) fn command(self, name: &str) -> Option<&'static Shape> {
        self.0.commands.get(name).map(|number| &FACTS.shapes[*number])
    }

    /// The head of a section (`%post`), if the release knows it.
    pub(super) fn section(self, name: &str) -> Option<&'static Shape> {
        self.0.sections.get(name).map(|number| &FACTS.shapes[*number])
    }

    /// Whether an option of a command takes a value, in the releases that know it.
    pub(super) fn takes_a_value(command: &str, option: &str) -> bool {
        let facts = Release::ALL.into_iter().filter_map(|release| Self::of(release).command(command)?.option(option));
        facts.into_iter().next().is_some_and(|fact| fact.takes != Takes::Nothing)
    }

    /// The releases that know a command, or one of its options.
    pub(super) fn known_in(command: &str, option: Option<&str>) -> Vec<Release> {
        let knows = |release: &Release| {
            *release != Release::Rocks7
                && Self::of(*release).command(command).is_some_and(|shape| {
                    shape.status != Status::Removed && option.is_none_or(|option| shape.option(option).is_some())
                })
        };
        Release::ALL.into_iter().filter(knows).collect()
    }
}

impl Shape {
    /// The option with exactly this name.
    pub(super) fn option(&self, name: &str) -> Option<&OptionFact> {
        self.options.iter().find(|option| option.names.iter().any(|n| n == name))
    }

    /// The option of each name that begins like this: what an abbreviation may mean.
    pub(super) fn abbreviated(&self, start: &str) -> Vec<&OptionFact> {
        let begins = |option: &&OptionFact| option.names.iter().filter(|name| name.starts_with(start)).count();
        self.options.iter().flat_map(|option| std::iter::repeat_n(option, begins(&option))).collect()
    }
}

impl OptionFact {
    /// The name that stands for all.
    pub(super) fn name(&self) -> &str {
        &self.names[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_is_in_the_facts() {
        for release in Release::ALL {
            let grammar = Grammar::of(release);
            assert!(grammar.command("part").is_some_and(|shape| shape.option("--usepart").is_some()), "{release}");
            assert!(grammar.section("%packages").is_some(), "{release}");
        }
        for option in FACTS.shapes.iter().flat_map(|shape| &shape.options) {
            assert!(!option.names.is_empty());
            assert_eq!(matches!(option.takes, Takes::Word | Takes::ExactWord), !option.words.is_empty(), "{option:?}");
        }
    }

    #[test]
    fn the_facts_agree_with_the_release_notes() {
        let status = |release, name| Grammar::of(release).command(name).map(|shape| shape.status);
        assert_eq!(status(Release::Rhel7, "install"), Some(Status::Ok));
        assert_eq!(status(Release::Rhel8, "install"), Some(Status::Deprecated));
        assert_eq!(status(Release::Rhel9, "install"), Some(Status::Removed));
        assert_eq!(status(Release::Rhel8, "timesource"), None);
        assert_eq!(status(Release::Rhel10, "timesource"), Some(Status::Ok));
        assert_eq!(status(Release::Rhel10, "authconfig"), Some(Status::Removed));
        let utc =
            |release| Grammar::of(release).command("timezone").and_then(|shape| shape.option("--isUtc")).is_some();
        assert!(utc(Release::Rhel9) && !utc(Release::Rhel10));
        assert_eq!(Grammar::known_in("timesource", None), [Release::Rhel9, Release::Rhel10, Release::Fedora]);
    }
}
