//! The profile that a machine reads.
#![no_main]

use rocks::profile::Profile;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(profile) = Profile::from_xml(text) {
        let xml = profile.to_xml();
        assert_eq!(Profile::from_xml(&xml).expect("our own XML").to_xml(), xml);
    }
});
