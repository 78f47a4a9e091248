//! Who is who, as a tracker is told of it: what has changed in the store since it was looked at last.

use crate::cluster::Service;
use crate::store::{Reader, Store, StoreError};
use crate::tracker::{TrackedHost, Tracker};
use std::collections::HashSet;

/// What was looked at last: the store's generation, and that of what is written by administrators.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    generation: u64,
    facts_generation: u64,
}

/// What has changed since the last look.
pub(super) enum News {
    /// Who is installing, at most.
    Installing(HashSet<String>),
    /// Anything.
    All(Vec<TrackedHost>),
}

impl News {
    /// Tells a tracker that was told everything before.
    pub(super) fn tell(self, tracker: &mut Tracker) {
        match self {
            Self::Installing(names) => tracker.set_installing(|name| names.contains(name)),
            Self::All(hosts) => tracker.set_hosts(hosts),
        }
    }
}

/// Looks at the store; none where it is as it was. While only installations go on, hosts are not read.
pub(super) fn look(store: &Store, known: Option<Known>) -> Result<Option<(Known, News)>, StoreError> {
    store.read(|reader| {
        let generation = reader.generation()?;
        if known.is_some_and(|known| known.generation == generation) {
            return Ok(None);
        }
        let facts_generation = reader.facts_generation()?;
        let installing = reader.installing()?;
        let is_same = known.is_some_and(|known| known.facts_generation == facts_generation);
        let news = if is_same { News::Installing(installing) } else { News::All(read_hosts(reader, &installing)?) };
        Ok(Some((Known { generation, facts_generation }, news)))
    })
}

fn read_hosts(reader: &Reader, installing: &HashSet<String>) -> Result<Vec<TrackedHost>, StoreError> {
    let (networks, seed) = (reader.networks()?, reader.endpoint(Service::Seed)?);
    let mut hosts = Vec::new();
    reader.each_host(|host| {
        let addresses: Vec<_> = host.interfaces.iter().filter_map(|interface| interface.ip).collect();
        hosts.push(TrackedHost {
            seed: addresses.first().and_then(|&ip| seed.as_ref()?.address_for(ip, &networks)),
            rack: host.rack,
            appliance: host.appliance.to_string(),
            installing: installing.contains(host.name.as_str()),
            name: host.name.to_string(),
            addresses,
        });
    })?;
    Ok(hosts)
}
