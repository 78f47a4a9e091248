//! A new cluster: its file, and what it holds before anybody typed anything.

use super::table::{META, database_error};
use super::{FILE_NAME, FORMAT, Store, StoreError, Writer, journal};
use crate::cluster::{Appliance, Network, NetworkName};
use redb::Database;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// The appliances whose root nodes the shipped graph has.
const APPLIANCES: [&str; 5] = ["compute", "login", "nas", "web-server", "frontend-service"];

/// Makes the store's file whole under another name and then gives it its own: nobody ever sees half a store, and of
/// several processes that create it at once one wins, the others fail with [`StoreError::Exists`].
pub(super) fn create_file(
    folder: &Path,
    fill: impl FnOnce(&mut Writer) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let io = |doing, path: &Path| {
        let path = path.to_owned();
        move |cause| StoreError::Io { doing, path, cause }
    };
    std::fs::create_dir_all(folder).map_err(io("create", folder))?;
    let path = folder.join(FILE_NAME);
    let draft = folder.join(format!("{FILE_NAME}.{}.new", std::process::id()));
    let made = fill_file(&draft, fill).and_then(|()| {
        let owner = std::fs::metadata(folder).map_err(io("read", folder))?;
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600)).map_err(io("protect", &draft))?;
        let mine = std::fs::metadata(&draft).map_err(io("read", &draft))?;
        if mine.uid() == 0 && owner.uid() != 0 {
            // The folder belongs to the user that the daemons run as: so must what root makes in it.
            std::os::unix::fs::chown(&draft, Some(owner.uid()), Some(owner.gid())).map_err(io("give away", &draft))?;
        }
        match std::fs::hard_link(&draft, &path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(StoreError::Exists { noun: "cluster database", name: path.display().to_string() })
            }
            result => result.map_err(io("create", &path)),
        }
    });
    let _ = std::fs::remove_file(&draft);
    made?;
    // The name must survive a power cut as the contents do.
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync", folder))
}

fn fill_file(path: &Path, fill: impl FnOnce(&mut Writer) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let _ = std::fs::remove_file(path);
    let database = Database::builder().create(path).map_err(|error| database_error(path, error.into()))?;
    Store::over(database, path.to_owned()).write_unjournaled(fill)
}

/// The contents of a new cluster.
pub(super) fn new_cluster(w: &mut Writer) -> Result<(), StoreError> {
    w.put(META, b"format", &FORMAT)?;
    w.add_network(&Network {
        name: NetworkName::parse("private")?,
        subnet: ipnet::Ipv4Net::new_assert([10, 1, 0, 0].into(), 16).into(),
        mtu_bytes: 1500,
        zone: Some("local".to_owned()),
    })?;
    for name in APPLIANCES {
        w.add_appliance(&Appliance {
            name: name.to_owned(),
            root: name.to_owned(),
            os: "linux".to_owned(),
            distribution: None,
        })?;
    }
    w.finish(&journal::author(), "new cluster")
}
