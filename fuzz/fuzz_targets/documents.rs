//! The JSON that a machine and its frontend say to each other: manifest, progress report and its answer, referral.
#![no_main]

use rocks::cluster::Release;
use rocks::net::report::{Report, ReportAnswer};
use rocks::profile::Manifest;
use rocks::trust::PublicKey;
use serde::{Serialize, de::DeserializeOwned};

/// Reads a document; what is written of it reads the same.
fn read<D: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(data: &[u8]) -> Option<D> {
    let document: D = serde_json::from_slice(data).ok()?;
    let again = serde_json::to_vec(&document).expect("plain values");
    assert_eq!(serde_json::from_slice::<D>(&again).expect("our own JSON"), document);
    Some(document)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    _ = (read::<Report>(data), read::<ReportAnswer>(data));
    if let Some(manifest) = read::<Manifest>(data) {
        _ = Release::parse(&manifest.release);
        if let Some(key) = manifest.key.and_then(|key| PublicKey::parse(&key).ok()) {
            assert_eq!(PublicKey::parse(&key.to_string()).ok(), Some(key));
        }
    }
    rocks::net::exercise::referral(data);
});
