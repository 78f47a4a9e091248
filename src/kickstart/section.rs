//! Reading a profile: which of its elements count, and what each section of the Kickstart gets from them.
//!
//! Only the direct children of `<kickstart>` count, and of them those whose condition holds and whose phase is an
//! installation's; an element inside one that is left out is left out too.

use super::KickstartError;
use super::ansible::{self, Playbook};
use super::judge::{Conditions, Judge};
use super::kept::{self, Elements, Fresh, Made};
use super::packages::Selection;
use super::script::{Dialect, Files};
use super::written::Script;
use crate::profile::{Content, Element, Origin, Profile};
use std::borrow::Cow;
use std::collections::HashSet;
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

/// The children of `<kickstart>` that stage 2 knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Main,
    Package,
    Pre,
    /// `<post>` and `<configure>`.
    Post,
    Debug,
    Ansible,
    /// The first boot after the installation: the original shows it in a listing only, and so do we.
    Boot,
    /// `<description>` out of a script's mouth: read and dropped.
    Description,
    /// `<attributes>`: the original lets it in and then stops, since it has no meaning for it.
    Attributes,
}

impl Kind {
    /// What an element of this name is.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "main" => Self::Main,
            "package" => Self::Package,
            "pre" => Self::Pre,
            "post" | "configure" => Self::Post,
            "debug" => Self::Debug,
            "ansible" => Self::Ansible,
            "boot" => Self::Boot,
            "description" => Self::Description,
            "attributes" => Self::Attributes,
            _ => return None,
        })
    }
}

/// What a package or script of a profile becomes.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    /// A package's name, and whether it is wanted.
    Package(Arc<str>, bool),
    Script(Arc<Script>),
}

/// A script, and its place in `Sections::makers`.
pub(super) type Placed = (Arc<Script>, usize);

/// What a profile says, sorted into the sections of a Kickstart.
#[derive(Debug, Default)]
pub(super) struct Sections<'p> {
    /// Node files that add something beside commands, in order: file and roll.
    pub(super) order: Vec<&'p Origin>,
    /// Lines that nodes left for people who debug.
    pub(super) debug: Vec<String>,
    /// The command section.
    pub(super) commands: Vec<Command>,
    /// The lines of `%packages`.
    pub(super) packages: Vec<String>,
    /// Scripts that run before the disks are touched.
    pub(super) pre: Vec<Placed>,
    /// Scripts that run in the installed system.
    pub(super) post: Vec<Placed>,
    /// How many files are no longer put under RCS.
    pub(super) without_rcs: u32,
    /// The elements that commands and scripts were made of, and the one that each stands in.
    pub(super) makers: Vec<Maker<'p>>,
    /// What is not kept yet.
    pub(super) fresh: Vec<Fresh>,
}

/// The element that something was made of, and before it the one it stands in.
pub(super) type Maker<'p> = (Option<&'p Arc<Element>>, &'p Arc<Element>);

/// Which children of `<main>` become commands.
pub(super) type Accepts = dyn Fn(&str) -> bool;

impl<'p> Sections<'p> {
    /// Reads a profile in this dialect.
    pub(super) fn read(
        profile: &'p Profile,
        dialect: Dialect,
        accepts: &Accepts,
        conditions: &'p Conditions,
        kept: &Elements,
    ) -> Result<Self, KickstartError> {
        let judge = Judge::new(profile, conditions);
        let os = profile.attributes.iter().find(|(name, _)| &**name == "os").map_or("linux", |(_, value)| value);
        let mut files = Files::new(dialect, os);
        let mut sections = Self::default();
        let mut selection = Selection::default();
        let mut mentioned = HashSet::new();
        for element in &profile.elements {
            let known = kept::find(kept, element);
            let read;
            let facts = match known {
                Some(known) => &known.facts,
                None => {
                    read = judge.facts(element)?;
                    &read
                }
            };
            let counted = match facts.kind {
                Some(kind) if judge.counts(facts, element)? => Some(kind),
                _ => None,
            };
            if known.is_none() && counted.is_none() && kept::is_shared(element) {
                sections.fresh.push((element.clone(), facts.clone(), None));
            }
            let Some(kind) = counted else { continue };
            if kind != Kind::Main {
                sections.mention(&element.origin, &mut mentioned);
            }
            match kind {
                Kind::Main => sections.main(element, &judge, &mut files, accepts)?,
                Kind::Package | Kind::Pre | Kind::Post => {
                    let piece = match known.and_then(|known| known.made(&files)) {
                        Some(made) => {
                            files.repeat(&made.effect);
                            made.piece.clone()
                        }
                        None => {
                            let (piece, effect) = files.observe(|files| piece(kind, element, files))?;
                            if kept::is_shared(element) && known.is_none_or(|known| known.has_room()) {
                                let made = Made { effect, piece: piece.clone() };
                                sections.fresh.push((element.clone(), facts.clone(), Some(made)));
                            }
                            piece
                        }
                    };
                    match piece {
                        Piece::Package(name, true) => selection.enable(name),
                        Piece::Package(name, false) => selection.disable(name),
                        Piece::Script(script) => {
                            let maker = sections.made_of(None, element);
                            let into = if kind == Kind::Pre { &mut sections.pre } else { &mut sections.post };
                            into.push((script, maker));
                        }
                    }
                }
                Kind::Debug => {
                    sections.debug.extend(files.text(element)?.trim_matches('\n').lines().map(str::to_owned))
                }
                Kind::Ansible => {
                    let playbook = Playbook::read(element, profile, &mut files)?;
                    for (name, wanted) in playbook.packages() {
                        if wanted { selection.enable(name.into()) } else { selection.disable(name.into()) }
                    }
                    let maker = sections.made_of(None, element);
                    let script = ansible::script(&playbook, dialect, &element.origin);
                    sections.post.extend(script.map(|script| (Arc::new(script), maker)));
                }
                Kind::Boot => {
                    if let Some(order) = element.attribute("order").filter(|order| !matches!(*order, "pre" | "post")) {
                        let (file, order) = (element.origin.file.to_string(), order.to_owned());
                        return Err(KickstartError::BootOrder { file, order });
                    }
                    // Nothing is written, but a file in it is under RCS from here on.
                    files.text(element)?;
                }
                Kind::Description => {
                    files.text(element)?;
                }
                Kind::Attributes => {
                    return Err(KickstartError::MisplacedElement {
                        file: element.origin.file.to_string(),
                        child: "attributes".to_owned(),
                        parent: "kickstart".to_owned(),
                    });
                }
            }
        }
        sections.packages = selection.lines();
        sections.without_rcs = files.without_rcs;
        Ok(sections)
    }

    fn made_of(&mut self, outer: Option<&'p Arc<Element>>, element: &'p Arc<Element>) -> usize {
        self.makers.push((outer, element));
        self.makers.len() - 1
    }

    fn mention(&mut self, origin: &'p Origin, mentioned: &mut HashSet<&'p str>) {
        // Elements come node by node, so that most are of the file before.
        let is_last = self.order.last().is_some_and(|last| Arc::ptr_eq(&last.file, &origin.file));
        if !is_last && mentioned.insert(&origin.file) {
            self.order.push(origin);
        }
    }

    fn main(
        &mut self,
        main: &'p Arc<Element>,
        judge: &Judge<'_>,
        files: &mut Files<'_>,
        accepts: &Accepts,
    ) -> Result<(), KickstartError> {
        for child in &main.children {
            let Content::Element(element) = child else { continue };
            if !accepts(&element.name) || !judge.holds(element)? {
                continue;
            }
            let text = files.text(element)?;
            let maker = self.made_of(Some(main), element);
            let command =
                |name: &str, text: Cow<'_, str>| Command { name: name.to_owned(), text: text.into_owned(), maker };
            self.commands.push(match &*element.name {
                "lilo" => command("bootloader", text),
                "include" if files.dialect() == Dialect::Modern => command("%include", text),
                "langsupport" => command("langsupport", format!("--default={}", text.trim()).into()),
                "sshpw" => command("sshpw", text.trim().into()),
                "clearpart" if !judge.clears(element.attribute("partition")) => continue,
                name => command(name, text),
            });
        }
        Ok(())
    }
}

/// What a package or script becomes.
fn piece(kind: Kind, element: &Element, files: &mut Files<'_>) -> Result<Piece, KickstartError> {
    if kind != Kind::Package {
        let text = files.text(element)?;
        return Ok(Piece::Script(Arc::new(Script::of(element, kind, &text, files.dialect()))));
    }
    let text = files.text(element)?;
    let name = text.trim();
    let name = if element.attribute("type") == Some("meta") { format!("@{name}").into() } else { name.into() };
    Ok(Piece::Package(name, element.attribute("disable").is_none()))
}

/// The children of `<main>` that the original knew; it dropped all others in silence.
pub(super) fn rocks7_accepts(name: &str) -> bool {
    const ACCEPTED: [&str; 35] = [
        "auth",
        "autopart",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_where_none_may_stand_are_named() {
        for (inside, said) in [
            (
                "<post><package file='./nodes/a.xml'>x</package></post>",
                "./nodes/a.xml: <package> cannot stand inside <post>",
            ),
            ("<main><lang><b file='./nodes/a.xml'/></lang></main>", "./nodes/a.xml: <b> cannot stand inside <lang>"),
            (
                "<attributes file='./nodes/a.xml'>x</attributes>",
                "./nodes/a.xml: <attributes> cannot stand inside <kickstart>",
            ),
            (
                "<boot><package file='./nodes/a.xml'>x</package></boot>",
                "./nodes/a.xml: <package> cannot stand inside <boot>",
            ),
            (
                "<boot order='last' file='./nodes/a.xml'/>",
                "./nodes/a.xml: order 'last' of <boot> is neither 'pre' nor 'post'",
            ),
        ] {
            let text = format!("<kickstart attrs=\"{{}}\">{inside}</kickstart>");
            let profile = Profile::from_xml(&text).expect("well formed");
            let (conditions, kept) = (Conditions::default(), Elements::default());
            let read = Sections::read(&profile, Dialect::Rocks7, &rocks7_accepts, &conditions, &kept);
            assert_eq!(read.expect_err(inside).to_string(), said);
        }
    }
}
