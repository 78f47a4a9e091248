//! Install tokens: what lets one machine fetch its own profile during one installation, and nothing else.
//!
//! A token is text without white space, `1.HOST.INSTALL.EXPIRES.CODE`: the installation's number and the expiry in
//! hexadecimal, the code the HMAC-SHA256 of all that stands before it. It is bound to a host and to one installation
//! of it: the owner of the store counts installations, and a token of an earlier one is dead.

use super::{TrustError, from_hex, to_hex};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::Duration;

/// How long a token lives unless it is renewed.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);
/// The longest text that can be a token: version, host name, two numbers, code, dots.
pub const TOKEN_BYTES_MAX: usize = 1 + 63 + 16 + 16 + 64 + 4;
/// Says what the code is about, so that no other use of the key can make a token.
const PURPOSE: &[u8] = b"rocks install token 1\0";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallToken {
    /// The host it is for.
    pub host: String,
    /// Which installation of that host, counted by the owner of the store.
    pub install: u64,
    /// When it ends, since 1970, in whole seconds.
    pub expires: Duration,
}

impl InstallToken {
    /// Whether half of its life is over, so that it is time to send a new one.
    pub fn wants_renewal(&self, now: Duration) -> bool {
        self.expires.saturating_sub(now) < TOKEN_LIFETIME / 2
    }
}

/// The secret that makes and checks tokens.
#[derive(Clone)]
pub struct TokenKey([u8; 32]);

impl TokenKey {
    /// A key from its bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Makes a token for one installation of a host that lives [`TOKEN_LIFETIME`] from `now` (since 1970).
    pub fn issue(&self, now: Duration, host: &str, install: u64) -> String {
        let said = format!("1.{host}.{install:x}.{:x}", (now + TOKEN_LIFETIME).as_secs());
        let code = to_hex(&self.code(&said).finalize().into_bytes());
        format!("{said}.{code}")
    }

    /// Believes a token or says why not: it must be ours, for this host and this installation of it, and not expired.
    pub fn verify(&self, now: Duration, host: &str, install: u64, text: &str) -> Result<InstallToken, TrustError> {
        let token = self.read(text)?;
        match () {
            () if token.host != host => Err(TrustError::TokenHost { host: token.host }),
            () if token.install != install => Err(TrustError::TokenEnded { host: token.host }),
            () if token.expires <= now => Err(TrustError::TokenExpired { host: token.host }),
            () => Ok(token),
        }
    }

    /// What a token of ours says, without a judgement on host, installation and time.
    pub fn read(&self, text: &str) -> Result<InstallToken, TrustError> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(TrustError::TokenMalformed);
        }
        let (said, code) = text.rsplit_once('.').ok_or(TrustError::TokenMalformed)?;
        let code: [u8; 32] = from_hex(code).ok_or(TrustError::TokenMalformed)?;
        // The code first, in constant time: nothing unsigned is interpreted.
        self.code(said).verify_slice(&code).map_err(|_| TrustError::TokenForged)?;
        let mut parts = said.split('.');
        let (Some("1"), Some(host), Some(install), Some(expires), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TrustError::TokenMalformed);
        };
        let number = |text| u64::from_str_radix(text, 16).map_err(|_| TrustError::TokenMalformed);
        Ok(InstallToken {
            host: host.to_owned(),
            install: number(install)?,
            expires: Duration::from_secs(number(expires)?),
        })
    }

    fn code(&self, said: &str) -> Hmac<Sha256> {
        let mut hmac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        hmac.update(PURPOSE);
        hmac.update(said.as_bytes());
        hmac
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    #[test]
    fn a_token_opens_one_installation_of_one_host_for_a_while() {
        let key = TokenKey::from_bytes([7; 32]);
        let text = key.issue(NOW, "compute-0-0", 3);
        assert!(text.len() <= TOKEN_BYTES_MAX);
        let token = key.verify(NOW, "compute-0-0", 3, &text).expect("believed");
        assert_eq!(token.install, 3);
        assert!(!token.wants_renewal(NOW));
        assert!(token.wants_renewal(NOW + TOKEN_LIFETIME / 2 + Duration::from_secs(1)));
        assert!(matches!(key.verify(NOW, "compute-0-1", 3, &text), Err(TrustError::TokenHost { .. })));
        assert!(matches!(key.verify(NOW, "compute-0-0", 4, &text), Err(TrustError::TokenEnded { .. })));
        let hour = Duration::from_secs(3600);
        key.verify(NOW + hour - Duration::from_secs(1), "compute-0-0", 3, &text).expect("believed to its last second");
        let late = NOW + hour;
        assert!(matches!(key.verify(late, "compute-0-0", 3, &text), Err(TrustError::TokenExpired { .. })));
        let other = TokenKey::from_bytes([8; 32]);
        assert!(matches!(other.verify(NOW, "compute-0-0", 3, &text), Err(TrustError::TokenForged)));
    }

    #[test]
    fn no_changed_character_is_believed() {
        let key = TokenKey::from_bytes([7; 32]);
        let text = key.issue(NOW, "compute-0-0", 3);
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'5' { b'6' } else { b'5' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert!(key.verify(NOW, "compute-0-0", 3, &changed).is_err(), "{changed}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_without_a_panic(text in ".{0,200}") {
            prop_assert!(TokenKey::from_bytes([7; 32]).read(&text).is_err());
        }
    }
}
