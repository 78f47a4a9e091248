//! The cluster's key files: `token`, `sign`, `authority.key` and `authority.pem` in the folder `keys`.
//!
//! Invariant: a secret file has mode 0600 from its first byte on, and is whole or absent: it is written under another
//! name, synced and linked into place, so that of two processes that make keys at once one wins and both use its key.

use super::{Authority, Identity, SigningKey, TokenKey, TrustError, from_hex, to_hex};
use rcgen::KeyPair;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The folder of the keys inside the cluster's folder.
pub const KEYS_FOLDER: &str = "keys";
/// No key file is longer.
const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;

/// All keys of a cluster.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Makes and checks install tokens.
    pub token: TokenKey,
    /// Signs what is published.
    pub signing: SigningKey,
    /// Signs the frontend's certificate.
    pub authority: Authority,
}

impl Keys {
    /// Reads the keys of a cluster from its folder, making those that are missing. `now` is since 1970.
    pub fn open_or_create(cluster: &Path, now: Duration) -> Result<Self, TrustError> {
        let folder = cluster.join(KEYS_FOLDER);
        let failed = |error| TrustError::KeyFile { path: folder.clone(), error };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let secret = |name: &str| -> Result<[u8; 32], TrustError> {
            let path = folder.join(name);
            let text = read_or_make(&path, || {
                let mut bytes = [0; 32];
                let dice = rustls::crypto::ring::default_provider().secure_random;
                dice.fill(&mut bytes).map_err(|_| std::io::Error::other("the system gives no randomness"))?;
                Ok(to_hex(&bytes) + "\n")
            })?;
            from_hex(text.trim_end()).ok_or_else(|| TrustError::BadKey(format!("'{}'", path.display())))
        };
        Ok(Self {
            token: TokenKey::from_bytes(secret("token")?),
            signing: SigningKey::from_bytes(&secret("sign")?),
            authority: authority(&folder, now)?,
        })
    }

    /// A new certificate for the frontend under these names and addresses; its secret key is nowhere but in memory.
    pub fn issue_server(&self, now: Duration, names: &[String]) -> Result<Identity, TrustError> {
        self.authority.issue_server(now, names, KeyPair::generate()?.serialize_pem())
    }
}

fn authority(folder: &Path, now: Duration) -> Result<Authority, TrustError> {
    let key_pem = read_or_make(&folder.join("authority.key"), || {
        KeyPair::generate().map(|key| key.serialize_pem()).map_err(std::io::Error::other)
    })?;
    let fresh = Authority::create(now, key_pem.clone())?;
    let certificate_pem = read_or_make(&folder.join("authority.pem"), || Ok(fresh.certificate_pem().to_owned()))?;
    Ok(Authority::from_identity(Identity { certificate_pem, key_pem }))
}

/// Reads a secret file; makes it where there is none.
fn read_or_make(path: &Path, make: impl FnOnce() -> std::io::Result<String>) -> Result<String, TrustError> {
    let failed = |error| TrustError::KeyFile { path: path.to_owned(), error };
    match std::fs::metadata(path) {
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(TrustError::KeyExposed { path: path.to_owned(), mode });
            }
            if metadata.len() > KEY_FILE_BYTES_MAX {
                return Err(TrustError::BadKey(format!("'{}'", path.display())));
            }
            std::fs::read_to_string(path).map_err(failed)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = make().map_err(failed)?;
            write_new(path, &text).map_err(failed)?;
            std::fs::read_to_string(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file that is whole or absent; one that another process has made meanwhile stays.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    static DRAFTS: AtomicU32 = AtomicU32::new(0);
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.{}", std::process::id(), DRAFTS.fetch_add(1, Ordering::Relaxed)));
    let draft = PathBuf::from(draft);
    let _ = std::fs::remove_file(&draft);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    #[test]
    fn keys_are_made_once_and_for_their_owner_only() {
        let cluster = tempfile::tempdir().expect("tempdir");
        let keys = Keys::open_or_create(cluster.path(), NOW).expect("made");
        let again = Keys::open_or_create(cluster.path(), NOW).expect("read");
        assert_eq!(keys.signing.public(), again.signing.public());
        assert_eq!(keys.authority.certificate_pem(), again.authority.certificate_pem());
        assert!(again.token.verify(NOW, "a", 1, &keys.token.issue(NOW, "a", 1)).is_ok());
        let names: Vec<_> = std::fs::read_dir(cluster.path().join(KEYS_FOLDER))
            .expect("a folder")
            .map(|entry| entry.expect("an entry"))
            .map(|entry| (entry.file_name(), entry.metadata().expect("metadata").permissions().mode() & 0o777))
            .collect();
        assert_eq!(names.len(), 4, "{names:?}");
        assert!(names.iter().all(|(_, mode)| *mode == 0o600), "{names:?}");
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let cluster = tempfile::tempdir().expect("tempdir");
        Keys::open_or_create(cluster.path(), NOW).expect("made");
        let path = cluster.path().join(KEYS_FOLDER).join("token");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        assert!(matches!(Keys::open_or_create(cluster.path(), NOW), Err(TrustError::KeyExposed { .. })));
    }

    #[test]
    fn two_who_make_keys_at_once_get_the_same_ones() {
        let cluster = tempfile::tempdir().expect("tempdir");
        let made: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| Keys::open_or_create(cluster.path(), NOW).expect("made").signing.public()))
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("joined").to_string()).collect()
        });
        assert!(made.windows(2).all(|pair| pair[0] == pair[1]), "{made:?}");
    }

    #[test]
    fn a_spoiled_key_is_an_error_that_names_the_file() {
        let cluster = tempfile::tempdir().expect("tempdir");
        Keys::open_or_create(cluster.path(), NOW).expect("made");
        let path = cluster.path().join(KEYS_FOLDER).join("sign");
        std::fs::write(&path, "nonsense").expect("written");
        let error = Keys::open_or_create(cluster.path(), NOW).expect_err("refused").to_string();
        assert!(error.contains("sign"), "{error}");
    }
}
