//! The OpenPGP keys that packages may be signed with, as an administrator names them.
//!
//! A primary key is trusted because it was given; a subkey counts where its primary key and it vouch for each other.
//! Neither expiry nor revocation is judged: packages outlive their keys, and whoever no longer trusts a key gives it no
//! more.

use super::openpgp::{
    OF_BYTES, OF_PRIMARY, OF_SUBKEY, PUBLIC_KEY, PUBLIC_SUBKEY, PublicKey, SIGNATURE, Signature, take_packet,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The flag of keys that sign bytes (RFC 9580, 5.2.3.29).
const MAY_SIGN: u8 = 2;
/// A distribution has at most this many keys and subkeys.
const KEYS_MAX: usize = 4096;

/// Why a signature is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// None of the keys is the one it names.
    AnotherKey,
    /// It is wrong, or of a kind that is not read: the end of a sentence.
    Wrong(String),
}

/// Public keys, perhaps none.
#[derive(Debug, Clone, Default)]
pub(super) struct Keyring {
    keys: Vec<Key>,
}

#[derive(Debug, Clone)]
struct Key {
    public: PublicKey,
    may_sign: bool,
}

impl Keyring {
    /// Adds the keys of one armoured block; those of unknown kinds are left out as long as one is not.
    pub(super) fn add(&mut self, armoured: &str) -> Result<(), String> {
        let bytes = open_armour(armoured)?;
        let before = self.keys.len();
        let mut why = String::from("there is none in it");
        let mut rest = bytes.as_slice();
        let mut certificate = None;
        while !rest.is_empty() {
            let (kind, body) = take_packet(&mut rest)?;
            match kind {
                PUBLIC_KEY => {
                    self.keys.extend(certificate.take().into_iter().flat_map(Certificate::into_keys));
                    certificate = PublicKey::parse(body).map_err(|error| why = error).ok().map(Certificate::new);
                }
                PUBLIC_SUBKEY => {
                    if let Some(certificate) = &mut certificate {
                        certificate.subkey = Some(PublicKey::parse(body).ok());
                    }
                }
                SIGNATURE => {
                    if let (Some(certificate), Ok(signature)) = (&mut certificate, Signature::parse(body)) {
                        certificate.note(&signature);
                    }
                }
                _ => {}
            }
            if self.keys.len() > KEYS_MAX {
                return Err(format!("there are more than {KEYS_MAX} keys"));
            }
        }
        self.keys.extend(certificate.into_iter().flat_map(Certificate::into_keys));
        if self.keys.len() == before { Err(why) } else { Ok(()) }
    }

    /// Verifies a signature, as its packet, over these bytes, which are left as they were.
    pub(super) fn verify(&self, signature: &[u8], signed: &mut Vec<u8>) -> Result<(), Refusal> {
        let signature = detached(signature).map_err(Refusal::Wrong)?;
        let mut refusal = Refusal::AnotherKey;
        for key in self.keys.iter().filter(|key| signature.issuer.may_be(&key.public)) {
            if !key.may_sign {
                refusal = Refusal::Wrong("its key is not one that signs".into());
                continue;
            }
            match key.public.verify(&signature, signed) {
                Ok(()) => return Ok(()),
                Err(why) => refusal = Refusal::Wrong(why),
            }
        }
        Err(refusal)
    }
}

/// The first signature of a sequence of packets, which must be over bytes.
fn detached(mut packets: &[u8]) -> Result<Signature, String> {
    while !packets.is_empty() {
        let (kind, body) = take_packet(&mut packets)?;
        if kind == SIGNATURE {
            let signature = Signature::parse(body)?;
            return if signature.kind == OF_BYTES { Ok(signature) } else { Err("it is not one over bytes".into()) };
        }
    }
    Err("there is none".into())
}

/// A primary key while what follows it is read.
struct Certificate {
    primary: PublicKey,
    /// Whether the primary key may sign; `None` where nothing says so.
    may_sign: Option<bool>,
    /// The subkey that signatures are about now (`Some(None)`: one of an unknown kind).
    subkey: Option<Option<PublicKey>>,
    subkeys: Vec<PublicKey>,
}

impl Certificate {
    fn new(primary: PublicKey) -> Self {
        Self { primary, may_sign: None, subkey: None, subkeys: Vec::new() }
    }

    /// Notes what a signature says of the key before it.
    fn note(&mut self, signature: &Signature) {
        let flags = signature.key_flags;
        match &self.subkey {
            None => {
                if let Some(flags) = flags {
                    self.may_sign = Some(self.may_sign.unwrap_or(false) || flags & MAY_SIGN != 0);
                }
            }
            Some(Some(subkey)) if signature.kind == OF_SUBKEY && flags.is_none_or(|flags| flags & MAY_SIGN != 0) => {
                let mut both = [self.primary.framed.as_slice(), &subkey.framed].concat();
                let back = signature.embedded.as_deref().and_then(|body| Signature::parse(body).ok());
                let is_bound = self.primary.verify(signature, &mut both).is_ok()
                    && back.is_some_and(|back| back.kind == OF_PRIMARY && subkey.verify(&back, &mut both).is_ok());
                if is_bound {
                    self.subkeys.push(subkey.clone());
                    self.subkey = Some(None);
                }
            }
            Some(_) => {}
        }
    }

    fn into_keys(self) -> impl Iterator<Item = Key> {
        let primary = Key { public: self.primary, may_sign: self.may_sign.unwrap_or(true) };
        std::iter::once(primary).chain(self.subkeys.into_iter().map(|public| Key { public, may_sign: true }))
    }
}

/// The bytes within an armoured block (RFC 9580, 6). Its checksum is not looked at, as the RFC has it.
fn open_armour(block: &str) -> Result<Vec<u8>, String> {
    let is_data = |line: &&str| !line.starts_with(['-', '=']) && !line.contains(':');
    let data: String = block.lines().map(str::trim).filter(is_data).collect();
    STANDARD.decode(data).map_err(|error| format!("its armour is broken: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Made with GnuPG 2.2.40: an RSA key of 2048 bits, and an Ed25519 key that may only certify, with an RSA subkey.
    const RSA: &str = include_str!("../../testdata/distribution/keys/rsa.public.asc");
    const SUBKEYED: &str = include_str!("../../testdata/distribution/keys/subkeyed.public.asc");
    const STRANGER: &str = include_str!("../../testdata/distribution/keys/stranger.public.asc");
    const SIGNED: &[u8] = include_bytes!("../../testdata/distribution/signatures/signed.txt");
    const BY_RSA: &[u8] = include_bytes!("../../testdata/distribution/signatures/rsa.sha512.sig");
    /// Of version 3, over SHA-256, as GnuPG 1 made them: made by hand with the same key, and GnuPG finds it good.
    const BY_RSA_3: &[u8] = include_bytes!("../../testdata/distribution/signatures/rsa.v3.sha256.sig");
    const BY_RSA_SHA1: &[u8] = include_bytes!("../../testdata/distribution/signatures/rsa.sha1.sig");
    const BY_SUBKEY: &[u8] = include_bytes!("../../testdata/distribution/signatures/subkey.sha384.sig");

    fn keyring(blocks: &[&str]) -> Keyring {
        let mut keyring = Keyring::default();
        for block in blocks {
            keyring.add(block).expect("a key");
        }
        keyring
    }

    #[test]
    fn signatures_of_gnupg_are_verified() {
        let all = keyring(&[STRANGER, RSA, SUBKEYED]);
        for (signature, signer) in [(BY_RSA, RSA), (BY_RSA_3, RSA), (BY_SUBKEY, SUBKEYED)] {
            let mut signed = SIGNED.to_vec();
            assert_eq!(all.verify(signature, &mut signed), Ok(()));
            assert_eq!(keyring(&[signer]).verify(signature, &mut signed), Ok(()));
            assert_eq!(keyring(&[STRANGER]).verify(signature, &mut signed), Err(Refusal::AnotherKey));
            assert_eq!(signed, SIGNED);
            signed[5] ^= 1;
            assert!(matches!(all.verify(signature, &mut signed), Err(Refusal::Wrong(_))));
        }
    }

    #[test]
    fn sha1_is_refused() {
        let refusal = keyring(&[RSA]).verify(BY_RSA_SHA1, &mut SIGNED.to_vec());
        assert_eq!(refusal, Err(Refusal::Wrong("it is over SHA-1".into())));
    }

    #[test]
    fn a_subkey_counts_only_where_both_keys_vouch_for_each_other() {
        let bytes = open_armour(SUBKEYED).expect("armour");
        let (mut rest, mut packets) = (bytes.as_slice(), Vec::new());
        while !rest.is_empty() {
            let before = rest;
            take_packet(&mut rest).expect("a packet");
            packets.push(&before[..before.len() - rest.len()]);
        }
        assert_eq!(packets.len(), 5, "key, user, signature, subkey, signature");
        let verdict = |packets: &[&[u8]]| {
            let text = format!("-----BEGIN-----\n\n{}\n-----END-----\n", STANDARD.encode(packets.concat()));
            keyring(&[&text]).verify(BY_SUBKEY, &mut SIGNED.to_vec())
        };
        assert_eq!(verdict(&packets), Ok(()));
        assert_eq!(verdict(&packets[..4]), Err(Refusal::AnotherKey), "nothing binds the subkey");
        assert_eq!(verdict(&[packets[0], packets[3], packets[2]]), Err(Refusal::AnotherKey), "another signature");
        // From the end: the primary key's signature (two integers of 34 bytes); before them the subkey's within.
        for from_end in [10, 200] {
            let mut spoiled = packets[4].to_vec();
            let at = spoiled.len() - from_end;
            spoiled[at] ^= 1;
            let verdict = verdict(&[packets[0], packets[1], packets[2], packets[3], &spoiled]);
            assert_eq!(verdict, Err(Refusal::AnotherKey), "{from_end} bytes from the end");
        }
    }

    #[test]
    fn a_block_without_a_key_we_know_says_why() {
        let block = |bytes: &[u8]| Keyring::default().add(&STANDARD.encode(bytes));
        assert_eq!(block(&[]), Err("there is none in it".into()));
        let dsa = [0x98, 6, 4, 0, 0, 0, 1, 17];
        assert_eq!(block(&dsa), Err("it is of public-key algorithm 17, neither RSA nor Ed25519".into()));
        assert_eq!(block(&[0x98, 6, 6, 0, 0, 0, 1, 27]), Err("it is a key of version 6, not 4".into()));
    }

    proptest! {
        #[test]
        fn spoiled_keys_and_signatures_are_refused_quietly(
            at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<prop::sample::Index>(),
        ) {
            let mut key = open_armour(SUBKEYED).expect("armour");
            let spoiled = at.index(key.len());
            key[spoiled] ^= 1 << bit;
            let _ = Keyring::default().add(&STANDARD.encode(&key[..cut.index(key.len())]));
            let _ = Keyring::default().add(&STANDARD.encode(&key));
            let mut signature = BY_SUBKEY.to_vec();
            signature[at.index(BY_SUBKEY.len())] ^= 1 << bit;
            let keyring = keyring(&[SUBKEYED]);
            let _ = keyring.verify(&signature, &mut SIGNED.to_vec());
            prop_assert!(keyring.verify(&BY_SUBKEY[..cut.index(BY_SUBKEY.len())], &mut SIGNED.to_vec()).is_err());
        }

        #[test]
        fn no_text_makes_the_armour_panic(text in ".{0,200}") {
            let _ = Keyring::default().add(&text);
        }
    }
}
