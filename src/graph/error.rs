//! What can go wrong when a host's profile is compiled.

use crate::profile::cond::CondError;
use std::fmt;
use std::sync::Arc;

/// A place in a file of the configuration, shown as `graphs/default/base.xml:12:5`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file as an administrator knows it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Why a configuration cannot be read or a host's profile cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// A file or folder cannot be read.
    #[error("{path}: cannot be read: {why}")]
    Unreadable {
        /// The file or folder.
        path: String,
        /// What the system said.
        why: String,
    },
    /// A file is not well formed, or says something that has no meaning.
    #[error("{place}: {what}")]
    Malformed {
        /// Where.
        place: Place,
        /// What is wrong there.
        what: String,
    },
    /// A condition cannot be read or judged.
    #[error("{place}: {source}")]
    Condition {
        /// Where it is written.
        place: Place,
        /// What is wrong with it.
        source: CondError,
    },
    /// There is no such graph.
    #[error("no graph '{graph}' in {tree}")]
    NoGraph {
        /// The graph's name.
        graph: String,
        /// Where it was looked for.
        tree: String,
    },
    /// The root is in no edge that holds for this host.
    #[error("node '{root}' is in no edge of graph '{graph}'")]
    RootNotInGraph {
        /// The root's name.
        root: String,
        /// The graph's name.
        graph: String,
    },
    /// An edge leads to a node without a file.
    #[error("{place}: cannot find node '{node}': there is no {node}.xml and no replace-{node}.xml")]
    MissingNode {
        /// The edge that leads there.
        place: Place,
        /// The node's name.
        node: String,
    },
    /// The orders go round in a circle and there is no `HEAD` (or no `TAIL`) to begin at.
    #[error("graph '{graph}': the order of '{node}' goes round in a circle and there is no {missing}")]
    OrderCycle {
        /// The graph's name.
        graph: String,
        /// A node whose order leads into the circle.
        node: String,
        /// `HEAD` or `TAIL`.
        missing: &'static str,
    },
    /// A host's attribute cannot be written into a profile.
    #[error("attribute '{name}' {why}")]
    BadAttribute {
        /// The attribute.
        name: String,
        /// Why not, as the end of a sentence.
        why: String,
    },
    /// A host's attributes are too many to be written into a profile.
    #[error("{what}")]
    ManyAttributes {
        /// What there is too much of.
        what: String,
    },
    /// A value that means something to a shell would be put into a script that is to be run.
    #[error(
        "{place}: attribute '{name}' has a character that means something to a shell ({character:?}) and stands in a \
         script that is to be run"
    )]
    ShellValue {
        /// The script.
        place: Place,
        /// The attribute.
        name: String,
        /// The character.
        character: char,
    },
    /// A script could not be run or has no recorded result.
    #[error("{place}: {what}")]
    Eval {
        /// The script.
        place: Place,
        /// What is wrong.
        what: String,
    },
    /// The profile grows too large.
    #[error("{place}: the profile is larger than {limit_bytes} bytes here")]
    TooLarge {
        /// Where the limit was reached.
        place: Place,
        /// The limit.
        limit_bytes: usize,
    },
}

impl GraphError {
    /// Where it is wrong, if it has a place.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Malformed { place, .. }
            | Self::Condition { place, .. }
            | Self::MissingNode { place, .. }
            | Self::ShellValue { place, .. }
            | Self::Eval { place, .. }
            | Self::TooLarge { place, .. } => Some(place),
            _ => None,
        }
    }
}
