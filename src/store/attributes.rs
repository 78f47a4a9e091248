//! Attributes: values in scopes, and what one host sees of them.
//!
//! What a host sees, the later hiding the earlier: what the cluster knows of the host anyway, global, operating
//! system, appliance, host.

use super::table::{ATTRIBUTES, SEPARATOR};
use super::{Reader, StoreError, Writer};
use crate::cluster::{Appliance, Attribute, AttributeName, Host, ResolvedAttribute, Scope, Source};
use std::collections::BTreeMap;

impl Reader {
    /// An attribute of a scope.
    pub fn attribute(&self, scope: &Scope, name: &AttributeName) -> Result<Option<Attribute>, StoreError> {
        self.transaction.get(ATTRIBUTES, &key(scope, name.as_str()))
    }

    /// The attributes of one scope by name.
    pub fn attributes_of(&self, scope: &Scope) -> Result<Vec<Attribute>, StoreError> {
        self.transaction.scan(ATTRIBUTES, &key(scope, ""))
    }

    /// Every attribute of every scope: global ones first, then operating systems, appliances, hosts.
    pub fn attributes(&self) -> Result<Vec<Attribute>, StoreError> {
        self.transaction.scan(ATTRIBUTES, b"")
    }

    /// Every attribute as one host sees it, by name, with where it comes from and what it hides.
    pub fn resolve(&self, host: &Host) -> Result<Vec<ResolvedAttribute>, StoreError> {
        let appliance = self.appliance(&host.appliance)?;
        let mut resolved = BTreeMap::new();
        for (name, value) in self.intrinsic(host, &appliance)? {
            let name = AttributeName::parse(name).expect("intrinsic names are written here");
            hide(&mut resolved, name, value, Source::Host);
        }
        self.resolve_scopes(resolved, Scope::chain(&appliance, Some(&host.name)))
    }

    /// Every attribute as it is seen in a scope other than a host's, by name.
    pub fn resolve_scope(&self, scope: &Scope) -> Result<Vec<ResolvedAttribute>, StoreError> {
        let chain = match scope {
            Scope::Global => vec![Scope::Global],
            Scope::Os(_) => vec![Scope::Global, scope.clone()],
            Scope::Appliance(name) => Scope::chain(&self.appliance(name)?, None),
            Scope::Host(name) => return self.resolve(&self.host(name)?),
        };
        self.resolve_scopes(BTreeMap::new(), chain)
    }

    fn resolve_scopes(
        &self,
        mut resolved: BTreeMap<AttributeName, ResolvedAttribute>,
        chain: Vec<Scope>,
    ) -> Result<Vec<ResolvedAttribute>, StoreError> {
        for scope in chain {
            for Attribute { name, value, .. } in self.attributes_of(&scope)? {
                hide(&mut resolved, name, value, Source::Scope(scope.clone()));
            }
        }
        Ok(resolved.into_values().collect())
    }

    /// The values that one host's profile is compiled with.
    pub fn attributes_for(&self, host: &Host) -> Result<BTreeMap<String, String>, StoreError> {
        Ok(self.resolve(host)?.into_iter().map(|a| (a.name.into(), a.value)).collect())
    }

    /// What the cluster knows of a host anyway. The address and the MAC address are those it installs over.
    fn intrinsic(&self, host: &Host, appliance: &Appliance) -> Result<Vec<(&'static str, String)>, StoreError> {
        let mut values = vec![
            ("hostname", host.name.to_string()),
            ("appliance", host.appliance.clone()),
            ("membership", host.appliance.clone()),
            ("root", appliance.root.clone()),
            ("graph", "default".to_owned()),
            ("os", appliance.os.clone()),
            ("rack", host.rack.unwrap_or(0).to_string()),
            ("rank", host.rank.unwrap_or(0).to_string()),
        ];
        let distribution = self.distribution_of(appliance)?;
        values.push(("arch", distribution.as_ref().map_or("x86_64", |d| d.arch.as_str()).to_owned()));
        if let Some(distribution) = distribution {
            values.push(("distribution", distribution.name.to_string()));
            values.push(("kickstart_release", distribution.release.to_string()));
        }
        let Some(interface) = host.install_interface() else { return Ok(values) };
        values.push(("hostdevice", interface.name.clone()));
        if let Some(ip) = interface.ip {
            values.push(("hostaddr", ip.to_string()));
            if let Some(network) = self.network_of(ip)? {
                values.push(("netmask", network.subnet.netmask().to_string()));
                values.push(("netprefix", network.subnet.prefix_len().to_string()));
                values.push(("network", network.name.to_string()));
                values.push(("domainname", network.zone.unwrap_or_default()));
            }
        }
        if let Some(mac) = interface.mac {
            values.push(("ksmac", mac.to_string()));
        }
        Ok(values)
    }
}

impl Writer {
    /// Writes an attribute over the one of its scope and name. The scope's host or appliance must exist.
    pub fn set_attribute(&mut self, attribute: &Attribute) -> Result<(), StoreError> {
        match &attribute.scope {
            Scope::Global => {}
            Scope::Os(os) => Appliance::check_os(os)?,
            Scope::Appliance(name) => drop(self.appliance(name)?),
            Scope::Host(name) => drop(self.host(name)?),
        }
        self.put(ATTRIBUTES, &key(&attribute.scope, attribute.name.as_str()), attribute)
    }

    /// Removes an attribute of a scope; true where there was one.
    pub fn remove_attribute(&mut self, scope: &Scope, name: &AttributeName) -> Result<bool, StoreError> {
        self.remove(ATTRIBUTES, &key(scope, name.as_str()))
    }

    pub(super) fn remove_attributes_of(&mut self, scope: &Scope) -> Result<(), StoreError> {
        for key in self.transaction.keys(ATTRIBUTES, &key(scope, ""))? {
            self.remove(ATTRIBUTES, &key)?;
        }
        Ok(())
    }
}

/// Puts a value over what is there.
fn hide(resolved: &mut BTreeMap<AttributeName, ResolvedAttribute>, name: AttributeName, value: String, source: Source) {
    let hidden = resolved.remove(&name).map_or_else(Vec::new, |old| {
        let mut hidden = old.hidden;
        hidden.insert(0, (old.source, old.value));
        hidden
    });
    resolved.insert(name.clone(), ResolvedAttribute { name, value, source, hidden });
}

/// Scopes sort from the widest to the narrowest.
fn key(scope: &Scope, name: &str) -> Vec<u8> {
    let (rank, of) = match scope {
        Scope::Global => (b'1', ""),
        Scope::Os(os) => (b'2', os.as_str()),
        Scope::Appliance(appliance) => (b'3', appliance.as_str()),
        Scope::Host(host) => (b'4', host.as_str()),
    };
    [&[rank], of.as_bytes(), &[SEPARATOR], name.as_bytes()].concat()
}
