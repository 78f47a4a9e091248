//! The words of graph and node files: which elements stand where, which attributes they take, which conditions they
//! have.

use crate::cluster::similar;
use crate::graph::error::Place;
use crate::graph::locate::Locator;
use crate::graph::template::Slot;
use crate::graph::tree::Source;
use crate::profile::cond::{self, Condition};
use crate::profile::xml::{Attribute, Piece, Scanner, Token};
use crate::profile::{Finding, Severity};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The attributes that make a condition.
const CONDITIONS: &[&str] = &["arch", "os", "release", "cond"];

/// Graph files: an element and its own attributes.
const GRAPH: &[(&str, &[&str])] = &[
    ("graph", &["roll"]),
    ("edge", &["from", "to", "arch", "os", "release", "cond"]),
    ("to", CONDITIONS),
    ("from", CONDITIONS),
    ("order", &["head", "tail", "gen"]),
    ("head", &["gen"]),
    ("tail", &["gen"]),
    ("description", &[]),
    ("changelog", &[]),
    ("copyright", &[]),
    ("color", &["edge", "node"]),
    ("roll", &["name"]),
];

/// Elements of node files that stand anywhere, with their own attributes.
const ANYWHERE: &[(&str, &[&str])] = &[
    ("kickstart", &["roll", "interface", "color"]),
    ("jumpstart", &["roll", "interface", "color"]),
    ("description", &[]),
    ("changelog", &[]),
    ("copyright", &[]),
    ("include", &["file", "mode"]),
    ("sinclude", &["file", "mode"]),
    ("var", &["name", "val", "ref"]),
    ("copy", &["src", "dst"]),
    ("eval", &["shell", "mode"]),
];

/// Sections of node files, with their own attributes; all take conditions, `phase`, `roll` and `file`.
const SECTIONS: &[(&str, &[&str])] = &[
    ("main", &[]),
    ("package", &["type", "disable"]),
    ("pre", &["arg", "interpreter"]),
    ("post", &["arg", "interpreter", "chroot"]),
    ("configure", &["arg", "interpreter"]),
    ("boot", &["order"]),
    ("debug", &[]),
    ("ansible", &["playbook", "ansible_cmd", "args"]),
    // For other generators.
    ("log", &[]),
    ("screen", &["manditory", "mandatory", "name"]),
];

const FILE: &[&str] = &["name", "mode", "owner", "perms", "vars", "expr", "src", "rcs", "os", "include"];
/// Attributes of `<file>` that look as if they had a meaning.
const FILE_IGNORED: &[&str] = &["cond", "arch", "release", "phase"];

/// Commands of Kickstart, old and new, that may stand in `<main>`.
const MAIN: &[&str] = &[
    "auth",
    "authconfig",
    "authselect",
    "autopart",
    "autostep",
    "bootc",
    "bootloader",
    "btrfs",
    "cdrom",
    "clearpart",
    "cmdline",
    "device",
    "deviceprobe",
    "dmraid",
    "driverdisk",
    "eula",
    "fcoe",
    "firewall",
    "firstboot",
    "graphical",
    "group",
    "halt",
    "harddrive",
    "hmc",
    "ignoredisk",
    "install",
    "interactive",
    "iscsi",
    "iscsiname",
    "keyboard",
    "lang",
    "langsupport",
    "lilo",
    "lilocheck",
    "liveimg",
    "logging",
    "logvol",
    "mediacheck",
    "method",
    "module",
    "mount",
    "mouse",
    "multipath",
    "network",
    "nfs",
    "nvdimm",
    "ostreecontainer",
    "ostreesetup",
    "part",
    "partition",
    "poweroff",
    "raid",
    "realm",
    "reboot",
    "repo",
    "reqpart",
    "rescue",
    "rhsm",
    "rootpw",
    "selinux",
    "services",
    "shutdown",
    "skipx",
    "snapshot",
    "sshkey",
    "sshpw",
    "syspurpose",
    "text",
    "timesource",
    "timezone",
    "updates",
    "upgrade",
    "url",
    "user",
    "vnc",
    "rdp",
    "volgroup",
    "xconfig",
    "zerombr",
    "zfcp",
    "zipl",
];

/// A condition of an element.
pub(super) struct Judged {
    pub(super) condition: Condition,
    pub(super) place: Place,
}

/// What a node file's words are.
#[derive(Default)]
pub(super) struct NodeWords {
    pub(super) findings: Vec<Finding>,
    pub(super) conditions: Vec<Judged>,
    /// The first use of each attribute of the host.
    pub(super) slots: Vec<Slot>,
}

/// The roll that a node file names.
pub(super) fn roll_of(source: &Source) -> Option<String> {
    let text = source.read().ok()?;
    let mut scanner = Scanner::new(&text).ok()?;
    while let Some(token) = scanner.next_token().ok()? {
        if let Token::Open { attributes, .. } = token {
            let roll = attributes.iter().find(|attribute| attribute.name == "roll");
            return Some(roll.map_or_else(|| "unknown".to_owned(), |roll| value(roll).unwrap_or_default()));
        }
    }
    None
}

/// What is wrong with the words of a graph file.
pub(super) fn graph(file: &Arc<str>, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut locator = Locator::new(file, text);
    let Ok(mut scanner) = Scanner::new(text) else { return findings };
    // Whether the edge or order that is open has children, and its sides.
    let mut open: Option<(&str, Place, bool, bool, bool)> = None;
    while let Ok(Some(token)) = scanner.next_token() {
        match token {
            Token::Open { name, attributes, empty } => {
                let place = locator.place(scanner.offset());
                let Some((_, known)) = GRAPH.iter().find(|(known, _)| *known == name) else {
                    findings.push(unknown(
                        &place,
                        &format!("element '<{name}>'"),
                        name,
                        GRAPH.iter().map(|(known, _)| *known),
                    ));
                    continue;
                };
                unknown_attributes(name, &attributes, &[known], &mut locator, &mut findings);
                let has = |key: &str| attributes.iter().any(|attribute| attribute.name == key);
                match name {
                    "edge" => open = Some(("from", place.clone(), has("from"), has("to"), false)),
                    "order" => open = Some(("head", place.clone(), has("head"), has("tail"), false)),
                    "to" | "from" | "head" | "tail" => {
                        if let Some((_, edge, first, second, children)) = &mut open {
                            let is_first = matches!(name, "from" | "head");
                            let (own, other) = if is_first { (*first, *second) } else { (*second, *first) };
                            if own && !*children {
                                let message =
                                    format!("'{name}' of the element is lost, since it has '<{name}>' inside");
                                findings.push(at(Severity::Error, "lost-side", edge, message));
                            }
                            if !other {
                                let message = format!("'<{name}>' leads nowhere: the other side is not named");
                                findings.push(at(Severity::Error, "lost-side", &place, message));
                            }
                            *children = true;
                        }
                    }
                    _ => {}
                }
                if empty && matches!(name, "edge" | "order") {
                    sides(&mut open, &mut findings);
                }
            }
            Token::Close("edge" | "order") => sides(&mut open, &mut findings),
            Token::Text(Piece::Entity { name, offset }) => {
                let message = format!("'&{name};' vanishes: a host's attributes are not known in graph files");
                findings.push(at(Severity::Error, "entity-in-graph", &locator.place(offset), message));
            }
            _ => {}
        }
    }
    findings
}

/// An edge or order without children must name both sides.
fn sides(open: &mut Option<(&str, Place, bool, bool, bool)>, findings: &mut Vec<Finding>) {
    if let Some((kind, place, first, second, false)) = open.take()
        && !(first && second)
    {
        let (noun, sides) = if kind == "from" { ("edge", "'from' and 'to'") } else { ("order", "'head' and 'tail'") };
        findings.push(at(Severity::Error, "lost-side", &place, format!("{noun} has not both {sides}")));
    }
}

/// What the words of a node file are, and what is wrong with them.
pub(super) fn node(file: &Arc<str>, text: &str) -> NodeWords {
    let mut words = NodeWords::default();
    let mut seen = BTreeSet::new();
    let mut locator = Locator::new(file, text);
    let Ok(mut scanner) = Scanner::new(text) else { return words };
    let mut stack: Vec<&str> = Vec::new();
    // The conditions of the elements that are open.
    let mut guards: Vec<Option<Condition>> = Vec::new();
    let mut slot = |name: &str, guards: &[Option<Condition>], place: Place, words: &mut NodeWords| {
        // An attribute that a condition around it asks for may be undefined.
        if !guards.iter().flatten().any(|guard| guard.names().contains(&name)) && seen.insert(name.to_owned()) {
            words.slots.push(Slot { name: name.into(), place });
        }
    };
    while let Ok(Some(token)) = scanner.next_token() {
        match token {
            Token::Open { name, attributes, empty } => {
                let place = locator.place(scanner.offset());
                element(name, &stack, &attributes, &place, &mut locator, &mut words);
                let guard = attributes.iter().find(|attribute| attribute.name == "cond").and_then(value);
                guards.push(guard.and_then(|guard| Condition::parse(&guard).ok()));
                for piece in attributes.iter().flat_map(|attribute| &attribute.value) {
                    if let Piece::Entity { name, offset } = piece {
                        slot(name, &guards, locator.place(*offset), &mut words);
                    }
                }
                match empty {
                    true => drop(guards.pop()),
                    false => stack.push(name),
                }
            }
            Token::Close(_) => {
                stack.pop();
                guards.pop();
            }
            // What describes a file goes nowhere.
            Token::Text(Piece::Entity { name, offset }) if !stack.iter().any(|tag| is_description(tag)) => {
                slot(name, &guards, locator.place(offset), &mut words);
            }
            _ => {}
        }
    }
    words
}

/// Where an element stands: what is around it, tags without an element of their own aside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    Nothing,
    Main,
    Script,
    Free,
}

fn is_description(tag: &str) -> bool {
    matches!(tag, "description" | "changelog" | "copyright")
}

fn around(stack: &[&str]) -> Around {
    let mut inner = stack.iter().rev().filter(|tag| !ANYWHERE.iter().any(|(known, _)| known == *tag));
    if stack.iter().any(|tag| is_description(tag) || matches!(*tag, "eval" | "screen" | "log")) {
        return Around::Free;
    }
    match inner.next() {
        None => Around::Nothing,
        Some(&"main") => Around::Main,
        Some(&("pre" | "post" | "configure" | "package" | "boot" | "debug" | "ansible" | "file")) => Around::Script,
        Some(_) => Around::Free,
    }
}

fn element(
    name: &str,
    stack: &[&str],
    attributes: &[Attribute<'_>],
    place: &Place,
    locator: &mut Locator<'_>,
    words: &mut NodeWords,
) {
    const ALWAYS: &[&str] = &["roll", "file"];
    let findings = &mut words.findings;
    let around = around(stack);
    if stack.is_empty() && !matches!(name, "kickstart" | "jumpstart") {
        let message = format!("a node file begins with '<kickstart>', not '<{name}>'");
        findings.push(at(Severity::Error, "unknown-element", place, message));
    }
    if let Some((_, own)) = ANYWHERE.iter().find(|(known, _)| *known == name) {
        return unknown_attributes(name, attributes, &[own, ALWAYS], locator, findings);
    }
    match around {
        Around::Free => return,
        Around::Nothing => match SECTIONS.iter().find(|(known, _)| *known == name) {
            Some((_, own)) => {
                unknown_attributes(name, attributes, &[own, CONDITIONS, &["phase"], ALWAYS], locator, findings)
            }
            None => {
                let known = SECTIONS.iter().chain(ANYWHERE).map(|(known, _)| *known);
                findings.push(unknown(place, &format!("element '<{name}>'"), name, known));
            }
        },
        Around::Main => match MAIN.contains(&name) {
            true => {
                let own: &[&str] = if name == "clearpart" { &["partition"] } else { &[] };
                unknown_attributes(name, attributes, &[own, CONDITIONS, &["phase"], ALWAYS], locator, findings);
            }
            false => {
                findings.push(unknown(place, &format!("command '<{name}>' in '<main>'"), name, MAIN.iter().copied()))
            }
        },
        Around::Script if name == "file" => {
            for attribute in attributes.iter().filter(|attribute| FILE_IGNORED.contains(&attribute.name)) {
                let message = format!("'{}' of '<file>' is ignored: put the condition on the section", attribute.name);
                findings.push(at(Severity::Warning, "ignored-attribute", &locator.place(attribute.offset), message));
            }
            unknown_attributes(name, attributes, &[FILE, FILE_IGNORED, ALWAYS], locator, findings);
            return;
        }
        Around::Script if name == "service" && stack.contains(&"post") => return,
        Around::Script => {
            let inner = stack.last().copied().unwrap_or_default();
            let message = format!("'<{name}>' cannot stand inside '<{inner}>'");
            findings.push(at(Severity::Error, "misplaced-element", place, message));
            return;
        }
    }
    condition(attributes, place, words);
}

/// The condition of an element, if it has one without attributes of the host in it.
fn condition(attributes: &[Attribute<'_>], place: &Place, words: &mut NodeWords) {
    let given = |name: &str| attributes.iter().find(|attribute| attribute.name == name).map(value);
    let mut parts = Vec::with_capacity(CONDITIONS.len());
    for name in CONDITIONS {
        match given(name) {
            Some(None) => return,
            Some(text) => parts.push(text),
            None => parts.push(None),
        }
    }
    let [arch, os, release, cond] = parts.as_slice() else { return };
    let text = cond::create(arch.as_deref(), os.as_deref(), release.as_deref(), cond.as_deref());
    if text.is_empty() {
        return;
    }
    match Condition::parse(&text) {
        Ok(condition) => words.conditions.push(Judged { condition, place: place.clone() }),
        Err(error) => words.findings.push(at(Severity::Error, "condition", place, error.to_string())),
    }
}

/// An attribute's text; none where a host's attribute is in it.
fn value(attribute: &Attribute<'_>) -> Option<String> {
    let mut text = String::new();
    for piece in &attribute.value {
        match piece {
            Piece::Literal(literal) => text.push_str(literal),
            Piece::Entity { .. } => return None,
        }
    }
    Some(text)
}

fn unknown_attributes(
    element: &str,
    attributes: &[Attribute<'_>],
    known: &[&[&'static str]],
    locator: &mut Locator<'_>,
    findings: &mut Vec<Finding>,
) {
    for attribute in attributes {
        let all = || known.iter().flat_map(|names| names.iter().copied());
        if !all().any(|name| name == attribute.name) {
            let what = format!("attribute '{}' of '<{element}>'", attribute.name);
            let mut finding = unknown(&locator.place(attribute.offset), &what, attribute.name, all());
            finding.code = "unknown-attribute";
            findings.push(finding);
        }
    }
}

/// A word that means nothing here: an error where it looks like one that does.
fn unknown(place: &Place, what: &str, word: &str, known: impl Iterator<Item = &'static str>) -> Finding {
    let meant = similar(word, known);
    let severity = if meant.is_some() { Severity::Error } else { Severity::Warning };
    let mut finding = at(severity, "unknown-element", place, format!("unknown {what} is ignored"));
    finding.hint = meant.map(|meant| format!("did you mean '{meant}'?"));
    finding
}

fn at(severity: Severity, code: &'static str, place: &Place, message: String) -> Finding {
    Finding::new(severity, code, message).at(place.file.as_ref(), place.line, place.column)
}
