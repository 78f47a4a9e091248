//! Distributions: their records, and bytes that belong to each of them (metainfo, package records, indexed repodata).

use super::table::{APPLIANCES, BLOBS, DISTRIBUTIONS, META, SEPARATOR};
use super::{Reader, StoreError, Writer};
use crate::cluster::{Appliance, Distribution, DistributionName};

/// The blob that holds a distribution's metainfo.
pub const METAINFO: &str = "metainfo";

impl Reader {
    /// A distribution by its name.
    pub fn distribution(&self, name: &DistributionName) -> Result<Distribution, StoreError> {
        match self.transaction.get(DISTRIBUTIONS, name.as_str().as_bytes())? {
            Some(distribution) => Ok(distribution),
            None => {
                let there = self.distributions()?;
                Err(StoreError::not_found("distribution", name.as_str(), there.iter().map(|d| d.name.as_str())))
            }
        }
    }

    /// Every distribution by name.
    pub fn distributions(&self) -> Result<Vec<Distribution>, StoreError> {
        self.transaction.scan(DISTRIBUTIONS, b"")
    }

    /// The distribution of every appliance that names none: the first that was added.
    pub fn default_distribution(&self) -> Result<Option<Distribution>, StoreError> {
        match self.transaction.get::<DistributionName>(META, b"default-distribution")? {
            Some(name) => self.distribution(&name).map(Some),
            None => Ok(None),
        }
    }

    /// The distribution that an appliance installs; none where the cluster has none.
    pub fn distribution_of(&self, appliance: &Appliance) -> Result<Option<Distribution>, StoreError> {
        match &appliance.distribution {
            Some(name) => self.distribution(name).map(Some),
            None => self.default_distribution(),
        }
    }

    /// Bytes that belong to a distribution.
    pub fn blob(&self, distribution: &DistributionName, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.transaction.bytes(BLOBS, &blob_key(distribution, name))
    }

    /// The names of a distribution's blobs.
    pub fn blobs(&self, distribution: &DistributionName) -> Result<Vec<String>, StoreError> {
        let prefix = blob_key(distribution, "");
        let keys = self.transaction.keys(BLOBS, &prefix)?;
        Ok(keys.iter().map(|key| String::from_utf8_lossy(&key[prefix.len()..]).into_owned()).collect())
    }

    /// The metainfo of a distribution's snapshot.
    pub fn metainfo(&self, distribution: &DistributionName) -> Result<Option<Vec<u8>>, StoreError> {
        self.blob(distribution, METAINFO)
    }
}

impl Writer {
    /// Writes a distribution over the one of its name. The first becomes the default.
    pub fn put_distribution(&mut self, distribution: &Distribution) -> Result<(), StoreError> {
        self.put(DISTRIBUTIONS, distribution.name.as_str().as_bytes(), distribution)?;
        if self.default_distribution()?.is_none() {
            self.set_default_distribution(&distribution.name)?;
        }
        Ok(())
    }

    /// Makes a distribution the default.
    pub fn set_default_distribution(&mut self, name: &DistributionName) -> Result<(), StoreError> {
        self.distribution(name)?;
        self.put(META, b"default-distribution", name)
    }

    /// Removes a distribution that no appliance names, with its blobs. Where it was the default, the next by name is.
    pub fn remove_distribution(&mut self, name: &DistributionName) -> Result<(), StoreError> {
        self.distribution(name)?;
        let appliances: Vec<Appliance> = self.transaction.scan(APPLIANCES, b"")?;
        if let Some(user) = appliances.iter().find(|a| a.distribution.as_ref() == Some(name)) {
            let users = format!("appliance '{}'", user.name);
            return Err(StoreError::InUse { noun: "distribution", name: name.to_string(), users });
        }
        for blob in self.blobs(name)? {
            self.remove_blob(name, &blob)?;
        }
        let was_default = self.default_distribution()?.is_some_and(|d| d.name == *name);
        self.remove(DISTRIBUTIONS, name.as_str().as_bytes())?;
        if was_default {
            match self.distributions()?.first() {
                Some(next) => self.put(META, b"default-distribution", &next.name)?,
                None => drop(self.remove(META, b"default-distribution")?),
            }
        }
        Ok(())
    }

    /// Writes bytes that belong to a distribution.
    pub fn put_blob(&mut self, distribution: &DistributionName, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.put_bytes(BLOBS, &blob_key(distribution, name), bytes)
    }

    /// Removes bytes that belong to a distribution; true where there were any.
    pub fn remove_blob(&mut self, distribution: &DistributionName, name: &str) -> Result<bool, StoreError> {
        self.remove(BLOBS, &blob_key(distribution, name))
    }

    /// Writes the metainfo of a distribution's snapshot.
    pub fn put_metainfo(&mut self, distribution: &DistributionName, bytes: &[u8]) -> Result<(), StoreError> {
        self.put_blob(distribution, METAINFO, bytes)
    }
}

fn blob_key(distribution: &DistributionName, name: &str) -> Vec<u8> {
    [distribution.as_str().as_bytes(), &[SEPARATOR], name.as_bytes()].concat()
}
