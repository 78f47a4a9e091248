//! What crosses from the frontend to the installing machine: the profile (XML, stage 1's result) and, beside it, the
//! manifest (JSON) with what the machine needs to install: distribution, install set, swarm, templates.

mod manifest;

pub use manifest::{Manifest, ManifestDistribution};

use std::sync::Arc;

/// The document that stage 1 makes and stage 2 reads: the Rocks profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// All attributes of the host, sorted by name, unescaped.
    pub attributes: Vec<(Arc<str>, Arc<str>)>,
    /// The direct children of `<kickstart>` in traversal order, without the loader.
    pub elements: Vec<Element>,
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
    Element(Element),
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
