//! Metainfo: what is read keeps its hash when it is written again, and its layout holds together.
#![no_main]

use rocks::torrent::Metainfo;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(metainfo) = Metainfo::parse(data) else { return };
    let again = Metainfo::parse(&metainfo.to_bytes()).expect("our own bytes");
    assert_eq!(again.info_hash(), metainfo.info_hash());
    let layout = metainfo.layout();
    for piece in layout.pieces() {
        let covered: u32 = layout.segments(piece).map(|part| part.length_bytes).sum();
        assert_eq!(covered, layout.piece_len(piece));
        assert!(layout.payload_len(piece) <= covered);
        let _ = metainfo.verify_piece(piece, &[]);
    }
    for file in layout.files() {
        let inside = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
        assert!(std::path::Path::new(file.path.as_str()).components().all(inside));
    }
});
