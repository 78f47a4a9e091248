//! Appliances: kinds of machines.

use super::error::counted;
use super::table::{APPLIANCES, HOSTS};
use super::{Reader, StoreError, Writer};
use crate::cluster::{Appliance, Host, Scope};

impl Reader {
    /// An appliance by its name.
    pub fn appliance(&self, name: &str) -> Result<Appliance, StoreError> {
        match self.transaction.get(APPLIANCES, name.as_bytes())? {
            Some(appliance) => Ok(appliance),
            None => {
                let there = self.appliances()?;
                Err(StoreError::not_found("appliance", name, there.iter().map(|a| a.name.as_str())))
            }
        }
    }

    /// Every appliance by name.
    pub fn appliances(&self) -> Result<Vec<Appliance>, StoreError> {
        self.transaction.scan(APPLIANCES, b"")
    }
}

impl Writer {
    /// Adds an appliance.
    pub fn add_appliance(&mut self, appliance: &Appliance) -> Result<(), StoreError> {
        Appliance::check_name(&appliance.name)?;
        if self.transaction.bytes(APPLIANCES, appliance.name.as_bytes())?.is_some() {
            return Err(StoreError::Exists { noun: "appliance", name: appliance.name.clone() });
        }
        self.set_appliance(appliance)
    }

    /// Writes an appliance over the one of its name.
    pub fn set_appliance(&mut self, appliance: &Appliance) -> Result<(), StoreError> {
        Appliance::check_name(&appliance.name)?;
        if let Some(distribution) = &appliance.distribution {
            self.distribution(distribution)?;
        }
        self.put(APPLIANCES, appliance.name.as_bytes(), appliance)
    }

    /// Removes an appliance that no host is, with its attributes.
    pub fn remove_appliance(&mut self, name: &str) -> Result<(), StoreError> {
        self.appliance(name)?;
        let hosts: Vec<Host> = self.transaction.scan(HOSTS, b"")?;
        let users: Vec<&str> = hosts.iter().filter(|h| h.appliance == name).map(|h| h.name.as_str()).collect();
        if let Some(first) = users.first() {
            let users =
                format!("{} ({first}{})", counted(users.len(), "host"), if users.len() > 1 { ", ..." } else { "" });
            return Err(StoreError::InUse { noun: "appliance", name: name.to_owned(), users });
        }
        self.remove_attributes_of(&Scope::Appliance(name.to_owned()))?;
        self.remove(APPLIANCES, name.as_bytes())?;
        Ok(())
    }
}
