//! The second document of an installation: everything a machine needs beside its profile.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the frontend tells an installing machine beside the profile, as JSON. Plain values only: this room knows no
/// other noun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The host's name.
    pub host: String,
    /// The release its Kickstart is for (`rhel9`).
    pub release: String,
    /// The rack it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<u32>,
    /// The distribution it installs; none where the cluster has none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<ManifestDistribution>,
    /// Templates the site overrides, by file name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<String, String>,
    /// Renewed while progress is reported; sent back as `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The key that has signed the distribution, 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The subnets that other machines are in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
}

/// The distribution of an installation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestDistribution {
    /// Its name.
    pub name: String,
    /// The info-hash of its snapshot, 40 hexadecimal digits.
    pub info_hash: String,
    /// Where its metainfo is, relative to the frontend's URL.
    pub metainfo_path: String,
    /// Where its files are, relative to the frontend's URL.
    pub tree_path: String,
    /// The files of the host's install set, relative to the tree.
    pub install_set: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn manifests() -> impl Strategy<Value = Manifest> {
        let words = || prop::option::of(".{0,20}");
        let files = prop::collection::vec(".{0,20}", 0..5);
        let distribution = (".{0,9}", ".{0,9}", ".{0,9}", ".{0,9}", files.clone()).prop_map(
            |(name, info_hash, metainfo_path, tree_path, install_set)| ManifestDistribution {
                name,
                info_hash,
                metainfo_path,
                tree_path,
                install_set,
            },
        );
        let templates = prop::collection::btree_map(".{0,9}", ".{0,40}", 0..3);
        let parts = (".{0,20}", ".{0,9}", any::<Option<u32>>(), prop::option::of(distribution), templates);
        (parts, words(), words(), files).prop_map(
            |((host, release, rack, distribution, templates), token, key, networks)| Manifest {
                host,
                release,
                rack,
                distribution,
                templates,
                token,
                key,
                networks,
            },
        )
    }

    #[test]
    fn what_a_later_frontend_adds_is_passed_over_and_deep_documents_are_refused() {
        let read =
            |added: &str| serde_json::from_str::<Manifest>(&format!(r#"{{"host":"c","release":"r","x":{added}}}"#));
        let expected = Manifest { host: "c".into(), release: "r".into(), ..Manifest::default() };
        assert_eq!(read(r#"[{"y":1}]"#).ok(), Some(expected));
        for depth in [1_000, 1_000_000] {
            assert!(read(&"[".repeat(depth)).is_err() && read(&"{\"x\":".repeat(depth)).is_err());
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(manifest in manifests()) {
            let text = serde_json::to_string(&manifest).expect("plain values");
            prop_assert_eq!(serde_json::from_str::<Manifest>(&text).expect("our own JSON"), manifest);
        }

        #[test]
        fn spoilt_documents_are_refused_or_hold_together(
            manifest in manifests(),
            (at, with) in (any::<prop::sample::Index>(), any::<u8>()),
            any in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut bytes = serde_json::to_vec(&manifest).expect("plain values");
            let at = at.index(bytes.len());
            bytes[at] = with;
            for bytes in [&bytes[..], &bytes[..at], &any] {
                if let Ok(read) = serde_json::from_slice::<Manifest>(bytes) {
                    // What is kept of it is no more than what came.
                    let texts = read.networks.len() + read.templates.len();
                    let files = read.distribution.as_ref().map_or(0, |distribution| distribution.install_set.len());
                    prop_assert!(2 * (texts + files) <= bytes.len());
                    let again = serde_json::to_vec(&read).expect("plain values");
                    prop_assert_eq!(serde_json::from_slice::<Manifest>(&again).expect("our own JSON"), read);
                }
            }
        }
    }
}
