//! A named value, and how far it reaches.

use super::{HostName, InvalidNoun, text_noun};
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
