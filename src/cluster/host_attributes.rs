//! What one host sees of all attributes, held so that ten thousand hosts share what they have in common.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All attributes of one host, by name. Invariant: its own values are sorted by name, each name once, and hide shared
/// ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostAttributes {
    shared: Arc<BTreeMap<String, String>>,
    own: Vec<(Cow<'static, str>, Box<str>)>,
}

impl HostAttributes {
    /// What hosts share, under what is this host's own; of a name that is twice among these, the last counts.
    pub fn new(shared: Arc<BTreeMap<String, String>>, mut own: Vec<(Cow<'static, str>, Box<str>)>) -> Self {
        own.reverse();
        own.sort_by(|(one, _), (other, _)| one.cmp(other));
        own.dedup_by(|later, earlier| later.0 == earlier.0);
        own.shrink_to_fit();
        Self { shared, own }
    }

    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        match self.own.binary_search_by(|(known, _)| known.as_ref().cmp(name)) {
            Ok(found) => Some(&self.own[found].1),
            Err(_) => self.shared.get(name).map(String::as_str),
        }
    }

    /// Every attribute, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_own = |name: &str| self.own.binary_search_by(|(known, _)| known.as_ref().cmp(name)).is_ok();
        let shared = self.shared.iter().filter(move |(name, _)| !is_own(name));
        let own = self.own.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        shared.map(|(name, value)| (name.as_str(), value.as_str())).chain(own)
    }

    /// The same as a map of its own.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        let mut map = BTreeMap::clone(&self.shared);
        map.extend(self.own.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        map
    }
}

impl From<BTreeMap<String, String>> for HostAttributes {
    fn from(map: BTreeMap<String, String>) -> Self {
        Self { shared: Arc::new(map), own: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_hosts_own_hides_what_is_shared() {
        let shared = [("a", "1"), ("b", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let own = |name: &'static str, value: &str| (Cow::Borrowed(name), value.into());
        let all = vec![own("c", "3"), own("b", "first"), own("b", "last")];
        let attributes = HostAttributes::new(Arc::new(shared.into()), all);
        assert_eq!(["a", "b", "c", "d"].map(|name| attributes.get(name)), [Some("1"), Some("last"), Some("3"), None]);
        assert_eq!(attributes.iter().count(), 3);
        let map = attributes.to_map();
        assert_eq!(map.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>(), ["a=1", "b=last", "c=3"]);
        assert_eq!(HostAttributes::from(map).get("b"), Some("last"));
    }
}
