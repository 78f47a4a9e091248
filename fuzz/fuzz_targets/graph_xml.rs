//! Graph files.
#![no_main]

use rocks::graph::GraphFile;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = GraphFile::parse(&"graphs/default/fuzz.xml".into(), text);
});
