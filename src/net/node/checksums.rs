//! The SHA-256 of each package, as the repository's own metadata tells it: read once that metadata is in the cache.

use crate::distribution::Repository;
use crate::net::log::Log;
use crate::net::proxy::Loaded;
use crate::torrent::PieceIndex;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often it looks whether the metadata is there.
const LOOK: Duration = Duration::from_millis(200);

/// Waits for the repository's metadata and tells the door the packages' checksums.
pub(super) async fn learn(loaded: Arc<Loaded>, log: Log) {
    let Some(folder) = loaded.cache.folder().map(Path::to_owned) else { return };
    let layout = loaded.cache.metainfo().layout();
    let metadata = layout.files().iter().filter(|file| !file.is_pad && file.path.as_str().starts_with("repodata/"));
    let mut missing: Vec<PieceIndex> = metadata.flat_map(|file| layout.pieces_of(file)).collect();
    while !missing.is_empty() {
        missing.retain(|piece| !loaded.cache.has(*piece));
        tokio::time::sleep(LOOK).await;
    }
    let read = tokio::task::spawn_blocking(move || {
        let repository = Repository::open(&folder).map_err(|error| error.to_string())?;
        let packages = repository.packages.iter().map(|entry| &entry.package);
        let known = packages.filter_map(|package| Some((package.href.clone(), digest(&package.sha256)?)));
        Ok::<HashMap<_, _>, String>(known.collect())
    });
    match read.await {
        Ok(Ok(checksums)) => {
            let _ = loaded.checksums.set(checksums);
        }
        Ok(Err(reason)) => log.warning("metadata-unread", &[("reason", &reason)]),
        Err(_) => {}
    }
}

/// 64 hexadecimal digits as bytes.
fn digest(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut digest = [0; 32];
    for (n, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * n..2 * n + 2], 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_hexadecimal_digits_are_a_checksum() {
        assert_eq!(digest(&"0a".repeat(32)), Some([10; 32]));
        for text in ["", "0a", &"0g".repeat(32), &"0a".repeat(33), &"+a".repeat(32)] {
            assert_eq!(digest(text), None, "{text}");
        }
    }
}
