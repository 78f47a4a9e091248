//! The whole store as one readable JSON document, and back.
//!
//! A document imported where there was no store gives exactly the store it was exported from, journal and generation
//! included. Over a store that is there, the contents are replaced, the journal goes on and the generation rises, so
//! that nothing that was derived from older contents is taken for new.

use super::table::{
    APPLIANCES, ATTRIBUTES, BLOBS, BOOTS, DISTRIBUTIONS, ENDPOINTS, HOSTS, HOSTS_BY_IP, HOSTS_BY_MAC, JOURNAL, META,
    NETWORKS, ROLLS,
};
use super::{FORMAT, JournalEntry, Reader, Store, StoreError, Writer, fresh};
use crate::cluster::{
    Appliance, Attribute, Boot, Distribution, DistributionName, Endpoint, Host, HostName, Network, Roll,
};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The whole store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// The format of the store it came from.
    format: u64,
    #[serde(default)]
    generation: u64,
    #[serde(default)]
    facts_generation: u64,
    #[serde(default)]
    networks: Vec<Network>,
    #[serde(default)]
    appliances: Vec<Appliance>,
    #[serde(default)]
    hosts: Vec<Host>,
    #[serde(default)]
    boots: BTreeMap<HostName, Boot>,
    /// The highest install id of hosts that are no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    installs_removed: Option<u64>,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    default_distribution: Option<DistributionName>,
    #[serde(default)]
    distributions: Vec<ExportedDistribution>,
    #[serde(default)]
    rolls: Vec<Roll>,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
    #[serde(default)]
    journal: Vec<JournalEntry>,
}

/// A distribution with its blobs by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ExportedDistribution {
    #[serde(flatten)]
    distribution: Distribution,
    #[serde(default)]
    blobs: BTreeMap<String, Blob>,
}

/// Bytes in the most readable form that gives them back exactly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Blob {
    Json(serde_json::Value),
    Text(String),
    Base64(String),
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        let comes_back = |value: &serde_json::Value| serde_json::to_vec(value).is_ok_and(|again| again == bytes);
        match serde_json::from_slice::<serde_json::Value>(&bytes) {
            Ok(value) if (value.is_object() || value.is_array()) && comes_back(&value) => return Self::Json(value),
            _ => {}
        }
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Base64(BASE64_STANDARD.encode(error.as_bytes())),
        }
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Json(value) => serde_json::to_vec(value).map_err(|error| error.to_string()),
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64(text) => BASE64_STANDARD.decode(text).map_err(|error| error.to_string()),
        }
    }
}

impl Export {
    /// Reads a document.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        /// All that a newer document is asked.
        #[derive(Deserialize)]
        struct Head {
            format: u64,
        }
        let import = |why: String| StoreError::Import { why };
        let head: Head = serde_json::from_str(text).map_err(|error| import(format!("is no export: {error}")))?;
        if head.format > FORMAT {
            return Err(StoreError::NewerDocument { found: head.format, known: FORMAT });
        }
        serde_json::from_str(text).map_err(|error| import(format!("is no export: {error}")))
    }

    /// How many hosts it has.
    pub fn host_count(&self) -> usize {
        self.hosts.len()
    }
}

impl Reader {
    /// The whole store.
    pub fn export(&self) -> Result<Export, StoreError> {
        let mut distributions = Vec::new();
        for distribution in self.distributions()? {
            let mut blobs = BTreeMap::new();
            for name in self.blobs(&distribution.name)? {
                let bytes = self.blob(&distribution.name, &name)?.unwrap_or_default();
                blobs.insert(name, Blob::new(bytes));
            }
            distributions.push(ExportedDistribution { distribution, blobs });
        }
        Ok(Export {
            format: FORMAT,
            generation: self.generation()?,
            facts_generation: self.facts_generation()?,
            networks: self.networks()?,
            appliances: self.appliances()?,
            hosts: self.hosts()?,
            boots: self.boots()?,
            installs_removed: Some(self.installs_removed()?).filter(|id| *id > 0),
            attributes: self.attributes()?,
            default_distribution: self.default_distribution()?.map(|distribution| distribution.name),
            distributions,
            rolls: self.rolls()?,
            endpoints: self.endpoints()?,
            journal: self.journal(usize::MAX)?,
        })
    }
}

impl Store {
    /// Makes the store of the cluster in `folder` from a document; fails where there is one.
    pub fn restore(folder: &Path, export: &Export) -> Result<(), StoreError> {
        fresh::create_file(folder, |w| {
            w.put(META, b"format", &FORMAT)?;
            w.put_contents(export)?;
            for entry in &export.journal {
                w.put_journal_entry(entry)?;
            }
            w.put(META, b"facts-generation", &export.facts_generation)?;
            w.put(META, b"generation", &export.generation)
        })
    }

    /// Replaces the contents of the store by those of a document.
    pub fn replace(&self, sentence: &str, export: &Export) -> Result<(), StoreError> {
        self.write(sentence, |w| {
            let generation = w.generation()?.max(export.generation);
            let tables = [
                HOSTS,
                HOSTS_BY_MAC,
                HOSTS_BY_IP,
                APPLIANCES,
                NETWORKS,
                ATTRIBUTES,
                BOOTS,
                DISTRIBUTIONS,
                BLOBS,
                ROLLS,
                ENDPOINTS,
                JOURNAL,
            ];
            for table in tables {
                for key in w.transaction.keys(table, b"")? {
                    w.remove(table, &key)?;
                }
            }
            w.remove(META, b"default-distribution")?;
            w.put_contents(export)?;
            for entry in &export.journal {
                w.put_journal_entry(entry)?;
            }
            w.put(META, b"generation", &generation)
        })
    }
}

impl Writer {
    fn put_contents(&mut self, export: &Export) -> Result<(), StoreError> {
        for network in &export.networks {
            self.add_network(network)?;
        }
        for ExportedDistribution { distribution, blobs } in &export.distributions {
            self.put_distribution(distribution)?;
            for (name, blob) in blobs {
                let bytes = blob.bytes().map_err(|why| StoreError::Import {
                    why: format!("blob '{name}' of distribution '{}' cannot be read: {why}", distribution.name),
                })?;
                self.put_blob(&distribution.name, name, &bytes)?;
            }
        }
        if let Some(name) = &export.default_distribution {
            self.set_default_distribution(name)?;
        }
        for appliance in &export.appliances {
            self.add_appliance(appliance)?;
        }
        for host in &export.hosts {
            self.add_host(host)?;
        }
        for (host, boot) in &export.boots {
            self.host(host)?;
            self.put_boot(host, boot)?;
        }
        self.raise_installs_removed(export.installs_removed.unwrap_or(0))?;
        for attribute in &export.attributes {
            self.set_attribute(attribute)?;
        }
        for roll in &export.rolls {
            self.set_roll(roll)?;
        }
        for endpoint in &export.endpoints {
            self.set_endpoint(endpoint)?;
        }
        Ok(())
    }
}
