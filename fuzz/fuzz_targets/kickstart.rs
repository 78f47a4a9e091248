//! Any Kickstart file, as `rocks check` reads it for every release.
#![no_main]

use rocks::cluster::Release;
use rocks::kickstart::Check;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let lines = text.lines().count().max(1);
    for release in Release::ALL {
        for finding in (Check { release, shelf: None, scripts: None, memo: &rocks::kickstart::Memo::default() }).run("ks.cfg", text) {
            assert!(finding.line.is_some_and(|line| line >= 1 && line as usize <= lines), "{finding}");
        }
    }
});
