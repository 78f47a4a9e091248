//! What every command is given: where the cluster lives, and its store.

use crate::ui;
use rocks::net::log::Log;
use rocks::store::{FILE_NAME, Holder, Store, StoreError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What every command is given.
pub(crate) struct Context {
    cluster: PathBuf,
}

impl Context {
    /// The cluster in this folder, or in the user's default one.
    pub(crate) fn new(cluster: Option<PathBuf>) -> Self {
        Self { cluster: cluster.unwrap_or_else(default_folder) }
    }

    /// The cluster's folder.
    pub(crate) fn cluster(&self) -> &Path {
        &self.cluster
    }

    /// The store, for a command that only reads: it creates nothing. Where there is no store yet, a new cluster's
    /// contents are read, and the user is told.
    pub(crate) fn store(&self) -> anyhow::Result<Store> {
        match Store::open(&self.cluster) {
            Err(StoreError::Missing { .. }) => {
                ui::note(&format!("no cluster in '{}' yet: this is what a new one has", self.cluster.display()));
                Ok(Store::in_memory()?)
            }
            result => Ok(result?.when_waiting(tell_who_holds)),
        }
    }

    /// The store, for a command that writes: created where there is none.
    pub(crate) fn store_to_write(&self) -> anyhow::Result<Store> {
        Ok(Store::create(&self.cluster)?.when_waiting(tell_who_holds))
    }

    /// The same for a daemon of this name, whose log says who keeps it waiting.
    pub(crate) fn store_of(&self, daemon: &str, log: &Log) -> anyhow::Result<Store> {
        let (to, told) = (log.clone(), Mutex::new(None));
        // A daemon tries again and again: of one holder it is said once.
        let tell = move |holder: &Holder| {
            let before = told.lock().unwrap_or_else(PoisonError::into_inner).replace(holder.clone());
            if before.as_ref() != Some(holder) {
                to.warning("store-held", &[("holder", holder)]);
            }
        };
        let is_new = !self.cluster.join(FILE_NAME).exists();
        let store = Store::create(&self.cluster)?.authored_by(daemon).when_waiting(tell);
        if is_new {
            // Where another one was meant, nothing else would say so.
            log.info("cluster-made", &[("folder", &self.cluster.display())]);
        }
        Ok(store)
    }
}

fn tell_who_holds(holder: &Holder) {
    let comma = if holder.stopped { "," } else { "" };
    ui::note(&format!("waiting for {holder}{comma} to finish writing the cluster database"));
    if let (true, Some(pid)) = (holder.stopped, holder.pid) {
        ui::note(&format!("let it go on with: kill -CONT {pid}"));
    }
}

/// `/var/lib/rocks` for root, else `rocks` in the user's data folder (XDG base directories).
fn default_folder() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/rocks");
    }
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    data.map_or_else(|| PathBuf::from("/var/lib/rocks"), |data| data.join("rocks"))
}
