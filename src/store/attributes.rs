//! Attributes: values in scopes, and what one host sees of them.
//!
//! What a host sees, the later hiding the earlier: what a Rocks frontend tells of itself, what the cluster knows of the
//! host anyway, global, operating system, appliance, host.

use super::table::{ATTRIBUTES, SEPARATOR};
use super::{Reader, StoreError, Writer};
use crate::cluster::{
    Appliance, Attribute, AttributeName, Host, HostAttributes, Network, ResolvedAttribute, Scope, Source,
};
use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

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
        let of_rocks = rocks_values().map(|value| (value, Source::Rocks)).into_iter();
        let of_host = self.kind_values(&appliance)?.into_iter().chain(host_values(host, &self.networks()?));
        for ((name, value), source) in of_rocks.chain(of_host.map(|value| (value, Source::Host))) {
            let name = AttributeName::parse(name).expect("intrinsic names are written here");
            hide(&mut resolved, name, value, source);
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
        let each = self.attributes_for_each(std::slice::from_ref(host))?;
        Ok(each.first().map(HostAttributes::to_map).unwrap_or_default())
    }

    /// The same for many hosts, in their order. What they share is read once and kept once.
    pub fn attributes_for_each(&self, hosts: &[Host]) -> Result<Vec<HostAttributes>, StoreError> {
        let networks = self.networks()?;
        let mut kinds: HashMap<&str, Kind> = HashMap::new();
        let mut each = Vec::with_capacity(hosts.len());
        for host in hosts {
            let kind = match kinds.entry(&host.appliance) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(self.kind(&host.appliance)?),
            };
            let known = host_values(host, &networks).into_iter();
            let mut own: Vec<(Cow<'static, str>, Box<str>)> = known
                .filter(|(name, _)| !kind.set.contains(*name))
                .map(|(name, value)| (name.into(), value.into()))
                .collect();
            let set = self.attributes_of(&Scope::Host(host.name.clone()))?.into_iter();
            own.extend(set.map(|a| (Cow::Owned(a.name.into()), a.value.into())));
            each.push(HostAttributes::new(kind.shared.clone(), own));
        }
        Ok(each)
    }

    fn kind(&self, appliance: &str) -> Result<Kind, StoreError> {
        let appliance = self.appliance(appliance)?;
        let known = rocks_values().into_iter().chain(self.kind_values(&appliance)?);
        let mut shared: BTreeMap<String, String> = known.map(|(name, value)| (name.to_owned(), value)).collect();
        let mut set = HashSet::new();
        for scope in Scope::chain(&appliance, None) {
            for Attribute { name, value, .. } in self.attributes_of(&scope)? {
                let name = String::from(name);
                set.insert(name.clone());
                shared.insert(name, value);
            }
        }
        Ok(Kind { shared: Arc::new(shared), set })
    }

    /// What the cluster knows of every host of an appliance.
    fn kind_values(&self, appliance: &Appliance) -> Result<Vec<(&'static str, String)>, StoreError> {
        let mut values = vec![
            ("appliance", appliance.name.clone()),
            ("membership", appliance.name.clone()),
            ("root", appliance.root.clone()),
            ("graph", "default".to_owned()),
            ("os", appliance.os.clone()),
        ];
        let distribution = self.distribution_of(appliance)?;
        values.push(("arch", distribution.as_ref().map_or("x86_64", |d| d.arch.as_str()).to_owned()));
        if let Some(distribution) = distribution {
            values.push(("distribution", distribution.name.to_string()));
            values.push(("kickstart_release", distribution.release.to_string()));
        }
        Ok(values)
    }
}

/// An appliance, with what its hosts share.
struct Kind {
    shared: Arc<BTreeMap<String, String>>,
    /// The names that somebody has set: these hide what the cluster knows of a host anyway.
    set: HashSet<String>,
}

/// What a Rocks 7 frontend tells every host of itself: the conditions of rolls ask for it.
fn rocks_values() -> [(&'static str, String); 5] {
    [
        ("rocks_version", "7.0"),
        ("rocks_version_major", "7"),
        ("rocks_release", "Manzanita"),
        ("version", "7.0"),
        ("release", "Manzanita"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
}

/// What the cluster knows of one host. The address and the MAC address are those it installs over.
fn host_values(host: &Host, networks: &[Network]) -> Vec<(&'static str, String)> {
    let mut values = vec![
        ("hostname", host.name.to_string()),
        ("rack", host.rack.unwrap_or(0).to_string()),
        ("rank", host.rank.unwrap_or(0).to_string()),
    ];
    let Some(interface) = host.install_interface() else { return values };
    values.push(("hostdevice", interface.name.clone()));
    if let Some(ip) = interface.ip {
        values.push(("hostaddr", ip.to_string()));
        if let Some(network) = networks.iter().find(|network| network.subnet.contains(&ip)) {
            values.push(("netmask", network.subnet.netmask().to_string()));
            values.push(("netprefix", network.subnet.prefix_len().to_string()));
            values.push(("network", network.name.to_string()));
            values.push(("domainname", network.zone.clone().unwrap_or_default()));
        }
    }
    if let Some(mac) = interface.mac {
        values.push(("ksmac", mac.to_string()));
    }
    values
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
