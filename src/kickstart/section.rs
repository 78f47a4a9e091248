//! Reading a profile: which of its elements count, and what each section of the Kickstart gets from them.
//!
//! Only the direct children of `<kickstart>` count, and of them those whose condition holds and whose phase is an
//! installation's; an element inside one that is left out is left out too.

use super::KickstartError;
use super::ansible::{self, Playbook};
use super::judge::{Conditions, Judge};
use super::packages::Selection;
use super::script::{Dialect, Files};
use crate::profile::{Content, Element, Origin, Profile};
use std::borrow::Cow;
use std::sync::Arc;

/// One line of the command section, with what the profile says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    /// The command's name.
    pub(super) name: String,
    /// What follows the name, as written; may have more lines.
    pub(super) text: String,
    /// Its place in `Sections::makers`.
    pub(super) maker: usize,
}

/// A `<pre>`, `<post>`, `<configure>` or playbook that became a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script<'p> {
    /// Its interpreter where the profile names one.
    pub(super) interpreter: Option<String>,
    /// What its section's head ends with (`--nochroot`).
    pub(super) argument: String,
    /// Its text; no white space at its end.
    pub(super) text: Cow<'p, str>,
    /// Where it was written.
    pub(super) origin: Origin,
    /// Its place in `Sections::makers`.
    pub(super) maker: usize,
}

/// What a profile says, sorted into the sections of a Kickstart.
#[derive(Debug, Default)]
pub(super) struct Sections<'p> {
    /// Node files that add something beside commands, in order: file and roll.
    pub(super) order: Vec<(Arc<str>, Arc<str>)>,
    /// Lines that nodes left for people who debug.
    pub(super) debug: Vec<String>,
    /// The command section.
    pub(super) commands: Vec<Command>,
    /// The lines of `%packages`.
    pub(super) packages: Vec<String>,
    /// Scripts that run before the disks are touched.
    pub(super) pre: Vec<Script<'p>>,
    /// Scripts that run in the installed system.
    pub(super) post: Vec<Script<'p>>,
    /// How many temporary files their texts name.
    pub(super) temporaries: u32,
    /// How many files are no longer put under RCS.
    pub(super) without_rcs: u32,
    /// The elements that commands and scripts were made of, each with the one it stands in first.
    pub(super) makers: Vec<Vec<Arc<Element>>>,
}

/// Which children of `<main>` become commands.
pub(super) type Accepts = dyn Fn(&str) -> bool;

impl<'p> Sections<'p> {
    /// Reads a profile in this dialect.
    pub(super) fn read(
        profile: &'p Profile,
        dialect: Dialect,
        accepts: &Accepts,
        conditions: &'p Conditions,
    ) -> Result<Self, KickstartError> {
        let judge = Judge::new(profile, conditions);
        let os = profile.attributes.iter().find(|(name, _)| &**name == "os").map_or("linux", |(_, value)| value);
        let mut files = Files::new(dialect, os);
        let mut sections = Self::default();
        let mut selection = Selection::default();
        for element in &profile.elements {
            let counts = matches!(
                &*element.name,
                "main" | "package" | "pre" | "post" | "configure" | "boot" | "debug" | "ansible"
            );
            if !counts || !judge.holds(element)? {
                continue;
            }
            if &*element.name != "main" {
                sections.mention(&element.origin);
            }
            match &*element.name {
                "main" => sections.main(element, &judge, &mut files, accepts)?,
                "package" => package(element, &mut files, &mut selection)?,
                "pre" => {
                    let maker = sections.made_of(&[element]);
                    sections.pre.push(script(element, maker, &mut files)?);
                }
                "post" | "configure" => {
                    let maker = sections.made_of(&[element]);
                    sections.post.push(script(element, maker, &mut files)?);
                }
                "debug" => sections.debug.extend(files.text(element)?.trim_matches('\n').lines().map(str::to_owned)),
                "ansible" => {
                    let playbook = Playbook::read(element, profile, &mut files)?;
                    for (name, wanted) in playbook.packages() {
                        if wanted { selection.enable(&name) } else { selection.disable(&name) }
                    }
                    let maker = sections.made_of(&[element]);
                    sections.post.extend(ansible::script(&playbook, &element.origin, maker));
                }
                // The first boot after the installation: the original shows it in a listing only, and so do we.
                _ => {}
            }
        }
        sections.packages = selection.lines();
        sections.temporaries = files.temporaries;
        sections.without_rcs = files.without_rcs;
        Ok(sections)
    }

    fn made_of(&mut self, elements: &[&Arc<Element>]) -> usize {
        self.makers.push(elements.iter().map(|element| Arc::clone(element)).collect());
        self.makers.len() - 1
    }

    fn mention(&mut self, origin: &Origin) {
        // Elements come node by node, so that most are of the file before.
        if self.order.last().is_some_and(|(file, _)| Arc::ptr_eq(file, &origin.file)) {
            return;
        }
        if !self.order.iter().any(|(file, _)| *file == origin.file) {
            self.order.push((origin.file.clone(), origin.roll.clone()));
        }
    }

    fn main(
        &mut self,
        main: &'p Arc<Element>,
        judge: &Judge<'p>,
        files: &mut Files<'_>,
        accepts: &Accepts,
    ) -> Result<(), KickstartError> {
        for child in &main.children {
            let Content::Element(element) = child else { continue };
            if !accepts(&element.name) || !judge.holds(element)? {
                continue;
            }
            let text = files.text(element)?;
            let maker = self.made_of(&[main, element]);
            let command =
                |name: &str, text: Cow<'_, str>| Command { name: name.to_owned(), text: text.into_owned(), maker };
            self.commands.push(match &*element.name {
                "lilo" => command("bootloader", text),
                "include" => command("%include", text),
                "langsupport" => command("langsupport", format!("--default={}", text.trim()).into()),
                "sshpw" => command("sshpw", text.trim().into()),
                "clearpart" if !judge.clears(element.attribute("partition")) => continue,
                name => command(name, text),
            });
        }
        Ok(())
    }
}

fn package(element: &Element, files: &mut Files<'_>, selection: &mut Selection) -> Result<(), KickstartError> {
    let text = files.text(element)?;
    let mut name = text.trim().to_owned();
    if element.attribute("type") == Some("meta") {
        name.insert(0, '@');
    }
    if element.attribute("disable").is_some() {
        selection.disable(&name);
    } else {
        selection.enable(&name);
    }
    Ok(())
}

fn script<'p>(element: &'p Element, maker: usize, files: &mut Files<'_>) -> Result<Script<'p>, KickstartError> {
    let text = match files.text(element)? {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_end()),
        Cow::Owned(mut text) => {
            text.truncate(text.trim_end().len());
            Cow::Owned(text)
        }
    };
    Ok(Script {
        interpreter: element.attribute("interpreter").filter(|i| !i.is_empty()).map(str::to_owned),
        argument: element.attribute("arg").unwrap_or_default().trim().to_owned(),
        text,
        origin: element.origin.clone(),
        maker,
    })
}

/// The children of `<main>` that the original knew; it dropped all others in silence.
pub(super) fn rocks7_accepts(name: &str) -> bool {
    const ACCEPTED: [&str; 36] = [
        "auth",
        "autopart",
        "autostep",
        "bootloader",
        "cdrom",
        "clearpart",
        "device",
        "driverdisk",
        "eula",
        "firstboot",
        "harddrive",
        "ignoredisk",
        "include",
        "install",
        "interactive",
        "keyboard",
        "lang",
        "langsupport",
        "lilo",
        "lilocheck",
        "logvol",
        "mouse",
        "network",
        "nfs",
        "part",
        "raid",
        "reboot",
        "rootpw",
        "skipx",
        "sshpw",
        "text",
        "timezone",
        "upgrade",
        "url",
        "volgroup",
        "xconfig",
    ];
    ACCEPTED.contains(&name) || name == "zerombr"
}
