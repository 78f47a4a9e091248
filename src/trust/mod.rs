//! Who is believed: install tokens (HMAC-SHA256), signatures on what is published (Ed25519), and the cluster's own
//! certificate authority. Pure: keys and the time come in as arguments; only `keys.rs` touches files, and it alone
//! draws new keys.

mod authority;
mod keys;
mod signature;
mod token;

pub use authority::{AUTHORITY_DAYS, Authority, Fingerprint, Identity, SERVER_DAYS};
pub use keys::{KEYS_FOLDER, Keys};
pub use signature::{PublicKey, SIGNATURE_BYTES, SigningKey, SnapshotClaim};
pub use token::{InstallToken, TOKEN_BYTES_MAX, TOKEN_LIFETIME, TokenKey};

use std::path::PathBuf;

/// Why something is not believed, or why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A token is not one of ours.
    #[error("the install token is malformed")]
    TokenMalformed,
    /// A token's code does not fit its text.
    #[error("the install token is forged or from another cluster")]
    TokenForged,
    /// A token of another host.
    #[error("the install token is for host '{host}'")]
    TokenHost {
        /// Whose token it is.
        host: String,
    },
    /// A token of an earlier installation of the host.
    #[error("the install token is for an installation of '{host}' that has ended")]
    TokenEnded {
        /// Whose token it is.
        host: String,
    },
    /// A token that was not renewed.
    #[error("the install token of '{host}' has expired")]
    TokenExpired {
        /// Whose token it is.
        host: String,
    },
    /// A signature that does not fit.
    #[error("the signature of distribution '{distribution}' (serial {serial}) is wrong")]
    Signature {
        /// What it claims to be.
        distribution: String,
        /// Its claimed serial number.
        serial: u64,
    },
    /// Bytes or text that are no key.
    #[error("{0} is not a valid key")]
    BadKey(String),
    /// A text that is no fingerprint.
    #[error("'{0}' is not a fingerprint: 64 hexadecimal digits")]
    BadFingerprint(String),
    /// A certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A key file cannot be read or written.
    #[error("'{}': {error}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A key file that others may read.
    #[error("'{}' may be read by others (mode {mode:o})", path.display())]
    KeyExposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// Lower-case hexadecimal digits.
fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

/// Reads exactly `N` bytes of hexadecimal digits.
fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
