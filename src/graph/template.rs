//! A node file, parsed once: a list of steps that make its part of a host's profile.
//!
//! Elements without anything of a host in them are built here and shared by all profiles. What differs from host to
//! host (attributes, scripts, included files) stays a step. Invariant: steps open and close elements in balance,
//! scripts' own output aside.

use super::error::{GraphError, Place};
use super::locate::Locator;
use crate::profile::xml::{self, Attribute, Piece, Scanner, Token, XmlError};
use crate::profile::{Content, Element, Origin};
use std::sync::Arc;

/// A piece of a text: as written, or a host's attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(Arc<str>),
    Slot(Slot),
}

/// Where a host's attribute stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) name: Arc<str>,
    pub(super) place: Place,
}

/// A text with attributes of a host in it.
pub(super) type Parts = Vec<Part>;

/// What is done to make a profile.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Appends a finished element.
    Whole(Arc<Element>),
    /// Appends text.
    Text(Arc<str>),
    /// Appends text with attributes of the host.
    Mixed(Parts),
    /// Begins an element.
    Open { name: Arc<str>, attributes: Vec<(Arc<str>, Parts)>, place: Place },
    /// Ends the innermost element.
    Close,
    /// Runs a script and appends what it prints.
    Eval { shell: Parts, is_quoted: bool, script: Parts, place: Place },
    /// Appends a file out of `include/`.
    Include { file: Parts, is_quoted: bool, may_miss: bool, place: Place },
    /// Appends a file as XML.
    FileInclude { file: Parts, place: Place },
    /// Appends what copies a file of the frontend to the machine.
    Copy { source: Parts, target: Parts, place: Place },
    /// Sets a variable.
    SetVariable { name: Parts, value: Parts },
    /// Sets a variable to another's value.
    CopyVariable { name: Parts, from: Parts },
    /// Appends a variable's value.
    Variable { name: Parts },
    /// Takes a playbook of `include/ansible/` along for stage 2.
    Playbook { name: Parts, place: Place },
    /// Fails where a host's attribute that must be there is not (in an attribute of a tag that is dropped).
    Need(Slot),
}

/// A node file as steps.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) file: Arc<str>,
    pub(super) roll: Arc<str>,
    pub(super) steps: Vec<Step>,
    /// The file's text.
    pub(super) text: Arc<str>,
}

/// Where the beginning and end of every `<post>` are logged.
const LOG_FILE: &str = "/var/log/rocks-install.log";
/// What a `python` script is given first.
const PYTHON_PREFIX: &str = "import sys\nimport os\nsys.path.append(os.path.join(\"include\", \"applets\"))\n";

impl Template {
    /// Reads a node file. With `evals` off, scripts stay as text in their place and neither copies nor file includes
    /// are made.
    pub(super) fn parse(file: &Arc<str>, text: &Arc<str>, evals: bool) -> Result<Self, GraphError> {
        Parser::new(file, text, evals).run().map_err(|XmlError { offset, what }| {
            let (line, column) = xml::line_and_column(text, offset);
            GraphError::Malformed { place: Place { file: file.clone(), line, column }, what }
        })
    }
}

/// The script that is open.
struct OpenEval {
    shell: Parts,
    is_quoted: bool,
    script: Parts,
    place: Place,
    depth: usize,
}

struct Parser<'a> {
    file: &'a Arc<str>,
    text: &'a Arc<str>,
    locator: Locator<'a>,
    evals: bool,
    roll: Arc<str>,
    /// Tags that are open, those that make no element included.
    tags: Vec<&'a str>,
    /// How many of them are elements of the profile.
    depth: usize,
    steps: Vec<Step>,
    /// Text that is not yet a step.
    pending: Parts,
    eval: Option<OpenEval>,
    /// Inside `<description>` and its like: text is dropped up to the next end of a tag that has a meaning here.
    strip: bool,
    /// Whether the root element has ended.
    closed: bool,
}

impl<'a> Parser<'a> {
    fn new(file: &'a Arc<str>, text: &'a Arc<str>, evals: bool) -> Self {
        Self {
            file,
            text,
            locator: Locator::new(file, text),
            evals,
            roll: "unknown".into(),
            tags: Vec::new(),
            depth: 0,
            steps: Vec::new(),
            pending: Vec::new(),
            eval: None,
            strip: false,
            closed: false,
        }
    }

    fn run(mut self) -> Result<Template, XmlError> {
        let mut scanner = Scanner::new(self.text)?;
        while let Some(token) = scanner.next_token()? {
            let offset = scanner.offset();
            let fail = |what: String| Err(XmlError { offset, what });
            match token {
                Token::Doctype(_) => return fail("node files cannot have a '<!DOCTYPE'".into()),
                Token::Open { .. } if self.closed => return fail("a second root element".into()),
                Token::Open { name, attributes, empty } => {
                    if self.tags.len() == xml::DEPTH_MAX {
                        return fail(format!("elements stand more than {} deep", xml::DEPTH_MAX));
                    }
                    self.tags.push(name);
                    self.open(name, &attributes, offset)?;
                    if empty {
                        self.close(name, offset);
                    }
                }
                Token::Close(name) => match self.tags.last() {
                    Some(expected) if *expected == name => self.close(name, offset),
                    Some(expected) => return fail(format!("'</{name}>' where '{expected}' is open")),
                    None => return fail(format!("'</{name}>' without a beginning")),
                },
                Token::Text(piece) => {
                    let blank = matches!(&piece, Piece::Literal(text) if text.trim().is_empty());
                    if self.tags.is_empty() && !blank {
                        return fail("text outside of the root element".into());
                    }
                    let part = self.part(&piece);
                    self.add_text(part);
                }
            }
        }
        if let Some(name) = self.tags.last() {
            return Err(XmlError { offset: self.text.len(), what: format!("ends inside '{name}'") });
        }
        if !self.closed {
            return Err(XmlError { offset: self.text.len(), what: "has no root element".into() });
        }
        self.flush();
        let steps = settle(self.steps, &self.roll, self.file);
        Ok(Template { file: self.file.clone(), roll: self.roll, steps, text: self.text.clone() })
    }

    fn part(&mut self, piece: &Piece<'_>) -> Part {
        match piece {
            Piece::Literal(text) => Part::Literal(text.as_ref().into()),
            Piece::Entity { name, offset } => {
                Part::Slot(Slot { name: (*name).into(), place: self.locator.place(*offset) })
            }
        }
    }

    fn parts(&mut self, pieces: &[Piece<'_>]) -> Parts {
        pieces.iter().map(|piece| self.part(piece)).collect()
    }

    fn add_text(&mut self, part: Part) {
        if self.strip {
            return;
        }
        match &mut self.eval {
            Some(eval) => eval.script.push(part),
            None => self.pending.push(part),
        }
    }

    fn literal(&mut self, text: &str) {
        self.pending.push(Part::Literal(text.into()));
    }

    /// Makes gathered text a step.
    fn flush(&mut self) {
        let parts = joined(std::mem::take(&mut self.pending));
        let step = match parts.as_slice() {
            [] => return,
            [Part::Literal(text)] => Step::Text(text.clone()),
            _ => Step::Mixed(parts),
        };
        self.steps.push(step);
    }

    fn step(&mut self, step: Step) {
        self.flush();
        self.steps.push(step);
    }

    fn open(&mut self, name: &'a str, attributes: &[Attribute<'_>], offset: usize) -> Result<(), XmlError> {
        let place = self.locator.place(offset);
        let mut read = Vec::with_capacity(attributes.len());
        for attribute in attributes {
            read.push((attribute.name, joined(self.parts(&attribute.value))));
        }
        match name {
            "kickstart" | "jumpstart" => {
                let roll = read.iter().find(|(name, _)| *name == "roll").map(|(_, value)| plain(value));
                self.roll = roll.filter(|roll| !roll.is_empty()).unwrap_or_else(|| "unknown".to_owned()).into();
                self.need(&read, &[]);
            }
            "description" | "changelog" | "copyright" => {
                self.strip = true;
                self.need(&read, &[]);
            }
            "include" | "sinclude" => {
                let file = taken(&read, "file").filter(|file| !file.is_empty());
                let file = file.ok_or_else(|| XmlError { offset, what: format!("'<{name}>' has no 'file'") })?;
                let mode = taken(&read, "mode").filter(|mode| !mode.is_empty());
                let is_quoted = mode.is_none_or(|mode| plain(&mode) == "quote");
                self.need(&read, &["file"]);
                self.step(Step::Include { file, is_quoted, may_miss: name == "sinclude", place });
            }
            "var" => self.variable(&read),
            "copy" => {
                if self.evals {
                    let source = taken(&read, "src").filter(|source| !source.is_empty());
                    let source = source.ok_or_else(|| XmlError { offset, what: "'<copy>' has no 'src'".into() })?;
                    let target = taken(&read, "dst").filter(|target| !target.is_empty());
                    let target = target.unwrap_or_else(|| source.clone());
                    self.step(Step::Copy { source, target, place });
                }
            }
            "eval" => {
                if self.evals {
                    self.open_eval(&read, place, offset)?;
                }
            }
            "file" => {
                let include = taken(&read, "include").filter(|file| !file.is_empty());
                self.element(name, read, &["roll", "file", "include"], place.clone());
                if let Some(file) = include.filter(|_| self.evals) {
                    self.step(Step::FileInclude { file, place });
                }
            }
            "ansible" => {
                let playbook = taken(&read, "playbook").filter(|name| !name.is_empty());
                self.element(name, read, &["roll", "file"], place.clone());
                if let Some(name) = playbook {
                    self.step(Step::Playbook { name, place });
                }
            }
            "post" => {
                self.log("begin", &place);
                self.element(name, read, &["roll", "file"], place);
            }
            _ => self.element(name, read, &["roll", "file"], place),
        }
        Ok(())
    }

    fn open_eval(&mut self, read: &[(&str, Parts)], place: Place, offset: usize) -> Result<(), XmlError> {
        if self.eval.is_some() {
            return Err(XmlError { offset, what: "'<eval>' inside '<eval>'".into() });
        }
        let mode = taken(read, "mode").filter(|mode| !mode.is_empty());
        let is_quoted = mode.is_none_or(|mode| plain(&mode) == "quote");
        let shell = taken(read, "shell").filter(|shell| !shell.is_empty());
        let mut shell = shell.unwrap_or_else(|| vec![Part::Literal("sh".into())]);
        let mut script = Vec::new();
        if plain(&shell) == "python" && shell.len() == 1 {
            shell = vec![Part::Literal("/opt/rocks/bin/python".into())];
            script.push(Part::Literal(PYTHON_PREFIX.into()));
        }
        self.need(read, &["shell"]);
        self.flush();
        self.eval = Some(OpenEval { shell, is_quoted, script, place, depth: self.tags.len() });
        Ok(())
    }

    fn variable(&mut self, read: &[(&str, Parts)]) {
        let given = |name| taken(read, name).filter(|value| !value.is_empty());
        let Some(name) = given("name") else { return self.need(read, &[]) };
        let step = match (given("val"), given("ref")) {
            (Some(value), _) => Step::SetVariable { name, value },
            (None, Some(from)) => Step::CopyVariable { name, from },
            (None, None) => Step::Variable { name },
        };
        self.step(step);
    }

    /// Begins an element that goes into the profile. Inside a script it stands before what the script prints.
    fn element(&mut self, name: &str, read: Vec<(&str, Parts)>, dropped: &[&str], place: Place) {
        let lost: Vec<_> = read.iter().filter(|(key, _)| dropped.contains(key)).cloned().collect();
        self.need(&lost, if self.evals { &["include"] } else { &[] });
        let kept = read.into_iter().filter(|(key, _)| !dropped.contains(key));
        let attributes = kept.map(|(key, value)| (key.into(), value)).collect();
        self.depth += 1;
        self.step(Step::Open { name: name.into(), attributes, place });
    }

    /// Attributes of a tag that goes no further must still be there, as in any tag.
    fn need(&mut self, read: &[(&str, Parts)], used: &[&str]) {
        for (name, parts) in read {
            for part in parts {
                if let Part::Slot(slot) = part
                    && !used.contains(name)
                {
                    self.step(Step::Need(slot.clone()));
                }
            }
        }
    }

    fn close(&mut self, name: &str, offset: usize) {
        self.tags.pop();
        match name {
            "kickstart" | "jumpstart" => {}
            "description" | "changelog" | "copyright" | "include" | "sinclude" | "var" | "copy" => self.strip = false,
            "eval" => {
                self.strip = false;
                if let Some(eval) = self.eval.take_if(|eval| eval.depth == self.tags.len() + 1) {
                    let OpenEval { shell, is_quoted, script, place, .. } = eval;
                    self.step(Step::Eval { shell, is_quoted, script: joined(script), place });
                }
            }
            _ => {
                self.depth -= 1;
                self.step(Step::Close);
                if name == "post" {
                    self.strip = false;
                    let place = self.locator.place(offset);
                    self.log("end", &place);
                }
            }
        }
        self.closed = self.tags.is_empty();
    }

    /// The original logs the beginning and the end of every `<post>` of a node file; stage 2 leaves that out for
    /// releases that need no such trace.
    fn log(&mut self, what: &str, place: &Place) {
        let text = format!("\n{}: {what} post section\n", self.file);
        let attribute = |name: &str, value: &str| (name.into(), vec![Part::Literal(value.into())]);
        self.literal("\n");
        self.step(Step::Open { name: "post".into(), attributes: vec![], place: place.clone() });
        let attributes = vec![attribute("name", LOG_FILE), attribute("mode", "append")];
        self.step(Step::Open { name: "file".into(), attributes, place: place.clone() });
        self.step(Step::Text(text.into()));
        self.step(Step::Close);
        self.step(Step::Close);
        self.literal("\n\n");
    }
}

/// An attribute of a tag by its name.
fn taken(read: &[(&str, Parts)], name: &str) -> Option<Parts> {
    read.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
}

/// A text's literal part.
fn plain(parts: &[Part]) -> String {
    parts
        .iter()
        .map(|part| match part {
            Part::Literal(text) => text.as_ref(),
            Part::Slot(_) => "",
        })
        .collect()
}

/// Joins literals that follow each other.
fn joined(parts: Parts) -> Parts {
    if parts.len() < 2 {
        return parts;
    }
    let mut all: Parts = Vec::with_capacity(parts.len());
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Literal(more) => text.push_str(&more),
            Part::Slot(slot) => {
                if !text.is_empty() {
                    all.push(Part::Literal(std::mem::take(&mut text).into()));
                }
                all.push(Part::Slot(slot));
            }
        }
    }
    if !text.is_empty() {
        all.push(Part::Literal(text.into()));
    }
    all
}

/// Builds every element that has nothing of a host in it. It runs when the whole file is read, since the roll of a
/// file is that of its last root tag.
fn settle(steps: Vec<Step>, roll: &Arc<str>, file: &Arc<str>) -> Vec<Step> {
    // An element on the way: its steps so far, and where its `Open` stands.
    let mut stack: Vec<Vec<Step>> = vec![Vec::new()];
    for step in steps {
        match step {
            Step::Open { .. } => stack.push(vec![step]),
            Step::Close => {
                let Some(steps) = stack.pop() else { continue };
                let into = match stack.last_mut() {
                    Some(into) => into,
                    None => {
                        stack.push(Vec::new());
                        &mut stack[0]
                    }
                };
                match whole(&steps, roll, file) {
                    Some(element) => into.push(Step::Whole(element)),
                    None => {
                        into.extend(steps);
                        into.push(Step::Close);
                    }
                }
            }
            step => {
                if let Some(into) = stack.last_mut() {
                    into.push(step);
                }
            }
        }
    }
    stack.into_iter().flatten().collect()
}

/// The element that steps make, if they make the same one for every host.
fn whole(steps: &[Step], roll: &Arc<str>, file: &Arc<str>) -> Option<Arc<Element>> {
    let [Step::Open { name, attributes, place }, inner @ ..] = steps else { return None };
    let mut fixed = Vec::with_capacity(attributes.len());
    for (name, value) in attributes {
        let value = match value.as_slice() {
            [] => "".into(),
            [Part::Literal(text)] => text.clone(),
            _ => return None,
        };
        fixed.push((name.clone(), value));
    }
    let mut children = Vec::with_capacity(inner.len());
    for step in inner {
        children.push(match step {
            Step::Text(text) => Content::Text(text.clone()),
            Step::Whole(element) => Content::Element(element.clone()),
            _ => return None,
        });
    }
    let origin = Origin { roll: roll.clone(), file: file.clone(), line: Some(place.line) };
    Some(Arc::new(Element { name: name.clone(), attributes: fixed, origin, children }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Template, GraphError> {
        Template::parse(&"./nodes/x.xml".into(), &text.into(), true)
    }

    #[test]
    fn what_is_the_same_for_all_hosts_is_built_once() {
        let template =
            parse("<kickstart roll='r'>\n<package>a</package><post>x<file name='/y'>z</file></post>\n</kickstart>");
        let steps = template.expect("a node").steps;
        let whole: Vec<_> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Whole(element) => Some((element.name.as_ref(), element.origin.line)),
                _ => None,
            })
            .collect();
        assert_eq!(whole, [("package", Some(2)), ("post", Some(2)), ("post", Some(2)), ("post", Some(2))]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, expected) in [
            ("", "./nodes/x.xml:1:1: has no root element"),
            ("<kickstart>\n<post>cut\n", "./nodes/x.xml:3:1: ends inside 'post'"),
            ("<kickstart>\n<post></pre>", "./nodes/x.xml:2:7: '</pre>' where 'post' is open"),
            ("<kickstart><include/></kickstart>", "./nodes/x.xml:1:12: '<include>' has no 'file'"),
            ("<kickstart><eval><eval/></eval></kickstart>", "./nodes/x.xml:1:18: '<eval>' inside '<eval>'"),
            ("<kickstart/>\n<a/>", "./nodes/x.xml:2:1: a second root element"),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><kickstart/>", "./nodes/x.xml:1:1: node files cannot have a '<!DOCTYPE'"),
            ("<kickstart/>x", "./nodes/x.xml:1:13: text outside of the root element"),
        ] {
            assert_eq!(parse(text).map(|_| ()).map_err(|e| e.to_string()), Err(expected.to_owned()), "{text}");
        }
        let deep = format!("<kickstart>{}", "<a>".repeat(xml::DEPTH_MAX));
        assert!(parse(&deep).expect_err("deep").to_string().contains("deep"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(
            text in "<kickstart>(<(/?)(post|eval|file|description|var|include|b)( (name|file|include|ref)='[a&;]{0,3}')?/?>|[a-c&;]){0,12}</kickstart>"
        ) {
            let _ = parse(&text);
            let text = text.as_str();
            let _ = Template::parse(&"x".into(), &text.into(), false);
        }
    }
}
