//! The text of a `<pre>`, `<post>` or `<configure>`: its own lines, and the shell that each `<file>` in it becomes.

use super::{KickstartError, shell};
use crate::profile::{Content, Element};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// How `<file>` elements become shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// As the original wrote it: every file under RCS, and a copy of it in /var/rocks.
    Rocks7,
    /// Just the file, its folder, owner and permissions.
    Modern,
}

/// What is known of the files written so far by one Kickstart.
#[derive(Debug)]
pub(super) struct Files<'a> {
    dialect: Dialect,
    os: &'a str,
    /// Owner that a file was last given; later mentions inherit it.
    owners: HashMap<Arc<str>, Arc<str>>,
    /// Temporary files named so far.
    temporaries: u32,
    /// Files that the original would have put under RCS, and this dialect does not.
    pub(super) without_rcs: u32,
    /// Files whose owner was asked for since `begin`, and whose it was.
    asked: Vec<(Arc<str>, Option<Arc<str>>)>,
}

/// What the text of an element depended on beside the element, and what it left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Effect {
    dialect: Dialect,
    os: Arc<str>,
    /// Owners it found.
    found: Vec<(Arc<str>, Option<Arc<str>>)>,
    /// The owners that these files then had.
    gave: Vec<(Arc<str>, Arc<str>)>,
    /// Temporary files named before it, and by it.
    temporaries: Option<(u32, u32)>,
    /// Files it did not put under RCS.
    without_rcs: u32,
}

impl<'a> Files<'a> {
    /// None written yet, for a machine of this operating system.
    pub(super) fn new(dialect: Dialect, os: &'a str) -> Self {
        Self { dialect, os, owners: HashMap::new(), temporaries: 0, without_rcs: 0, asked: Vec::new() }
    }

    /// The dialect of what is written.
    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Makes a piece of an element, and says what that depended on.
    pub(super) fn observe<T, E>(&mut self, make: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<(T, Effect), E> {
        self.asked.clear();
        let (temporaries, without_rcs) = (self.temporaries, self.without_rcs);
        let made = make(self)?;
        let found = std::mem::take(&mut self.asked);
        let gave = found.iter().filter_map(|(file, _)| Some((file.clone(), self.owners.get(file)?.clone()))).collect();
        let effect = Effect {
            dialect: self.dialect,
            os: self.os.into(),
            found,
            gave,
            temporaries: (self.temporaries > temporaries).then_some((temporaries, self.temporaries - temporaries)),
            without_rcs: self.without_rcs - without_rcs,
        };
        Ok((made, effect))
    }

    /// Whether an element would become now what it became then.
    pub(super) fn fits(&self, effect: &Effect) -> bool {
        effect.dialect == self.dialect
            && *effect.os == *self.os
            && effect.temporaries.is_none_or(|(before, _)| before == self.temporaries)
            && effect.found.iter().all(|(file, owner)| self.owners.get(file) == owner.as_ref())
    }

    /// Does what making it did.
    pub(super) fn repeat(&mut self, effect: &Effect) {
        self.owners.extend(effect.gave.iter().cloned());
        self.temporaries += effect.temporaries.map_or(0, |(_, named)| named);
        self.without_rcs += effect.without_rcs;
    }

    /// A temporary file that nothing else in this Kickstart uses.
    fn temporary(&mut self) -> String {
        self.temporaries += 1;
        format!("/tmp/ks-script-{:04}", self.temporaries)
    }

    /// The text of a section: its text with every `<file>` made into shell.
    pub(super) fn text<'e>(&mut self, element: &'e Element) -> Result<Cow<'e, str>, KickstartError> {
        if let [Content::Text(text)] = &element.children[..] {
            return Ok(Cow::Borrowed(text));
        }
        let mut out = String::with_capacity(text_bytes(element));
        for child in &element.children {
            match child {
                Content::Text(text) => out.push_str(text),
                Content::Element(file) if &*file.name == "file" => self.write(file, &mut out)?,
                Content::Element(other) => {
                    return Err(KickstartError::MisplacedElement {
                        file: other.origin.file.to_string(),
                        child: other.name.to_string(),
                        parent: element.name.to_string(),
                    });
                }
            }
        }
        Ok(Cow::Owned(out))
    }

    fn write(&mut self, element: &Element, out: &mut String) -> Result<(), KickstartError> {
        if element.attribute("os").is_some_and(|os| os != self.os) {
            return Ok(());
        }
        let text = self.text(element)?;
        let Some(name) = element.attribute("name").filter(|name| !name.is_empty()) else { return Ok(()) };
        let target = shell::word(name, true);
        let owner = element.attribute("owner").filter(|owner| !owner.is_empty());
        let perms = element.attribute("perms").filter(|perms| !perms.is_empty());
        let wants_rcs = element.attribute("rcs").is_none_or(is_yes);
        let rcs = wants_rcs && self.dialect == Dialect::Rocks7;
        self.without_rcs += u32::from(wants_rcs && !rcs);

        // The original begins a line only where it puts the file under RCS.
        if rcs || self.dialect == Dialect::Modern {
            out.push('\n');
        }
        if self.dialect == Dialect::Modern
            && let Some((folder, _)) = name.rsplit_once('/').filter(|(folder, _)| !is_base_folder(folder))
        {
            let _ = writeln!(out, "mkdir -p {}", shell::word(folder, true));
        }
        if rcs {
            self.check_in(name, &target, owner, out);
        }
        let mode = element.attribute("mode").unwrap_or("create");
        if let Some(command) = element.attribute("expr").filter(|command| !command.is_empty()) {
            let redirect = if mode == "append" { ">>" } else { ">" };
            let _ = writeln!(out, "{command} {redirect} {target}");
        }
        if text.is_empty() {
            let _ = writeln!(out, "touch {target}");
        } else if mode == "pipe" {
            let text = text.trim();
            match element.attribute("src").filter(|source| !source.is_empty()) {
                Some(source) => {
                    let _ = writeln!(out, "cat {source} | ({text}) > {target}");
                }
                None => {
                    let temporary = self.temporary();
                    let _ = writeln!(out, "cat {target} | ({text}) > {temporary}\nmv {temporary} {target}");
                }
            }
        } else {
            let expand = element.attribute("vars") == Some("expanded");
            shell::write_file(out, &target, &text, shell::Here { append: mode == "append", expand, ..shell::LITERAL });
        }
        if self.dialect == Dialect::Modern
            && let Some(owner) = owner
        {
            let _ = writeln!(out, "chown {} {target}", shell::word(&modern_owner(owner), true));
        }
        if let Some(perms) = perms {
            let _ = writeln!(out, "chmod {} {target}", shell::word(perms, true));
        }
        if self.dialect == Dialect::Rocks7 {
            let _ =
                writeln!(out, "dn=$(dirname {target})\nmkdir -p /var/rocks/$dn\n/bin/cp -p {target} /var/rocks/$dn");
        }
        Ok(())
    }

    /// Puts a file under RCS before it is first written, and gives it its owner.
    fn check_in(&mut self, name: &str, target: &str, owner: Option<&str>, out: &mut String) {
        let (folder, base) = match name.rsplit_once('/') {
            Some((folder, base)) => (format!("{folder}/RCS"), base),
            None => ("RCS".to_owned(), name),
        };
        let before = self.owners.get(name).cloned();
        if !self.asked.iter().any(|(known, _)| **known == *name) {
            self.asked.push((name.into(), before.clone()));
        }
        let archive = shell::word(&format!("{folder}/{base},v"), true);
        if before.is_none() {
            let folder = shell::word(&folder, true);
            let _ = write!(
                out,
                "if [ ! -f {archive} ]; then\n\tif [ ! -f {target} ]; then\n\t\ttouch {target};\n\tfi\n\t\
                 if [ ! -d {folder} ]; then\n\t\tmkdir -m 700 {folder}\n\t\tchown 0:0 {folder}\n\tfi;\n\t\
                 echo \"original\" | /opt/rocks/bin/ci {target};\n\t/opt/rocks/bin/co -f -l {target};\nfi\n"
            );
        }
        let owner = owner.or(before.as_deref()).unwrap_or_default();
        self.owners.insert(name.into(), owner.into());
        if !owner.is_empty() {
            let owner = shell::word(owner, true);
            let _ = writeln!(out, "chown {owner} {target}\nchown {owner} {archive}");
        }
    }
}

/// About how much text an element becomes: its own, and the shell of each file.
fn text_bytes(element: &Element) -> usize {
    const SHELL_BYTES: usize = 400;
    let of = |child: &Content| match child {
        Content::Text(text) => text.len(),
        Content::Element(file) => SHELL_BYTES + text_bytes(file),
    };
    element.children.iter().map(of).sum()
}

/// Whether an attribute says yes, in one of the original's words for it.
fn is_yes(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "on" | "yes" | "y" | "true" | "1" | "enabled" | "enable")
}

/// Folders that every installed system has.
fn is_base_folder(folder: &str) -> bool {
    matches!(folder, "" | "/etc" | "/root" | "/tmp" | "/usr" | "/var" | "/var/log" | "/opt")
}

/// `root.root` as `chown` wants it today: `root:root`.
fn modern_owner(owner: &str) -> String {
    match owner.split_once('.') {
        Some((user, group)) if !owner.contains(':') => format!("{user}:{group}"),
        _ => owner.to_owned(),
    }
}
