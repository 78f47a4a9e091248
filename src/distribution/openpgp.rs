//! The part of OpenPGP that packages are signed with (RFC 9580, and RFC 4880 before it): packets, public keys of
//! version 4 and signatures of versions 3 and 4, with RSA (PKCS #1 v1.5) or Ed25519 over SHA-256, SHA-384 or SHA-512.
//!
//! Everything else is refused in words, SHA-1 above all. What is read is a slice that the caller has bounded: no length
//! in it leads beyond its end, and nothing is reserved by a length that is merely claimed.

use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// Packet types (RFC 9580, 5).
pub(super) const SIGNATURE: u8 = 2;
pub(super) const PUBLIC_KEY: u8 = 6;
pub(super) const PUBLIC_SUBKEY: u8 = 14;

/// Signature types (RFC 9580, 5.2.1).
pub(super) const OF_BYTES: u8 = 0x00;
pub(super) const OF_SUBKEY: u8 = 0x18;
pub(super) const OF_PRIMARY: u8 = 0x19;

/// Subpacket types (RFC 9580, 5.2.3.7) that are read.
const ISSUER_ID: u8 = 16;
const KEY_FLAGS: u8 = 27;
const EMBEDDED_SIGNATURE: u8 = 32;
const ISSUER_FINGERPRINT: u8 = 33;
/// Subpacket types that may be marked critical: those above, and creation time, key expiration, preferences, the
/// primary user, the user and features, which decide nothing here.
const CRITICAL_KNOWN: [u8; 13] =
    [2, 9, 11, ISSUER_ID, 21, 22, 23, 25, KEY_FLAGS, 28, 30, EMBEDDED_SIGNATURE, ISSUER_FINGERPRINT];

/// The curve of Ed25519 as keys of algorithm 22 name it: 1.3.6.1.4.1.11591.15.1.
const ED25519_OID: [u8; 9] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];

/// What signs. Numbers of the format: RFC 9580, 9.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Rsa,
    /// Ed25519 with its numbers as integers (22).
    EdDsaLegacy,
    /// Ed25519 with its numbers as they are (27).
    Ed25519,
}

impl Algorithm {
    fn of(number: u8) -> Result<Self, String> {
        match number {
            1 | 3 => Ok(Self::Rsa),
            22 => Ok(Self::EdDsaLegacy),
            27 => Ok(Self::Ed25519),
            other => Err(format!("it is of public-key algorithm {other}, neither RSA nor Ed25519")),
        }
    }
}

/// Takes the first packet off: its type, its body.
pub(super) fn take_packet<'a>(bytes: &mut &'a [u8]) -> Result<(u8, &'a [u8]), String> {
    let [first] = take_array(bytes)?;
    if first & 0x80 == 0 {
        return Err("it is not a sequence of OpenPGP packets".into());
    }
    if first & 0x40 != 0 {
        let length = match take_array(bytes)? {
            [short @ 0..192] => usize::from(short),
            [long @ 192..224] => two_octets(long, bytes)?,
            [255] => four_octets(bytes)?,
            [_] => return Err("it has a packet of partial lengths".into()),
        };
        return Ok((first & 0x3f, take(bytes, length)?));
    }
    let length = match first & 3 {
        0 => usize::from(take_array::<1>(bytes)?[0]),
        1 => usize::from(u16::from_be_bytes(take_array(bytes)?)),
        2 => four_octets(bytes)?,
        _ => return Err("it has a packet without a length".into()),
    };
    Ok((first >> 2 & 0xf, take(bytes, length)?))
}

/// A public key that signatures can be verified with.
#[derive(Debug, Clone)]
pub(super) struct PublicKey {
    /// The SHA-1 of the key packet, which names the key; its last 8 bytes are the key id.
    pub fingerprint: [u8; 20],
    /// The packet as signatures over keys hash it.
    pub framed: Vec<u8>,
    algorithm: Algorithm,
    numbers: Numbers,
}

#[derive(Debug, Clone)]
enum Numbers {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
}

impl PublicKey {
    /// Reads the body of a key or subkey packet (RFC 9580, 5.5.2).
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let mut rest = body;
        let [version, _, _, _, _, algorithm] = take_array(&mut rest)?;
        if version != 4 {
            return Err(format!("it is a key of version {version}, not 4"));
        }
        let algorithm = Algorithm::of(algorithm)?;
        let numbers = match algorithm {
            Algorithm::Rsa => Numbers::Rsa(RsaPublicKeyComponents {
                n: take_integer(&mut rest)?.to_vec(),
                e: take_integer(&mut rest)?.to_vec(),
            }),
            Algorithm::EdDsaLegacy => {
                let [length] = take_array(&mut rest)?;
                if take(&mut rest, length.into())? != ED25519_OID {
                    return Err("it is on a curve other than Ed25519".into());
                }
                let point = take_integer(&mut rest)?.strip_prefix(&[0x40]).and_then(|point| point.try_into().ok());
                Numbers::ed25519(&point.ok_or("its point is not 32 bytes")?)?
            }
            Algorithm::Ed25519 => Numbers::ed25519(&take_array(&mut rest)?)?,
        };
        let length = u16::try_from(body.len()).map_err(|_| "it is too long")?;
        if !rest.is_empty() {
            return Err("it has more than a key in its packet".into());
        }
        let mut framed = vec![0x99];
        framed.extend(length.to_be_bytes());
        framed.extend(body);
        Ok(Self { fingerprint: Sha1::digest(&framed).into(), framed, algorithm, numbers })
    }

    /// Verifies a signature over these bytes. They are extended for the while by what the signature says of itself, so
    /// that they need not be copied.
    pub(super) fn verify(&self, signature: &Signature, signed: &mut Vec<u8>) -> Result<(), String> {
        let length = signed.len();
        signed.extend(&signature.trailer);
        let result = self.verify_message(signature, signed);
        signed.truncate(length);
        result
    }

    fn verify_message(&self, signature: &Signature, message: &[u8]) -> Result<(), String> {
        if signature.algorithm != self.algorithm {
            return Err("it is of another algorithm than its key".into());
        }
        let mut rest = signature.numbers.as_slice();
        let is_right = match &self.numbers {
            Numbers::Rsa(key) => {
                let parameters = match signature.hash {
                    8 => &RSA_PKCS1_2048_8192_SHA256,
                    9 => &RSA_PKCS1_2048_8192_SHA384,
                    10 => &RSA_PKCS1_2048_8192_SHA512,
                    other => return Err(weak_hash(other)),
                };
                if !(256..=1024).contains(&key.n.len()) {
                    return Err(format!("its RSA key has {} bits, not 2048 to 8192", key.n.len() * 8));
                }
                // As long as the modulus: an integer has lost its leading zeros.
                let integer = padded(take_integer(&mut rest)?, key.n.len())?;
                key.verify(parameters, message, &integer).is_ok()
            }
            Numbers::Ed25519(key) => {
                let digest = match signature.hash {
                    8 => Sha256::digest(message).to_vec(),
                    9 => Sha384::digest(message).to_vec(),
                    10 => Sha512::digest(message).to_vec(),
                    other => return Err(weak_hash(other)),
                };
                let numbers = if self.algorithm == Algorithm::Ed25519 {
                    take(&mut rest, 64)?.to_vec()
                } else {
                    [padded(take_integer(&mut rest)?, 32)?, padded(take_integer(&mut rest)?, 32)?].concat()
                };
                let numbers = ed25519_dalek::Signature::from_slice(&numbers).map_err(|error| error.to_string())?;
                key.verify_strict(&digest, &numbers).is_ok()
            }
        };
        if is_right && rest.is_empty() { Ok(()) } else { Err("it does not fit what is signed".into()) }
    }
}

impl Numbers {
    fn ed25519(point: &[u8; 32]) -> Result<Self, String> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(point).map_err(|_| "its point is not on the curve")?;
        Ok(Self::Ed25519(Box::new(key)))
    }
}

/// Which key a signature says it was made with: a hint that proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Issuer {
    Fingerprint([u8; 20]),
    Id([u8; 8]),
    Unknown,
}

impl Issuer {
    pub(super) fn may_be(self, key: &PublicKey) -> bool {
        match self {
            Self::Fingerprint(fingerprint) => fingerprint == key.fingerprint,
            Self::Id(id) => key.fingerprint.ends_with(&id),
            Self::Unknown => true,
        }
    }
}

/// A signature, read but not verified.
#[derive(Debug, Clone)]
pub(super) struct Signature {
    /// What it is over: [`OF_BYTES`] and others.
    pub kind: u8,
    /// The key it names.
    pub issuer: Issuer,
    /// What it says of a key that it is over may do: the first octet of the flags.
    pub key_flags: Option<u8>,
    /// The body of a signature packet within it: the subkey's own over the primary key.
    pub embedded: Option<Vec<u8>>,
    algorithm: Algorithm,
    hash: u8,
    /// What is hashed behind the bytes that are signed.
    trailer: Vec<u8>,
    numbers: Vec<u8>,
}

impl Signature {
    /// Reads the body of a signature packet (RFC 9580, 5.2; RFC 4880, 5.2.2).
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let mut rest = body;
        match take_array(&mut rest)? {
            [3] => Self::parse_3(rest),
            [4] => Self::parse_4(body),
            [version] => Err(format!("it is of version {version}, neither 3 nor 4")),
        }
    }

    fn parse_3(mut rest: &[u8]) -> Result<Self, String> {
        let [5, hashed @ ..] = take_array::<6>(&mut rest)? else { return Err("it is broken".into()) };
        let issuer = Issuer::Id(take_array(&mut rest)?);
        let [algorithm, hash, _, _] = take_array(&mut rest)?;
        let (kind, trailer, numbers) = (hashed[0], hashed.to_vec(), rest.to_vec());
        let algorithm = Algorithm::of(algorithm)?;
        Ok(Self { kind, issuer, key_flags: None, embedded: None, algorithm, hash, trailer, numbers })
    }

    fn parse_4(body: &[u8]) -> Result<Self, String> {
        let mut rest = body;
        let [version, kind, algorithm, hash] = take_array(&mut rest)?;
        let length = u16::from_be_bytes(take_array(&mut rest)?);
        let hashed = take(&mut rest, length.into())?;
        let mut trailer = body[..body.len() - rest.len()].to_vec();
        let trailer_length = u32::from(length) + 6;
        trailer.extend([version, 0xff]);
        trailer.extend(trailer_length.to_be_bytes());
        let length = u16::from_be_bytes(take_array(&mut rest)?);
        let unhashed = take(&mut rest, length.into())?;
        take(&mut rest, 2)?;
        let algorithm = Algorithm::of(algorithm)?;
        let (issuer, numbers) = (Issuer::Unknown, rest.to_vec());
        let mut signature = Self { kind, issuer, key_flags: None, embedded: None, algorithm, hash, trailer, numbers };
        signature.read_subpackets(hashed, true)?;
        signature.read_subpackets(unhashed, false)?;
        Ok(signature)
    }

    /// Reads an area of subpackets. Beside the hashed one nothing is believed but hints, and signatures in themselves.
    fn read_subpackets(&mut self, mut area: &[u8], is_hashed: bool) -> Result<(), String> {
        while !area.is_empty() {
            let length = match take_array(&mut area)? {
                [short @ 0..192] => usize::from(short),
                [255] => four_octets(&mut area)?,
                [long] => two_octets(long, &mut area)?,
            };
            let mut content = take(&mut area, length)?;
            let [kind] = take_array(&mut content)?;
            match (kind & 0x7f, content) {
                (ISSUER_ID, id) if self.issuer == Issuer::Unknown => {
                    self.issuer = id.try_into().map_or(Issuer::Unknown, Issuer::Id);
                }
                (ISSUER_FINGERPRINT, [4, fingerprint @ ..]) if !matches!(self.issuer, Issuer::Fingerprint(_)) => {
                    self.issuer = fingerprint.try_into().map_or(self.issuer, Issuer::Fingerprint);
                }
                (KEY_FLAGS, flags) if is_hashed => self.key_flags = Some(flags.first().copied().unwrap_or(0)),
                (EMBEDDED_SIGNATURE, body) if self.embedded.is_none() => self.embedded = Some(body.to_vec()),
                (kind_read, _) if is_hashed && kind & 0x80 != 0 && !CRITICAL_KNOWN.contains(&kind_read) => {
                    return Err(format!("it demands that subpacket {kind_read} be understood"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn weak_hash(number: u8) -> String {
    match number {
        2 => "it is over SHA-1".into(),
        other => format!("it is over hash {other}, none of SHA-256, SHA-384 and SHA-512"),
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], String> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or("it is cut off")?;
    *bytes = rest;
    Ok(taken)
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], String> {
    let (taken, rest) = bytes.split_first_chunk().ok_or("it is cut off")?;
    *bytes = rest;
    Ok(*taken)
}

fn two_octets(first: u8, bytes: &mut &[u8]) -> Result<usize, String> {
    let [second] = take_array(bytes)?;
    Ok((usize::from(first) - 192) * 256 + usize::from(second) + 192)
}

fn four_octets(bytes: &mut &[u8]) -> Result<usize, String> {
    usize::try_from(u32::from_be_bytes(take_array(bytes)?)).map_err(|_| "it is cut off".into())
}

/// Takes an integer off (RFC 9580, 3.2): its bytes without leading zeros.
fn take_integer<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let bits = u16::from_be_bytes(take_array(bytes)?);
    let integer = take(bytes, usize::from(bits).div_ceil(8))?;
    Ok(&integer[integer.iter().take_while(|byte| **byte == 0).count()..])
}

fn padded(integer: &[u8], length: usize) -> Result<Vec<u8>, String> {
    let zeros = length.checked_sub(integer.len()).ok_or("it has a number that is too long")?;
    Ok([&vec![0; zeros], integer].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::Signer;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_length_is_read_and_none_leads_beyond_the_end() {
        let body = [7; 200];
        for (header, tag) in [
            (&[0xb8, 200][..], 14),
            (&[0xb9, 0, 200], 14),
            (&[0xba, 0, 0, 0, 200], 14),
            (&[0xce, 192, 8], 14),
            (&[0xce, 255, 0, 0, 0, 200], 14),
        ] {
            let bytes = [header, &body, b"next"].concat();
            let mut rest = bytes.as_slice();
            assert_eq!(take_packet(&mut rest), Ok((tag, &body[..])), "{header:?}");
            assert_eq!(rest, b"next");
            let mut cut = &bytes[..header.len() + 199];
            assert!(take_packet(&mut cut).is_err(), "{header:?}");
        }
        for header in [&[0xbb][..], &[0xce, 230], &[0x3e, 1]] {
            assert!(take_packet(&mut [header, &body].concat().as_slice()).is_err(), "{header:?}");
        }
    }

    #[test]
    fn ed25519_with_its_numbers_as_they_are_is_verified() {
        let secret = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
        let key = [&[4, 0, 0, 0, 1, 27][..], secret.verifying_key().as_bytes()].concat();
        let key = PublicKey::parse(&key).expect("a key");
        let hashed = [4, OF_BYTES, 27, 10, 0, 6, 5, 2, 0, 0, 0, 1];
        let message = [&b"signed"[..], &hashed, &[4, 0xff, 0, 0, 0, 12]].concat();
        let numbers = secret.sign(&Sha512::digest(message)).to_bytes();
        let body = [&hashed[..], &[0, 0, 0, 0], &numbers].concat();
        let signature = Signature::parse(&body).expect("a signature");
        let mut signed = b"signed".to_vec();
        assert_eq!(key.verify(&signature, &mut signed), Ok(()));
        assert_eq!(signed, b"signed");
        assert!(key.verify(&signature, &mut b"singed".to_vec()).is_err());
        for n in 0..body.len() {
            let mut other = body.clone();
            other[n] ^= 1;
            let accepted = Signature::parse(&other).is_ok_and(|other| key.verify(&other, &mut signed).is_ok());
            // Two octets of the digest are there for haste only and are not looked at.
            assert_eq!(accepted, (14..16).contains(&n), "byte {n}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), version in 3u8..5) {
            let _ = take_packet(&mut bytes.as_slice());
            let body = [&[version], bytes.as_slice()].concat();
            let _ = (PublicKey::parse(&body), Signature::parse(&body));
        }
    }
}
