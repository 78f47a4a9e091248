//! What a connection's reader hears of a peer's bytes: the same, in whatever pieces they come. The first byte says how many
//! of those behind it are lengths of pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((count, rest)) = data.split_first() else { return };
    let (cuts, bytes) = rest.split_at(usize::from(*count % 8).min(rest.len()));
    rocks::net::exercise::peer(cuts, bytes);
});
