//! What crosses from the frontend to the installing machine: the profile (XML, stage 1's result) and, beside it, the
//! manifest (JSON) with what the machine needs to install: distribution, install set, swarm, templates.
//!
//! Both stages share what stands here: the XML scanner, the conditions (`cond="..."`) and the findings that `check`
//! prints.

pub mod cond;
mod finding;
mod manifest;
mod read;
mod write;
pub mod xml;

pub use finding::{Finding, Severity};
pub use manifest::{Manifest, ManifestDistribution};
pub use read::ProfileError;

use std::sync::Arc;

/// The longest value of an attribute that goes into a profile, in bytes.
pub const ATTRIBUTE_BYTES_MAX: usize = 512 << 10;
/// The most attributes of one host.
pub const ATTRIBUTES_MAX: usize = 20_000;
/// What names and values of one host's attributes may come to, in bytes.
pub const ATTRIBUTES_BYTES_MAX: usize = 16 << 20;

/// The document that stage 1 makes and stage 2 reads: the Rocks profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// All attributes of the host, sorted by name, unescaped.
    pub attributes: Vec<(Arc<str>, Arc<str>)>,
    /// The direct children of `<kickstart>` in traversal order, without the loader. Elements without anything of
    /// the host in them are shared by all profiles of a configuration.
    pub elements: Vec<Arc<Element>>,
    /// Files of the configuration's `include/` that stage 2 needs (playbooks), by path there.
    pub files: Vec<(Arc<str>, Arc<str>)>,
}

/// An element of a node file, with text substituted and conditions not yet judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its tag.
    pub name: Arc<str>,
    /// Its attributes in the order written, without `roll` and `file`.
    pub attributes: Vec<(Arc<str>, Arc<str>)>,
    /// Where it was written.
    pub origin: Origin,
    /// What stands inside.
    pub children: Vec<Content>,
}

/// Text or an element inside an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text, unescaped, white space kept.
    Text(Arc<str>),
    /// An element.
    Element(Arc<Element>),
}

/// Where an element was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The roll of its node file (`unknown` where the file names none).
    pub roll: Arc<str>,
    /// The node file as found, such as `./nodes/base.xml`.
    pub file: Arc<str>,
    /// The line in that file, from 1; none once the profile has crossed as XML.
    pub line: Option<u32>,
}

impl Profile {
    /// The value of a host's attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok()?;
        Some(&self.attributes[found].1)
    }
}

impl Profile {
    /// The text of a file that came along.
    pub fn file(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|(known, _)| known.as_ref() == path).map(|(_, text)| text.as_ref())
    }
}

impl Element {
    /// The value of an attribute of this element.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known.as_ref() == name).map(|(_, value)| value.as_ref())
    }

    /// The condition this element stands under: its `arch`, `os`, `release` and `cond` as one expression (empty:
    /// always).
    pub fn condition(&self) -> String {
        let of = |name| self.attribute(name);
        cond::create(of("arch"), of("os"), of("release"), of("cond"))
    }

    /// All text inside, that of inner elements included.
    pub fn text(&self) -> String {
        fn gather(element: &Element, text: &mut String) {
            for child in &element.children {
                match child {
                    Content::Text(piece) => text.push_str(piece),
                    Content::Element(inner) => gather(inner, text),
                }
            }
        }
        let mut text = String::new();
        gather(self, &mut text);
        text
    }
}
