//! `modules.yaml`: which packages belong to streams of modules, and which of those a machine sees.
//!
//! As dnf does where nobody enables a module: packages of a stream that is no default are as if they were not there, and
//! where a stream is the default its packages hide others of their names. The file is written by programs, in one
//! style, and of it only a few keys count; so it is read line by line, not as YAML in all its glory.

use super::index::Entry;
use crate::cluster::Package;
use std::collections::{HashMap, HashSet};

/// The most modules, versions and contexts of one file.
const DOCUMENTS_MAX: usize = 100_000;

/// What a tree's modules say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Modules {
    streams: Vec<Stream>,
    /// The default stream by module.
    defaults: HashMap<String, String>,
}

/// One version and context of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Stream {
    module: String,
    stream: String,
    /// Modules it requires with the streams that will do (none: any); one of these sets must hold.
    requires: Vec<Vec<(String, Vec<String>)>>,
    /// Its packages, as `name-epoch:version-release.arch`.
    packages: Vec<String>,
}

impl Modules {
    /// Reads a file's text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut modules = Self::default();
        for (number, document) in split(text).enumerate() {
            if number == DOCUMENTS_MAX {
                return Err(format!("has more than {DOCUMENTS_MAX} documents"));
            }
            match Document::read(&document) {
                Document::Module(stream) if !stream.module.is_empty() => modules.streams.push(stream),
                Document::Default { module, stream } if !module.is_empty() && !stream.is_empty() => {
                    modules.defaults.insert(module, stream);
                }
                _ => {}
            }
        }
        Ok(modules)
    }

    /// Whether a machine sees each of these packages.
    pub(super) fn seen(&self, packages: &[Entry]) -> Vec<bool> {
        let mut active: HashSet<&str> = HashSet::new();
        let mut modular: HashSet<&str> = HashSet::new();
        for stream in &self.streams {
            let all = stream.packages.iter().map(String::as_str);
            modular.extend(all.clone());
            if self.is_default(&stream.module, &stream.stream) && self.fits(stream) {
                active.extend(all);
            }
        }
        let full = |entry: &Entry| {
            let Package { name, epoch, version, release, arch, .. } = &entry.package;
            format!("{name}-{epoch}:{version}-{release}.{arch}")
        };
        let names: Vec<String> = packages.iter().map(full).collect();
        let shown = |(name, _): &(&String, &Entry)| active.contains(name.as_str());
        let hiding: HashSet<&str> =
            names.iter().zip(packages).filter(shown).map(|(_, entry)| entry.package.name.as_str()).collect();
        let seen = |(name, entry): (&String, &Entry)| match modular.contains(name.as_str()) {
            true => active.contains(name.as_str()),
            false => !hiding.contains(entry.package.name.as_str()),
        };
        names.iter().zip(packages).map(seen).collect()
    }

    fn is_default(&self, module: &str, stream: &str) -> bool {
        self.defaults.get(module).is_some_and(|default| default == stream)
    }

    /// Whether the modules that a stream requires are there in a stream that will do. The platform always is.
    fn fits(&self, stream: &Stream) -> bool {
        let holds = |(module, streams): &(String, Vec<String>)| {
            module == "platform"
                || self.defaults.get(module).is_some_and(|default| streams.is_empty() || streams.contains(default))
        };
        stream.requires.is_empty() || stream.requires.iter().any(|all| all.iter().all(holds))
    }
}

/// The documents of a file, each as its lines.
fn split(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        lines.peek()?;
        Some(lines.by_ref().take_while(|line| !line.starts_with("---")).collect())
    })
}

enum Document {
    Module(Stream),
    Default { module: String, stream: String },
    Other,
}

/// A line: how far it is indented, whether it begins an item of a list, its key and what follows.
struct Line<'l> {
    indent: usize,
    is_item: bool,
    key: &'l str,
    value: &'l str,
}

impl<'l> Line<'l> {
    fn read(line: &'l str) -> Self {
        let body = line.trim_start_matches(' ');
        let indent = line.len() - body.len();
        let (is_item, body) = match body.strip_prefix("- ") {
            Some(item) => (true, item.trim_start()),
            None => (false, body),
        };
        let (key, value) = match body.split_once(": ").or_else(|| Some((body.strip_suffix(':')?, ""))) {
            Some((key, value)) => (plain(key), value.trim()),
            None => ("", body.trim()),
        };
        Self { indent, is_item, key, value }
    }
}

/// A scalar without its quotes.
fn plain(text: &str) -> &str {
    let text = text.trim();
    let quoted = |quote: char| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    quoted('"').or_else(|| quoted('\'')).unwrap_or(text)
}

/// `[a, "b"]`, `[]` or a single word.
fn list(text: &str) -> Vec<String> {
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    inside.split(',').map(plain).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

impl Document {
    fn read(lines: &[&str]) -> Self {
        let top = |key: &str| {
            lines
                .iter()
                .filter(|line| !line.starts_with([' ', '-', '#']))
                .map(|line| Line::read(line))
                .find(|l| l.key == key)
        };
        let kind = top("document").map_or("", |line| plain(line.value));
        let data: Vec<Line<'_>> = lines
            .iter()
            .skip_while(|line| !line.starts_with("data:"))
            .skip(1)
            .take_while(|line| line.starts_with(' ') || line.trim().is_empty())
            .filter(|line| !line.trim().is_empty())
            .map(|line| Line::read(line))
            .collect();
        let level = data.first().map_or(0, |line| line.indent);
        let own = |key: &str| {
            let line = data.iter().find(|line| line.indent == level && !line.is_item && line.key == key);
            line.map(|line| plain(line.value).to_owned()).unwrap_or_default()
        };
        match kind {
            "modulemd" | "modulemd-stream" => Self::Module(Stream {
                module: own("name"),
                stream: own("stream"),
                requires: requires(below(&data, level, "dependencies")),
                packages: packages(below(&data, level, "artifacts")),
            }),
            "modulemd-defaults" => Self::Default { module: own("module"), stream: own("stream") },
            _ => Self::Other,
        }
    }
}

/// The lines below a key of this level; items of a list may stand as far left as their key.
fn below<'d, 'l>(data: &'d [Line<'l>], level: usize, key: &str) -> &'d [Line<'l>] {
    let Some(at) = data.iter().position(|line| line.indent == level && !line.is_item && line.key == key) else {
        return &[];
    };
    let rest = &data[at + 1..];
    let end = rest.iter().position(|line| line.indent < level || (line.indent == level && !line.is_item));
    &rest[..end.unwrap_or(rest.len())]
}

fn packages(lines: &[Line<'_>]) -> Vec<String> {
    let of_rpms = lines.iter().skip_while(|line| line.key != "rpms").skip(1);
    let items = of_rpms.take_while(|line| line.is_item);
    // An epoch's colon has no blank behind it, so that the whole is the value.
    items.map(|line| plain(line.value).to_owned()).filter(|name| !name.is_empty()).collect()
}

fn requires(lines: &[Line<'_>]) -> Vec<Vec<(String, Vec<String>)>> {
    let mut all: Vec<Vec<(String, Vec<String>)>> = Vec::new();
    let mut inside: Option<usize> = None;
    for line in lines {
        if line.is_item && matches!(line.key, "requires" | "buildrequires") {
            all.push(Vec::new());
        }
        if matches!(line.key, "requires" | "buildrequires") {
            inside = (line.key == "requires").then_some(line.indent);
            continue;
        }
        let (Some(_), Some(block)) = (inside, all.last_mut()) else { continue };
        match (line.is_item && line.key.is_empty(), block.last_mut()) {
            (true, Some((_, streams))) => streams.push(plain(line.value).to_owned()),
            (true, None) => {}
            (false, _) => block.push((line.key.to_owned(), list(line.value))),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "---\ndocument: modulemd\nversion: 2\ndata:\n  name: nodejs\n  stream: \"18\"\n  arch: x86_64\n  description: >-\n    name: not this\n\
        \x20 dependencies:\n  - buildrequires:\n      platform: [el9]\n    requires:\n      platform: [el9]\n  artifacts:\n    rpms:\n\
        \x20   - nodejs-1:18.9.1-1.module+el9.x86_64\n    - npm-1:8.19.1-1.18.module+el9.x86_64\n...\n\
        ---\ndocument: modulemd\nversion: 2\ndata:\n  name: nodejs\n  stream: 20\n  artifacts:\n    rpms:\n    - nodejs-1:20.1.0-1.module+el9.x86_64\n...\n\
        ---\ndocument: modulemd\nversion: 2\ndata:\n  name: dbi\n  stream: 1\n  context: aa\n  dependencies:\n    - requires:\n        perl: [\"5.24\"]\n\
        \x20       platform: [el8]\n  artifacts:\n    rpms:\n      - perl-DBI-0:1.6-1.aa.x86_64\n...\n\
        ---\ndocument: modulemd\nversion: 2\ndata:\n  name: dbi\n  stream: 1\n  context: bb\n  dependencies:\n    - requires:\n        perl:\n          - \"5.26\"\n\
        \x20 artifacts:\n    rpms:\n      - perl-DBI-0:1.6-1.bb.x86_64\n...\n\
        ---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: nodejs\n  stream: \"18\"\n  profiles:\n    18: [common]\n...\n\
        ---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: dbi\n  stream: 1\n...\n\
        ---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: perl\n  stream: 5.26\n...\n";

    fn entry(name: &str, evr: &str) -> Entry {
        let (epoch, rest) = evr.split_once(':').unwrap_or(("0", evr));
        let (version, release) = rest.split_once('-').unwrap_or((rest, ""));
        let package = Package {
            name: name.into(),
            epoch: epoch.parse().unwrap_or(0),
            version: version.into(),
            release: release.into(),
            arch: "x86_64".into(),
            ..Package::default()
        };
        Entry { package, ..Entry::default() }
    }

    #[test]
    fn a_machine_sees_default_streams_and_what_they_do_not_hide() {
        let modules = Modules::parse(TEXT).expect("read");
        let packages = [
            (entry("nodejs", "1:18.9.1-1.module+el9"), true),
            (entry("npm", "1:8.19.1-1.18.module+el9"), true),
            (entry("nodejs", "1:20.1.0-1.module+el9"), false),
            (entry("nodejs", "1:30.0-1"), false),
            (entry("bash", "5.1-1"), true),
            (entry("perl-DBI", "1.6-1.aa"), false),
            (entry("perl-DBI", "0:1.6-1.bb"), true),
        ];
        let entries: Vec<Entry> = packages.iter().map(|(entry, _)| entry.clone()).collect();
        assert_eq!(modules.seen(&entries), packages.map(|(_, seen)| seen));
        let without_defaults =
            Modules::parse(TEXT.split("---\ndocument: modulemd-defaults").next().unwrap_or_default());
        let seen = without_defaults.expect("read").seen(&entries);
        assert_eq!(seen, [false, false, false, true, true, false, false]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in "((---|data:|document: modulemd| *- | *[a-z]+:|[a-z\\[\\],\"']| )*\n){0,20}") {
            let _ = Modules::parse(&text).map(|modules| modules.seen(&[entry("a", "1")]));
        }
    }
}
