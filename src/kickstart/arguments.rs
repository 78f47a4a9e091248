//! The words after a command or a section's name, sorted into options and the rest by what the release knows.

use super::grammar::{OptionFact, Shape, Takes};

/// The words of one line, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    /// Options by the name that stands for all their names, with their value.
    options: Vec<(String, Option<String>)>,
    /// Words that are no option and no option's value.
    pub(super) words: Vec<String>,
    /// What is wrong with them.
    pub(super) problems: Vec<Problem>,
}

/// What is wrong with the words of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// No such option.
    UnknownOption(String),
    /// An option that has no effect any more.
    DeprecatedOption(String),
    /// Everything else, in words.
    Other(String),
}

impl Arguments {
    /// Sorts words by the shape of their command.
    pub(super) fn read(shape: &Shape, words: &[String]) -> Self {
        let mut arguments = Self::default();
        let mut groups: Vec<usize> = Vec::new();
        let mut rest = words.iter().peekable();
        let mut after_word = false;
        while let Some(word) = rest.next() {
            if !looks_like_option(word) {
                match groups.last_mut() {
                    Some(length) if after_word => *length += 1,
                    _ => groups.push(1),
                }
                after_word = true;
                arguments.words.push(word.clone());
                continue;
            }
            after_word = false;
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            let fact = match shape.option(name) {
                Some(fact) => fact,
                None => match shape.abbreviated(name)[..] {
                    [fact] if name.len() > 2 => fact,
                    [_, _, ..] if name.len() > 2 => {
                        arguments.other(format!("option '{name}' is short for more than one"));
                        continue;
                    }
                    _ => {
                        arguments.problems.push(Problem::UnknownOption(name.to_owned()));
                        continue;
                    }
                },
            };
            if fact.deprecated {
                arguments.problems.push(Problem::DeprecatedOption(fact.name().to_owned()));
            }
            let value = match (fact.takes, value) {
                (Takes::Nothing, Some(value)) => {
                    arguments.other(format!("option '{name}' takes no value, but is given '{value}'"));
                    continue;
                }
                (Takes::Nothing, None) => None,
                (_, Some(value)) => Some(value.to_owned()),
                (takes, None) => match rest.peek().filter(|next| !looks_like_option(next)) {
                    Some(next) => {
                        let value = (*next).clone();
                        rest.next();
                        Some(value)
                    }
                    None if takes == Takes::Maybe => None,
                    None => {
                        arguments.other(format!("option '{name}' needs a value"));
                        continue;
                    }
                },
            };
            if let Some(problem) = value.as_deref().and_then(|value| unfit(fact, name, value)) {
                arguments.other(problem);
            }
            arguments.options.push((fact.name().to_owned(), value));
        }
        for fact in shape.options.iter().filter(|fact| fact.required) {
            if !arguments.has(fact.name()) {
                arguments.other(format!("option '{}' is missing", fact.name()));
            }
        }
        arguments.count_words(shape, &groups);
        arguments
    }

    /// The same with one more option.
    pub(super) fn with(mut self, option: &str, value: &str) -> Self {
        self.options.push((option.to_owned(), Some(value.to_owned())));
        self
    }

    /// Whether an option is given.
    pub(super) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|(name, _)| name == option)
    }

    /// The last value given for an option.
    pub(super) fn value(&self, option: &str) -> Option<&str> {
        self.options.iter().rev().find(|(name, _)| name == option).and_then(|(_, value)| value.as_deref())
    }

    /// Every value given for an option.
    pub(super) fn values<'a>(&'a self, option: &'a str) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |(name, _)| name == option).filter_map(|(_, value)| value.as_deref())
    }

    /// The number given for an option.
    pub(super) fn number(&self, option: &str) -> Option<i64> {
        self.value(option)?.trim().parse().ok()
    }

    /// Adds the options of an earlier line of the same command, where a later line does not have them.
    pub(super) fn inherit(&mut self, earlier: &Self) {
        let missing: Vec<_> = earlier.options.iter().filter(|(name, _)| !self.has(name)).cloned().collect();
        self.options.splice(0..0, missing);
    }

    fn other(&mut self, problem: String) {
        self.problems.push(Problem::Other(problem));
    }

    fn count_words(&mut self, shape: &Shape, groups: &[usize]) {
        let least = shape.positional.iter().filter(|group| *group == "1").count();
        let many = shape.positional.iter().any(|group| group == "*");
        let most = if many { usize::MAX } else { shape.positional.len() };
        if self.words.len() < least {
            self.other(format!("{} word{} beside the options expected", least, if least == 1 { "" } else { "s" }));
        } else if self.words.len() > most {
            let extra = self.words[most..].join(" ");
            self.other(format!("unexpected '{extra}'"));
        } else if many && groups.len() > 1 && groups[0] > shape.positional.len() - 1 {
            // Words for a list stand together: the installer does not look for more of them behind an option.
            let extra = self.words[groups[0]..].join(" ");
            self.other(format!("unexpected '{extra}' behind an option"));
        }
    }
}

/// Whether the installer takes a word for an option: it begins with a hyphen, is no number and has no blank.
fn looks_like_option(word: &str) -> bool {
    let Some(rest) = word.strip_prefix('-') else { return false };
    if rest.is_empty() {
        return false;
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = match rest.split_once('.') {
        Some((whole, part)) => (whole.is_empty() || digits(whole)) && digits(part),
        None => digits(rest),
    };
    !number && (word.contains('=') || !word.contains(' '))
}

/// Why a value does not fit its option.
fn unfit(fact: &OptionFact, name: &str, value: &str) -> Option<String> {
    if value == "--" {
        return Some(format!("option '{name}' needs a value"));
    }
    let folded = value.to_lowercase();
    match fact.takes {
        Takes::Integer => {
            let digits = value.trim().trim_start_matches(['+', '-']);
            let whole = !digits.is_empty()
                && digits.bytes().all(|b| b.is_ascii_digit())
                && value.trim().len() - digits.len() < 2;
            (!whole).then(|| format!("option '{name}' needs a whole number, not '{value}'"))
        }
        Takes::Boolean => {
            let known = matches!(folded.as_str(), "on" | "yes" | "true" | "1" | "off" | "no" | "false" | "0");
            (!known).then(|| format!("option '{name}' needs yes or no, not '{value}'"))
        }
        Takes::Word | Takes::ExactWord => {
            let given = if fact.takes == Takes::Word { &folded } else { value };
            let known = fact.words.iter().any(|word| word == given);
            (!known).then(|| format!("option '{name}' cannot be '{value}': it is one of {}", fact.words.join(", ")))
        }
        Takes::Anything | Takes::Nothing | Takes::Maybe => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::grammar::Grammar;
    use super::super::line;
    use super::*;
    use crate::cluster::Release;

    fn read(text: &str) -> Arguments {
        let words = line::split(text).unwrap();
        Arguments::read(Grammar::of(Release::Rhel9).command(&words[0]).unwrap(), &words[1..])
    }

    #[test]
    fn options_are_known_by_every_name() {
        let part = read("part swap --usepart sda2 --siz=5");
        assert_eq!(part.problems, []);
        assert_eq!(
            (part.value("--onpart"), part.number("--size"), &part.words[..]),
            (Some("sda2"), Some(5), &["swap".to_owned()][..])
        );
        assert_eq!(read("volgroup vg --pesize=4 pv.1 pv.2").problems, []);
        assert_eq!(read("mount /dev/sda1 --reformat=xfs /").problems, []);
    }

    #[test]
    fn what_the_installer_rejects_is_a_problem() {
        for line in [
            "part / --size=abc",
            "part / --growww",
            "part --size=1",
            "part / /home --size=1",
            "part / --size",
            "part / --grow=yes",
            "network --bootproto=foo",
            "bootloader --location=there",
            "autopart --type=nothing",
            "timezone a --utc b",
            "repo --baseurl=http://x",
            "network --onboot=perhaps",
            "part / --pbkdf",
            "part / --pbkdf-=1",
        ] {
            assert_ne!(read(line).problems, [], "{line}");
        }
    }
}
