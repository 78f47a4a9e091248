//! Conditions of edges and nodes.
#![no_main]

use rocks::profile::cond::Condition;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(condition) = Condition::parse(text) {
        let _ = condition.names();
        let _ = condition.judge(|name| (name.len() > 2).then_some("7"));
    }
});
