//! A named value, and how far it reaches.

use super::{Appliance, HostName, InvalidNoun, text_noun};
use serde::{Deserialize, Serialize};

/// The name of an attribute: an XML name without a colon, since it becomes an entity `&name;`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AttributeName(String);

impl AttributeName {
    /// Checks a text and makes it an attribute's name.
    pub fn parse(text: &str) -> Result<Self, InvalidNoun> {
        let mut characters = text.chars();
        match characters.next() {
            None => return Err(InvalidNoun::new("attribute name", text, "is empty")),
            Some(c) if !(c.is_ascii_alphabetic() || c == '_') => {
                return Err(InvalidNoun::new("attribute name", text, "must begin with a letter or an underscore"));
            }
            Some(_) => {}
        }
        if !characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
            return Err(InvalidNoun::new("attribute name", text, "may only have letters, digits, '_', '-' and '.'"));
        }
        Ok(Self(text.to_owned()))
    }
}
text_noun!(AttributeName);

/// How far an attribute reaches; a later one in this order hides an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "name")]
pub enum Scope {
    /// Every host.
    Global,
    /// Hosts of one operating system.
    Os(String),
    /// Hosts of one appliance.
    Appliance(String),
    /// One host.
    Host(HostName),
}

impl Scope {
    /// The scopes that reach a host of an appliance, the widest first.
    pub fn chain(appliance: &Appliance, host: Option<&HostName>) -> Vec<Self> {
        let mut chain = vec![Self::Global, Self::Os(appliance.os.clone()), Self::Appliance(appliance.name.clone())];
        chain.extend(host.cloned().map(Self::Host));
        chain
    }
}

/// A named value in a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// How far it reaches.
    pub scope: Scope,
    /// Its name.
    pub name: AttributeName,
    /// Its value: any Unicode text.
    pub value: String,
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Global => f.pad("global"),
            Self::Os(name) => f.pad(&format!("os {name}")),
            Self::Appliance(name) => f.pad(&format!("appliance {name}")),
            Self::Host(name) => f.pad(&format!("host {name}")),
        }
    }
}

/// Where a value that a host sees comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// What a Rocks frontend tells every host of itself: its version and release.
    Rocks,
    /// What the cluster knows of the host anyway: its name, rack, addresses, appliance.
    Host,
    /// An attribute that was set, in this scope.
    Scope(Scope),
}

/// An attribute as one host sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedAttribute {
    /// Its name.
    pub name: AttributeName,
    /// The value that counts.
    pub value: String,
    /// Where that value comes from.
    pub source: Source,
    /// Values that it hides, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<(Source, String)>,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rocks => f.pad("rocks itself"),
            Self::Host => f.pad("the host itself"),
            Self::Scope(scope) => scope.fmt(f),
        }
    }
}
