//! Many hosts in one transaction: all of them, or none and every wrong line by its number.

use super::{StoreError, Writer};
use crate::cluster::{Attribute, BootAction, HostList, HostName, ListedHost, Scope};
use std::collections::HashMap;

impl Writer {
    /// Adds the hosts of a list, told to do `boot` when they next start. `name` is the list's file, for errors.
    pub fn add_hosts(&mut self, list: &HostList, boot: BootAction, name: &str) -> Result<(), StoreError> {
        let mut errors = list.errors.clone();
        let mut lines: HashMap<&HostName, u64> = HashMap::new();
        for listed in &list.hosts {
            if let Err((line, error)) = self.add_listed(listed, boot) {
                if is_the_lines_fault(&error) {
                    errors.push((line, told(&error, &lines)));
                } else {
                    return Err(error);
                }
            }
            lines.insert(&listed.host.name, listed.lines[0]);
        }
        if errors.is_empty() {
            return Ok(());
        }
        errors.sort();
        Err(StoreError::Lines { name: name.to_owned(), errors })
    }

    /// Adds one host line by line, so that an error has its line.
    fn add_listed(&mut self, listed: &ListedHost, boot: BootAction) -> Result<(), (u64, StoreError)> {
        let first = listed.lines[0];
        let mut host = listed.host.clone();
        let more = host.interfaces.split_off(1);
        self.add_host(&host).map_err(|error| (first, error))?;
        for (interface, line) in more.into_iter().zip(&listed.lines[1..]) {
            host.interfaces.push(interface);
            self.set_host(&host).map_err(|error| (*line, error))?;
        }
        for (name, value) in &listed.attributes {
            let scope = Scope::Host(host.name.clone());
            let attribute = Attribute { scope, name: name.clone(), value: value.clone() };
            self.set_attribute(&attribute).map_err(|error| (first, error))?;
        }
        self.set_first_boot(&host.name, boot).map_err(|error| (first, error))?;
        Ok(())
    }
}

/// Whether another line may still be looked at: the store itself is in order.
fn is_the_lines_fault(error: &StoreError) -> bool {
    use StoreError as E;
    matches!(
        error,
        E::NotFound { .. }
            | E::Exists { .. }
            | E::Taken { .. }
            | E::OutsideNetworks { .. }
            | E::WrongNetwork { .. }
            | E::ReservedAddress { .. }
            | E::Invalid(_)
    )
}

/// The error, with the line that took the address first where that is in the same list, or what was meant.
fn told(error: &StoreError, lines: &HashMap<&HostName, u64>) -> String {
    match error {
        StoreError::Taken { owner, .. } => {
            let host = owner.split(' ').next().and_then(|name| HostName::parse(name).ok());
            match host.and_then(|host| lines.get(&host).copied()) {
                Some(line) => format!("{error} (line {line})"),
                None => error.to_string(),
            }
        }
        StoreError::NotFound { similar: Some(similar), .. } => format!("{error}, did you mean '{similar}'?"),
        _ => error.to_string(),
    }
}
