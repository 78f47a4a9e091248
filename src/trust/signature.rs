//! Signatures on what is published: a machine installs only from a snapshot that its own frontend has signed.
//!
//! What is signed (Ed25519) is not the file but the claim "this info-hash is publication `serial` of distribution
//! `name`": tracker addresses may change without a new signature, and an older publication cannot pass for a newer.

use super::{TrustError, from_hex, to_hex};
use ed25519_dalek::Signer as _;

/// The length of a signature.
pub const SIGNATURE_BYTES: usize = 64;
/// Says what the signature is about, so that no other use of the key can make one.
const PURPOSE: &[u8] = b"rocks snapshot 1\0";

/// What a signature vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotClaim<'a> {
    /// The name of the distribution.
    pub distribution: &'a str,
    /// Counts its publications.
    pub serial: u64,
    /// The info-hash of the snapshot.
    pub info_hash: [u8; 20],
}

impl SnapshotClaim<'_> {
    fn message(&self) -> Vec<u8> {
        [PURPOSE, &self.info_hash, &self.serial.to_be_bytes(), self.distribution.as_bytes()].concat()
    }
}

/// The cluster's secret half.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A key from its 32 secret bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(bytes))
    }

    /// What machines are told to believe.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Vouches for a snapshot.
    pub fn sign(&self, claim: &SnapshotClaim<'_>) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(&claim.message()).to_bytes()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey(secret, public {})", self.public())
    }
}

/// The cluster's public half, shown as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        from_hex(text)
            .and_then(|bytes| ed25519_dalek::VerifyingKey::from_bytes(&bytes).ok())
            .filter(|key| !key.is_weak())
            .map(Self)
            .ok_or_else(|| TrustError::BadKey(format!("'{text}'")))
    }

    /// Whether the cluster vouches for a snapshot.
    pub fn verify(&self, claim: &SnapshotClaim<'_>, signature: &[u8]) -> Result<(), TrustError> {
        let wrong = || TrustError::Signature { distribution: claim.distribution.to_owned(), serial: claim.serial };
        let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| wrong())?;
        self.0.verify_strict(&claim.message(), &signature).map_err(|_| wrong())
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&to_hex(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_signature_vouches_for_exactly_one_claim() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let public = PublicKey::parse(&key.public().to_string()).expect("its own text");
        assert_eq!(public, key.public());
        let claim = SnapshotClaim { distribution: "el9", serial: 2, info_hash: [9; 20] };
        let signature = key.sign(&claim);
        public.verify(&claim, &signature).expect("believed");
        for other in [
            SnapshotClaim { distribution: "el8", ..claim },
            SnapshotClaim { serial: 1, ..claim },
            SnapshotClaim { info_hash: [8; 20], ..claim },
        ] {
            assert!(public.verify(&other, &signature).is_err(), "{other:?}");
        }
        assert!(public.verify(&claim, &signature[1..]).is_err());
        assert!(SigningKey::from_bytes(&[4; 32]).public().verify(&claim, &signature).is_err());
    }

    #[test]
    fn a_weak_or_wrong_text_is_no_key() {
        for text in [String::new(), "00".repeat(32), "zz".repeat(32), "ab".repeat(31)] {
            assert!(PublicKey::parse(&text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_key_or_one_that_believes_nobody_else(
            text in "([0-9a-fA-F]{64}|.{0,70})",
            bytes in prop::collection::vec(any::<u8>(), 60..68),
            (at, bit) in (any::<prop::sample::Index>(), 0..8_u8),
        ) {
            let claim = SnapshotClaim { distribution: &text, serial: 2, info_hash: [9; 20] };
            if let Ok(key) = PublicKey::parse(&text) {
                prop_assert_eq!(PublicKey::parse(&key.to_string()).ok(), Some(key));
                prop_assert!(key.verify(&claim, &bytes).is_err());
            }
            let key = SigningKey::from_bytes(&[3; 32]);
            let mut signature = key.sign(&claim);
            prop_assert!(key.public().verify(&claim, &signature).is_ok());
            signature[at.index(SIGNATURE_BYTES)] ^= 1 << bit;
            prop_assert!(key.public().verify(&claim, &signature).is_err());
        }
    }
}
