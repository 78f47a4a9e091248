//! Packages' own OpenPGP signatures. The Red Hat installer does not look at them, so the frontend does, once, when a
//! distribution is added.
//!
//! A package counts as signed where one of the keys has signed its header and the header vouches for the payload (every
//! package since RPM 4.14), or where one of the keys has signed header and payload together (older ones).

use super::DistributionError;
use super::headers::Headers;
use super::keyring::{Keyring, Refusal};
use super::repomd::hex;
use rpm::{IndexSignatureTag, IndexTag, PackageMetadata};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader};
use std::path::Path;

/// The keys of a distribution have together at most this many bytes.
const KEYS_BYTES_MAX: usize = 4 << 20;
/// SHA-256 among the hash algorithms of OpenPGP (RFC 9580, 9.5), as headers name them.
const SHA256: u32 = 8;

/// The public keys that a distribution's packages are signed with; perhaps none.
#[derive(Debug, Clone, Default)]
pub struct PackageKeys {
    text: String,
    keyring: Keyring,
    count: usize,
}

impl PackageKeys {
    /// Adds the keys of an ASCII-armoured text (`RPM-GPG-KEY-...`); `path` says where it comes from.
    pub fn add(&mut self, path: &Path, text: &str) -> Result<(), DistributionError> {
        let wrong = |why: String| DistributionError::Key { path: path.to_owned(), why };
        if self.text.len() + text.len() > KEYS_BYTES_MAX {
            return Err(wrong(format!("all keys together have more than {KEYS_BYTES_MAX} bytes")));
        }
        // A file may hold several armoured blocks; the reader takes one at a time.
        let blocks: Vec<String> = armoured_blocks(text).collect();
        if blocks.is_empty() {
            return Err(wrong("it has no 'BEGIN PGP PUBLIC KEY BLOCK'".into()));
        }
        for block in blocks {
            self.keyring.add(&block).map_err(wrong)?;
            if !self.text.contains(&block) {
                self.text.push_str(&block);
            }
            self.count += 1;
        }
        Ok(())
    }

    /// The keys as text, to be kept with the distribution; empty where there are none.
    pub fn as_text(&self) -> &str {
        &self.text
    }

    /// Whether there is no key, so that no signature is looked at.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Names the set of keys: 64 hexadecimal digits, or nothing where there is none.
    pub fn fingerprint(&self) -> String {
        if self.is_empty() { String::new() } else { hex(&Sha256::digest(&self.text)) }
    }

    /// Verifies a package; says what is wrong as the end of a sentence.
    pub(super) fn verify(&self, path: &Path) -> Result<(), String> {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        self.verify_bytes(BufReader::with_capacity(1 << 18, file))
    }

    /// The same of a package whose bytes come from here.
    pub fn verify_bytes(&self, mut reader: impl BufRead) -> Result<(), String> {
        let Headers { mut bytes, main_at } =
            Headers::read(&mut reader).map_err(|why| format!("is not an RPM package: {why}"))?;
        let header =
            PackageMetadata::parse(&mut bytes.as_slice()).map_err(|error| format!("is not an RPM package: {error}"))?;
        // The bytes as they lie in the file, not as they were understood.
        let mut signed = bytes.split_off(main_at);
        let digest = header
            .header
            .get_entry_data_as_string_array(IndexTag::RPMTAG_PAYLOADSHA256)
            .ok()
            .and_then(|digests| digests.first().map(|digest| (*digest).to_owned()));
        let signatures = header.raw_signatures().map_err(|error| format!("has a broken signature: {error}"))?;
        if let (Some(digest), false) = (digest, signatures.is_empty()) {
            let algorithm = header.header.get_entry_data_as_u32(IndexTag::RPMTAG_PAYLOADSHA256ALGO).unwrap_or(SHA256);
            if algorithm != SHA256 {
                return Err(format!("vouches for its payload with unknown hash {algorithm}"));
            }
            self.any(&signatures, signed)?;
            if sum_of_rest(&mut reader).map_err(unreadable)? != digest {
                return Err("has a payload that its signed header does not vouch for".into());
            }
            return Ok(());
        }
        // Before RPM 4.14: one signature over header and payload.
        let both = [IndexSignatureTag::RPMSIGTAG_PGP, IndexSignatureTag::RPMSIGTAG_GPG];
        let signature = both.into_iter().find_map(|tag| header.signature.get_entry_data_as_binary(tag).ok());
        let Some(signature) = signature else { return Err("is not signed".into()) };
        reader.read_to_end(&mut signed).map_err(unreadable)?;
        self.any(&[signature.into()], signed)
    }

    fn any(&self, signatures: &[std::borrow::Cow<'_, [u8]>], mut signed: Vec<u8>) -> Result<(), String> {
        let mut why = String::from("is not signed");
        for signature in signatures {
            match self.keyring.verify(signature, &mut signed) {
                Ok(()) => return Ok(()),
                Err(Refusal::AnotherKey) => "is signed with another key".clone_into(&mut why),
                Err(Refusal::Wrong(error)) => why = format!("has a wrong signature: {error}"),
            }
        }
        Err(why)
    }
}

fn unreadable(error: std::io::Error) -> String {
    format!("cannot be read: {error}")
}

/// The SHA-256 of what is left, hexadecimal.
fn sum_of_rest(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut sum = Sha256::new();
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(hex(&sum.finalize()));
        }
        sum.update(bytes);
        let count = bytes.len();
        reader.consume(count);
    }
}

/// The armoured public keys in a text, each with its frame.
fn armoured_blocks(text: &str) -> impl Iterator<Item = String> {
    const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
    const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
    text.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END)).map(|(body, _)| format!("{BEGIN}{body}{END}\n"))
}
