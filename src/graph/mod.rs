//! Stage 1: graph files, node files and attributes become a profile.
//!
//! [`Tree`] knows the files: the site's over ours. [`Configuration`] keeps them parsed, each at most once: graph files
//! become a [`Network`] of edges with its order of nodes, node files become templates. [`Configuration::compile`]
//! walks the network with a host's attributes and follows the templates of the nodes it reaches; a host costs
//! substitution, not parsing. Scripts ([`Evals`]) run only where they are trusted.
//!
//! Beside it stand what people ask of a configuration: `lint`, `explain` and a picture.

mod builder;
mod built_in;
mod circle;
mod compile;
mod configuration;
mod edges;
mod error;
mod eval;
mod explain;
mod lint;
mod locate;
mod network;
mod order;
mod picture;
mod shell;
mod source_line;
mod template;
mod tree;

pub use builder::PROFILE_BYTES_MAX;
pub use compile::{CompileRequest, Compiled, Visited, WARNINGS_MAX};
pub use configuration::Configuration;
pub use edges::{Edge, GraphFile, NAME_BYTES_MAX, Order, ReadCondition};
pub use error::{GraphError, Place};
pub use eval::{
    EVAL_BYTES_MAX, EVAL_LINGER_SECS_MAX, EVAL_SECS_MAX, Environment, EvalRunner, Evals, Outcome, RESULTS_MAX,
    Recorded, Script,
};
pub use explain::{JudgedCondition, Link, NodeReason, find_elements, node_of_file};
pub use lint::{FINDINGS_PER_FILE_MAX, LintRequest};
pub use network::{Network, Reached, Walk};
pub use order::{Circle, Ordered};
pub use picture::{Picture, PictureEdge, PictureNode};
pub use tree::{FILE_BYTES_MAX, FILES_PER_FOLDER_MAX, Source, Tree};

#[cfg(test)]
mod tests;
