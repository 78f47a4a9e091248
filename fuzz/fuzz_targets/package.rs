//! Packages whose signatures are verified, and keys for that: what begins with NUL is the packets of a key, everything else
//! a package.
#![no_main]

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rocks::distribution::PackageKeys;
use std::path::Path;

thread_local! {
    static KEYS: PackageKeys = {
        let mut keys = PackageKeys::default();
        keys.add(Path::new("key"), include_str!("../../testdata/distribution/keys/rsa.public.asc")).expect("a key");
        keys.add(Path::new("key"), include_str!("../../testdata/distribution/keys/subkeyed.public.asc")).expect("a key");
        keys
    };
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| match data.split_first() {
    Some((0, packets)) => {
        let packets = BASE64_STANDARD.encode(packets);
        let text = format!("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{packets}\n-----END PGP PUBLIC KEY BLOCK-----\n");
        let mut keys = PackageKeys::default();
        assert_eq!(keys.add(Path::new("key"), &text).is_err(), keys.is_empty());
    }
    _ => KEYS.with(|keys| assert!(keys.verify_bytes(data).is_err(), "nobody has signed it")),
});
