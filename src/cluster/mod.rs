//! The nouns an administrator types. No I/O; every value is checked where it is made.

mod appliance;
mod attribute;
mod boot;
mod distribution;
mod endpoint;
mod host;
mod host_attributes;
mod host_list;
mod network;
mod node_set;
mod package;
mod quantity;
mod roll;
mod similar;

pub use appliance::Appliance;
pub use attribute::{Attribute, AttributeName, ResolvedAttribute, Scope, Source};
pub use boot::{Boot, BootAction, InstallState};
pub use distribution::{Arch, Distribution, DistributionName, Release};
pub use endpoint::{Endpoint, Service};
pub use host::{Host, HostName, Interface, MacAddress, natural_order};
pub use host_attributes::HostAttributes;
pub use host_list::{DEFAULT_INTERFACE, HOST_LIST_LINES_MAX, HostList, ListedHost, fill_from_name};
pub use network::{Network, NetworkName};
pub use node_set::{NODE_SET_BYTES_MAX, NODE_SET_DEPTH_MAX, NODE_SET_HOSTS_MAX, NodeSet, fold};
pub use package::{InstallSet, Package};
pub use quantity::{ByteSize, Rate};
pub use roll::Roll;
pub use similar::similar;

/// A value that cannot be one of the cluster's nouns: says which noun, which text and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{noun} '{text}' {why}")]
pub struct InvalidNoun {
    /// What the text was meant to be ("host name", "MAC address").
    pub noun: &'static str,
    /// The text as given.
    pub text: String,
    /// Why it cannot be one, as the end of a sentence ("has a space").
    pub why: &'static str,
}

/// What is shown of a text that is no noun.
const SHOWN_CHARS_MAX: usize = 100;

impl InvalidNoun {
    /// Says that `text` cannot be this noun, and why.
    pub fn new(noun: &'static str, text: &str, why: &'static str) -> Self {
        // An error is one line, whatever was typed or read: a forgotten quote swallows half a file.
        let mut shown: String =
            text.chars().take(SHOWN_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if shown.len() < text.len() {
            shown.push_str("...");
        }
        Self { noun, text: shown, why }
    }
}

/// Implements what every parsed string noun shares: display, parse, serde through its text.
macro_rules! text_noun {
    ($name:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::cluster::InvalidNoun;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = $crate::cluster::InvalidNoun;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(noun: $name) -> String {
                noun.0
            }
        }
    };
}
pub(crate) use text_noun;
