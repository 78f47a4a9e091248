//! A kind of machine: where its traversal of the graph begins and which distribution it installs.

use super::{DistributionName, InvalidNoun};
use serde::{Deserialize, Serialize};

/// A kind of machine (compute, login, nas, ...).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appliance {
    /// Its name.
    pub name: String,
    /// The node of the graph its traversal begins at.
    pub root: String,
    /// The operating system its hosts run (`linux`).
    #[serde(default = "linux")]
    pub os: String,
    /// The distribution it installs; none means the cluster's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<DistributionName>,
}

fn linux() -> String {
    "linux".to_owned()
}

impl Appliance {
    /// Fails where a text cannot be an appliance's name: it stands in host names and in node sets (`@compute`).
    pub fn check_name(text: &str) -> Result<(), InvalidNoun> {
        let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if !begins || !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) || text == "all" {
            let why = "must be letters, digits, '-' and '_', beginning with a letter or a digit, and not 'all'";
            return Err(InvalidNoun::new("appliance name", text, why));
        }
        Ok(())
    }

    /// Fails where a text cannot be the name of an operating system.
    pub fn check_os(text: &str) -> Result<(), InvalidNoun> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
            return Err(InvalidNoun::new("operating system", text, "must be letters, digits, '-', '_' and '.'"));
        }
        Ok(())
    }
}
