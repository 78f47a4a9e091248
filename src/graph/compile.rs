//! A host's profile: walk the graph, then follow the steps of every node file with the host's attributes.

use super::builder::Builder;
use super::configuration::Configuration;
use super::error::{GraphError, Place};
use super::eval::{Answer, EVAL_LINGER_SECS_MAX, Evals, Outcome, Script};
use super::template::{Part, Slot, Step, Template};
use super::tree;
use crate::profile::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX, xml};
use crate::profile::{Finding, Profile, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

/// The most warnings of one compile.
pub const WARNINGS_MAX: usize = 1000;

/// What is to be compiled.
#[derive(Clone, Copy)]
pub struct CompileRequest<'a> {
    /// The node to begin at.
    pub root: &'a str,
    /// The host's attributes; `graph` names the graph (`default`), `os` the operating system.
    pub attributes: &'a BTreeMap<String, String>,
    /// What the profile is for: orders with another `gen` take their nodes away. `kgen` makes Kickstart files.
    pub generator: &'a str,
    /// Only nodes of these rolls go into the profile.
    pub rolls: Option<&'a BTreeSet<String>>,
    /// What is done with scripts.
    pub evals: &'a Evals,
}

/// A node that was compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visited {
    /// Its name.
    pub name: Arc<str>,
    /// The roll of its last file.
    pub roll: Arc<str>,
    /// Its last file.
    pub file: Arc<str>,
}

/// A host's profile, and what was noticed on the way.
#[derive(Debug, Clone, Default)]
pub struct Compiled {
    /// The profile.
    pub profile: Profile,
    /// What is odd but no error: undefined attributes, scripts that failed or were left out.
    pub warnings: Vec<Finding>,
    /// The nodes in order.
    pub visited: Vec<Visited>,
}

impl Configuration {
    /// Compiles a host's profile.
    pub fn compile(&self, request: &CompileRequest<'_>) -> Result<Compiled, GraphError> {
        check_attributes(request.attributes)?;
        let network = self.network_of(request.attributes)?;
        let lookup = |name: &str| request.attributes.get(name).map(String::as_str);
        let walk = network.walk(request.root, request.generator, &lookup)?;
        let mut run = Run {
            configuration: self,
            request,
            builder: Builder::new(),
            variables: BTreeMap::new(),
            warnings: Warnings::default(),
            roll: "unknown".into(),
            text: "".into(),
            files: Vec::new(),
        };
        let mut visited = Vec::with_capacity(walk.order.len());
        for node in walk.order {
            let missing = || {
                // The root is reached by no edge: the first that names it has to do.
                let name = &network.names()[node];
                let via = walk.reached[node].and_then(|reached| reached.via).map(|edge| &network.edges[edge]);
                let edge = via.or_else(|| network.edges.iter().find(|edge| edge.from == *name || edge.to == *name));
                let place = edge.map(|edge| edge.place.clone());
                let nowhere = || Place { file: network.name.as_str().into(), line: 1, column: 1 };
                GraphError::MissingNode {
                    place: place.unwrap_or_else(nowhere),
                    node: network.names()[node].to_string(),
                }
            };
            let is_sunos = request.attributes.get("os").is_some_and(|os| os == "sunos");
            let (name, files) = self.files_of(&network.names()[node], is_sunos).ok_or_else(missing)?;
            let templates: Vec<&Template> =
                files.iter().map(|file| file.template(request.evals.is_on())).collect::<Result<_, _>>()?;
            let Some(last) = templates.last() else { continue };
            let wanted = request.rolls.is_none_or(|rolls| rolls.contains(last.roll.as_ref()));
            let before = run.builder.count();
            for template in &templates {
                run.follow(template)?;
            }
            if !wanted {
                run.builder.forget_after(before);
                continue;
            }
            visited.push(Visited { name, roll: last.roll.clone(), file: last.file.clone() });
        }
        let attributes = request.attributes.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        let profile = Profile { attributes: attributes.collect(), elements: run.builder.finish(), files: run.files };
        Ok(Compiled { profile, warnings: run.warnings.found, visited })
    }
}

/// Attributes become entities, so their names must be XML names and their values text that XML can carry.
fn check_attributes(attributes: &BTreeMap<String, String>) -> Result<(), GraphError> {
    let bad = |name: &str, why: String| Err(GraphError::BadAttribute { name: name.to_owned(), why });
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(GraphError::ManyAttributes { what: format!("there are more than {ATTRIBUTES_MAX} attributes") });
    }
    let mut bytes = 0;
    for (name, value) in attributes {
        bytes += name.len() + value.len();
        if value.len() > ATTRIBUTE_BYTES_MAX {
            let (has, may) = (value.len(), ATTRIBUTE_BYTES_MAX);
            return bad(name, format!("has a value of {has} bytes: a profile carries at most {may}"));
        }
        if !xml::is_name(name) {
            return bad(
                name,
                "cannot be a name: it must be letters, digits, '_', '-' and '.', no digit first".to_owned(),
            );
        }
        if let Some((_, character)) = xml::first_bad_character(value) {
            return bad(name, format!("has a character that a profile cannot carry: U+{:04X}", character as u32));
        }
    }
    if bytes > ATTRIBUTES_BYTES_MAX {
        let what = format!("the attributes come to {bytes} bytes: a profile carries at most {ATTRIBUTES_BYTES_MAX}");
        return Err(GraphError::ManyAttributes { what });
    }
    Ok(())
}

#[derive(Default)]
struct Warnings {
    found: Vec<Finding>,
    undefined: BTreeSet<(Arc<str>, Arc<str>)>,
}

impl Warnings {
    fn push(&mut self, code: &'static str, place: &Place, message: String) {
        if self.found.len() < WARNINGS_MAX {
            let finding = Finding::new(Severity::Warning, code, message);
            self.found.push(finding.at(place.file.as_ref(), place.line, place.column));
        }
    }

    /// Something that only a trusted roll may do was left out.
    fn untrusted(&mut self, code: &'static str, place: &Place, roll: &str, what: &str) {
        let before = self.found.len();
        self.push(code, place, format!("roll '{roll}' is not trusted: {what}, nothing is put in its place"));
        if let Some(finding) = self.found.get_mut(before) {
            finding.hint = Some(format!("if you trust it: rocks trust-roll {roll}"));
        }
    }

    /// An attribute that is not defined: told once a file.
    fn undefined(&mut self, name: &str, place: &Place, text: &str) {
        if self.undefined.insert((place.file.clone(), name.into())) && self.found.len() < WARNINGS_MAX {
            self.found.push(undefined(name, place, text));
        }
    }
}

/// What is said of an attribute that a host does not have.
pub(super) fn undefined(name: &str, place: &Place, text: &str) -> Finding {
    let message = format!("attribute '{name}' is not defined: '&{name};' is left empty");
    let finding = Finding::new(Severity::Warning, "undefined-attribute", message);
    finding.at(place.file.as_ref(), place.line, place.column).show(text)
}

/// A compile under way.
struct Run<'c> {
    configuration: &'c Configuration,
    request: &'c CompileRequest<'c>,
    builder: Builder,
    /// `<var>`: shared by all nodes that follow.
    variables: BTreeMap<String, String>,
    warnings: Warnings,
    roll: Arc<str>,
    /// The text of the file that is followed, to show lines of.
    text: Arc<str>,
    /// Files that stage 2 needs.
    files: Vec<(Arc<str>, Arc<str>)>,
}

impl Run<'_> {
    fn follow(&mut self, template: &Template) -> Result<(), GraphError> {
        self.roll = template.roll.clone();
        self.text = template.text.clone();
        self.builder.enter(&template.roll, &template.file);
        let depth = self.builder.depth();
        for step in &template.steps {
            self.step(step, template)?;
        }
        match self.builder.innermost() {
            Some(name) if self.builder.depth() != depth => {
                let place = Place { file: template.file.clone(), line: 1, column: 1 };
                Err(GraphError::Malformed {
                    place,
                    what: format!("what a script or include inserts leaves '{name}' open"),
                })
            }
            _ => Ok(()),
        }
    }

    fn step(&mut self, step: &Step, template: &Template) -> Result<(), GraphError> {
        match step {
            Step::Whole(element) => self.builder.whole(element.clone()),
            Step::Text(text) => self.builder.shared_text(text),
            Step::Mixed(parts) => {
                for part in parts {
                    match part {
                        Part::Literal(text) => self.builder.shared_text(text),
                        Part::Slot(slot) => {
                            let value = self.text_value(slot);
                            self.builder.text(value, &slot.place)?;
                        }
                    }
                }
            }
            Step::Open { name, attributes, place } => {
                let mut values = Vec::with_capacity(attributes.len());
                for (name, parts) in attributes {
                    values.push((name.clone(), self.attribute_value(parts)?));
                }
                self.builder.open(name, values, place)?;
            }
            Step::Close => {
                if self.builder.depth() == 0 {
                    let place = Place { file: template.file.clone(), line: 1, column: 1 };
                    let what = "what a script or include inserts closes more than it opens".to_owned();
                    return Err(GraphError::Malformed { place, what });
                }
                self.builder.close();
            }
            Step::Eval { shell, is_quoted, script, place } => self.eval(shell, *is_quoted, script, place)?,
            Step::Include { file, is_quoted, may_miss, place } => {
                let path = self.attribute_value(file)?;
                let fail = |what: String| GraphError::Malformed { place: place.clone(), what };
                let found = self.configuration.tree().include(&path).map_err(fail)?;
                match found {
                    Some(bytes) => self.insert(bytes, *is_quoted, &format!("file '{path}'"), place)?,
                    None if *may_miss => {}
                    None => return Err(fail(format!("include file '{path}' does not exist"))),
                }
            }
            Step::FileInclude { file, place } => {
                let path = self.attribute_value(file)?;
                let bytes = self.read(&path, place)?.unwrap_or_default();
                self.insert(bytes, false, &format!("file '{path}'"), place)?;
            }
            Step::Copy { source, target, place } => self.copy(source, target, place)?,
            Step::SetVariable { name, value } => {
                let (name, value) = (self.attribute_value(name)?, self.attribute_value(value)?);
                self.variables.insert(name.to_string(), value.to_string());
            }
            Step::CopyVariable { name, from } => {
                let (name, from) = (self.attribute_value(name)?, self.attribute_value(from)?);
                let value = self.variables.get(from.as_ref()).cloned().unwrap_or_default();
                self.variables.insert(name.to_string(), value);
            }
            Step::Variable { name } => {
                let name = self.attribute_value(name)?;
                let place = Place { file: template.file.clone(), line: 1, column: 1 };
                let value = self.variables.get(name.as_ref()).cloned().unwrap_or_default();
                self.builder.text(&value, &place)?;
            }
            Step::Playbook { name, place } => self.playbook(name, place)?,
            Step::Need(slot) => {
                self.defined(slot)?;
            }
        }
        Ok(())
    }

    /// The value of an attribute of the host that stands in text: empty with a warning where there is none.
    fn text_value<'v>(&mut self, slot: &Slot) -> &'v str
    where
        Self: 'v,
    {
        let request = self.request;
        let value = request.attributes.get(slot.name.as_ref());
        if value.is_none() && !self.builder.guards(&slot.name) {
            self.warnings.undefined(&slot.name, &slot.place, &self.text);
        }
        value.map_or("", String::as_str)
    }

    /// The value of an attribute of the host that stands in an attribute of a tag, where it must be defined.
    fn defined(&self, slot: &Slot) -> Result<&str, GraphError> {
        let value = self.request.attributes.get(slot.name.as_ref());
        value.map(String::as_str).ok_or_else(|| {
            let what =
                format!("attribute '{}' is not defined (in text it would be empty, here it must be there)", slot.name);
            GraphError::Malformed { place: slot.place.clone(), what }
        })
    }

    fn attribute_value(&self, parts: &[Part]) -> Result<Arc<str>, GraphError> {
        match parts {
            [] => Ok("".into()),
            [Part::Literal(text)] => Ok(text.clone()),
            parts => {
                let mut value = String::new();
                for part in parts {
                    match part {
                        Part::Literal(text) => value.push_str(text),
                        Part::Slot(slot) => value.push_str(&xml::blanks_of(self.defined(slot)?)),
                    }
                }
                Ok(value.into())
            }
        }
    }

    fn eval(&mut self, shell: &[Part], is_quoted: bool, parts: &[Part], place: &Place) -> Result<(), GraphError> {
        let request = self.request;
        for part in shell {
            if let Part::Slot(slot) = part {
                request.evals.check_value(&self.roll, &slot.name, self.defined(slot)?, &slot.place)?;
            }
        }
        let shell = self.attribute_value(shell)?.to_string();
        let (mut text, mut original, mut differs) = (String::new(), String::new(), false);
        for part in parts {
            match part {
                Part::Literal(literal) => {
                    text.push_str(literal);
                    original.push_str(literal);
                }
                Part::Slot(slot) => {
                    let value = self.text_value(slot);
                    request.evals.check_value(&self.roll, &slot.name, value, &slot.place)?;
                    text.push_str(value);
                    differs |= value.contains('\'');
                    original.push_str(&value.replace('\'', "\\'"));
                }
            }
        }
        let alternative = differs.then(|| Script { shell: shell.clone(), text: original });
        let script = Script { shell, text };
        let answer = request.evals.answer(&self.roll, script, alternative, &self.variables, place)?;
        let Outcome { stdout, stderr, failure, left_running } = match answer {
            Answer::Output(outcome) => outcome,
            Answer::Untrusted => {
                self.warnings.untrusted("untrusted-eval", place, &self.roll, "this script did not run");
                return Ok(());
            }
        };
        let complaint = stderr.trim_end().replace('\n', "; ");
        if let Some(failure) = failure {
            let mut message = format!("script ended with {failure}");
            if !complaint.is_empty() {
                let _ = write!(message, ": {complaint}");
            }
            self.warnings.push("eval-failed", place, message);
        } else if !complaint.is_empty() {
            self.warnings.push("eval-complained", place, format!("script complained: {complaint}"));
        }
        if left_running {
            let message = format!(
                "script left a program running that held its output open: it was ended after {EVAL_LINGER_SECS_MAX} s"
            );
            self.warnings.push("eval-left-running", place, message);
        }
        self.insert(stdout, is_quoted, "output of a script", place)
    }

    /// Puts bytes in, as text or as XML.
    fn insert(&mut self, bytes: Vec<u8>, is_quoted: bool, what: &str, place: &Place) -> Result<(), GraphError> {
        let fail = |why: String| GraphError::Malformed { place: place.clone(), what: format!("{what} {why}") };
        let text = text_of(bytes, what, place)?;
        let text = xml::line_ends(&text);
        if is_quoted {
            return self.builder.text(&text, place);
        }
        let Self { builder, warnings, request, text: text_of_file, .. } = self;
        let mut resolve = |name: &str, in_attribute: bool| match request.attributes.get(name) {
            Some(value) => Ok(value.as_str().into()),
            None if in_attribute => Err(fail(format!("has undefined attribute '{name}' inside a tag"))),
            None => {
                warnings.undefined(name, place, text_of_file);
                Ok("".into())
            }
        };
        builder.raw(&text, place, &mut resolve)
    }

    /// Takes a playbook along; one that does not exist may be written in the element itself.
    fn playbook(&mut self, name: &[Part], place: &Place) -> Result<(), GraphError> {
        let path = format!("ansible/{}", self.attribute_value(name)?.trim());
        if self.files.iter().any(|(known, _)| known.as_ref() == path) {
            return Ok(());
        }
        let fail = |what: String| GraphError::Malformed { place: place.clone(), what };
        let Some(bytes) = self.configuration.tree().include(&path).map_err(fail)? else {
            self.warnings.push("missing-playbook", place, format!("there is no playbook 'include/{path}'"));
            return Ok(());
        };
        let text = text_of(bytes, &format!("file 'include/{path}'"), place)?;
        self.files.push((path.into(), xml::line_ends(&text).into()));
        Ok(())
    }

    /// Reads a file that a copy or a file include names. Files outside of the configuration are for trusted rolls.
    fn read(&mut self, path: &str, place: &Place) -> Result<Option<Vec<u8>>, GraphError> {
        let fail = |what: String| GraphError::Malformed { place: place.clone(), what };
        if !path.starts_with('/') {
            return self.configuration.tree().read_relative(path).map_err(fail);
        }
        if self.request.evals.trusts(&self.roll) {
            return tree::read_anywhere(path).map_err(fail);
        }
        self.warnings.untrusted("untrusted-read", place, &self.roll, &format!("'{path}' is not read"));
        Ok(None)
    }

    /// What makes a file of the frontend a file of the machine: its bytes in base 64, and a line of shell that turns
    /// them back.
    fn copy(&mut self, source: &[Part], target: &[Part], place: &Place) -> Result<(), GraphError> {
        const ENCODED: &str = "/tmp/kpp.base64";
        let (source, target) = (self.attribute_value(source)?, self.attribute_value(target)?);
        let bytes = self.read(&source, place)?.unwrap_or_default();
        let name = |name: &Arc<str>| vec![("name".into(), name.clone())];
        let file: Arc<str> = "file".into();
        self.builder.open(&file, name(&target), place)?;
        self.builder.close();
        self.builder.text("\n", place)?;
        self.builder.open(&file, name(&ENCODED.into()), place)?;
        self.builder.text(&format!("\n{}", base64_lines(&bytes)), place)?;
        self.builder.close();
        let decode = format!(
            "\ncat {ENCODED} | /opt/rocks/bin/python -c '\nimport base64\nimport sys\n\
             base64.decode(sys.stdin, sys.stdout)' > {target}\nrm -rf {ENCODED}\nrm -rf /tmp/RCS/kpp.base64,v\n"
        );
        self.builder.text(&decode, place)
    }
}

/// Bytes as text that a profile can carry.
fn text_of(bytes: Vec<u8>, what: &str, place: &Place) -> Result<String, GraphError> {
    let fail = |why: String| GraphError::Malformed { place: place.clone(), what: format!("{what} {why}") };
    let text = String::from_utf8(bytes).map_err(|_| fail("is not UTF-8".to_owned()))?;
    match xml::first_bad_character(&text) {
        Some((_, character)) => {
            Err(fail(format!("has a character that a profile cannot carry: U+{:04X}", character as u32)))
        }
        None => Ok(text),
    }
}

/// Base 64 in lines of 76 characters.
fn base64_lines(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len() / 57 * 77 + 80);
    for line in bytes.chunks(57) {
        for three in line.chunks(3) {
            let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for digit in 0..4 {
                let is_padding = digit > three.len();
                let index = (bits >> (18 - 6 * digit)) as usize & 63;
                text.push(if is_padding { '=' } else { char::from(DIGITS[index]) });
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_64_is_in_lines() {
        assert_eq!(base64_lines(b""), "");
        assert_eq!(base64_lines(b"hello\n"), "aGVsbG8K\n");
        assert_eq!(base64_lines(b"a"), "YQ==\n");
        assert_eq!(base64_lines(b"ab"), "YWI=\n");
        assert_eq!(base64_lines(&[0; 58]), format!("{}\nAA==\n", "A".repeat(76)));
    }
}
