//! Which element of a profile a line of a Kickstart file was made of.
//!
//! Templates may be a site's own, so nothing is guessed from where a line stands: the same file is poured once more with
//! a mark at the end of every line that comes out of the profile, and the marks are read off the result. A mark has no
//! line break, so both files have the same lines.

use super::section::Maker;
use super::written::Script;
use crate::profile::{Element, Profile};
use minijinja::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// One line of a Kickstart file, and what it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedLine {
    /// The line.
    pub text: String,
    /// The elements it was made of, each with the one it stands in first: more than one where many ask for one
    /// package, none where the template itself says it.
    pub makers: Vec<Vec<Arc<Element>>>,
    /// Which of the lines of its maker it is, from 0.
    pub number: usize,
}

/// Writes what a template gets.
pub(super) trait Ink {
    /// Tells what made what will be written.
    fn know(&mut self, makers: &[Maker<'_>]);
    /// Lines of a command.
    fn write_line(&mut self, line: String, maker: usize) -> String;
    /// A script, the so-manieth of its kind.
    fn write_script(&mut self, script: &Script, number: usize, maker: usize) -> Value;
    /// A line of `%packages`.
    fn write_package(&mut self, line: String) -> String;
}

/// Writes everything as it is.
pub(super) struct Plain;

impl Ink for Plain {
    fn know(&mut self, _: &[Maker<'_>]) {}

    fn write_line(&mut self, line: String, _: usize) -> String {
        line
    }

    fn write_script(&mut self, script: &Script, number: usize, _: usize) -> Value {
        script.value(number)
    }

    fn write_package(&mut self, line: String) -> String {
        line
    }
}

/// Writes everything with marks.
#[derive(Default)]
pub(super) struct Marks {
    makers: Vec<Vec<Arc<Element>>>,
}

/// Begins and ends a mark: a character of no script, for private use.
const MARK: char = '\u{f8ff}';
/// Stands in the mark of a line of `%packages`.
const PACKAGE: &str = "p";

impl Ink for Marks {
    fn know(&mut self, makers: &[Maker<'_>]) {
        let each = |(outer, element): &Maker<'_>| outer.iter().copied().chain([*element]).cloned().collect();
        self.makers = makers.iter().map(each).collect();
    }

    fn write_line(&mut self, line: String, maker: usize) -> String {
        marked(&line, &maker.to_string())
    }

    fn write_script(&mut self, script: &Script, number: usize, maker: usize) -> Value {
        let mark = maker.to_string();
        let marked = |text: &str| marked(text, &mark).into();
        super::context::script(marked(&script.head(number)), marked(&script.text))
    }

    fn write_package(&mut self, line: String) -> String {
        marked(&line, PACKAGE)
    }
}

/// A text with a mark at the end of each line.
fn marked(text: &str, mark: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| format!("{line}{MARK}{mark}{MARK}")).collect();
    lines.join("\n")
}

impl Marks {
    /// Takes the marks off again.
    pub(super) fn read(&self, text: &str, profile: &Profile) -> Vec<TracedLine> {
        let mut counted: HashMap<usize, usize> = HashMap::new();
        let line = |line: &str| {
            let mut pieces = line.split(MARK);
            let (before, mark) = (pieces.next().unwrap_or_default(), pieces.next());
            let text = format!("{before}{}", pieces.collect::<String>());
            let Some(mark) = mark else { return TracedLine { text, makers: Vec::new(), number: 0 } };
            if mark == PACKAGE {
                let makers = packages(profile, text.trim());
                return TracedLine { text, makers, number: 0 };
            }
            let maker: Option<usize> = mark.parse().ok().filter(|maker| *maker < self.makers.len());
            let number = maker.map_or(0, |maker| {
                let count = counted.entry(maker).or_default();
                *count += 1;
                *count - 1
            });
            TracedLine { text, makers: maker.map(|maker| self.makers[maker].clone()).into_iter().collect(), number }
        };
        text.lines().map(line).collect()
    }
}

/// The elements that ask for a package, or to be without it.
fn packages(profile: &Profile, line: &str) -> Vec<Vec<Arc<Element>>> {
    let name = line.strip_prefix('-').unwrap_or(line).trim_start_matches('@');
    let asks = |element: &&Arc<Element>| {
        &*element.name == "package"
            && element.text().lines().any(|line| line.trim().trim_start_matches('@') == name && !name.is_empty())
    };
    profile.elements.iter().filter(asks).map(|element| vec![element.clone()]).collect()
}

#[cfg(test)]
mod tests {
    use crate::cluster::Release;
    use crate::kickstart::Renderer;
    use crate::profile::Profile;
    use std::collections::BTreeMap;

    #[test]
    fn every_line_knows_what_it_was_made_of() {
        let text = "<kickstart attrs=\"{}\"><main roll=\"r\" file=\"./nodes/a.xml\"><lang>C</lang><zerombr>yes</zerombr></main>\
                    <package roll=\"r\" file=\"./nodes/b.xml\">zsh</package>\
                    <post roll=\"r\" file=\"./nodes/c.xml\">one\n<file name=\"/etc/x\">%end</file>\ntwo</post></kickstart>";
        let profile = Profile::from_xml(text).expect("a profile");
        let renderer = Renderer::new(&BTreeMap::new()).expect("our templates");
        for release in Release::ALL {
            let lines = renderer.trace(&profile, release).expect("traced");
            let plain = renderer.render(&profile, release).expect("rendered");
            let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
            assert_eq!(texts, plain.lines().collect::<Vec<_>>(), "{release}");
            let made_of = |wanted: &str| {
                let line = lines.iter().find(|line| line.text == wanted).expect("the line is there");
                line.makers.iter().flatten().map(|element| element.name.to_string()).collect::<Vec<_>>().join(" ")
            };
            assert_eq!(made_of("lang C"), "main lang");
            assert_eq!(made_of("zsh"), "package");
            assert_eq!(made_of("two"), "post");
            assert_eq!(made_of("%end"), "");
        }
    }
}
