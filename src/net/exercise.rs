//! Readers of strangers' bytes that this room keeps to itself, for property tests and fuzz targets: whatever the bytes are,
//! they are refused or hold together.

use super::links;
use super::referral::Referral;
use crate::torrent::{Metainfo, MetainfoBuilder};

/// An answer that may be a referral, and the metainfo that comes of it. Panics if something does not hold together.
pub fn referral(answer: &[u8]) {
    let Some(referral) = Referral::read(answer) else { return };
    let again = serde_json::to_vec(&referral).expect("plain values");
    assert_eq!(Referral::read(&again).as_ref(), Some(&referral));
    let mut builder = MetainfoBuilder::new("el9", 16 << 10).expect("a plain name");
    builder.file("a", 5, vec![[0; 20]]).expect("one piece");
    let ours = builder.finish().expect("well-formed");
    if let Ok(metainfo) = referral.around(ours.raw_info()) {
        assert_eq!(metainfo.info_hash(), ours.info_hash());
        assert_eq!(Metainfo::parse(&metainfo.to_bytes()).as_ref(), Ok(&metainfo));
    }
}

/// A peer's bytes behind its handshake, read in pieces of these lengths and all at once: the same is heard. Panics if it is not.
pub fn peer(cuts: &[u8], bytes: &[u8]) {
    links::peer(cuts, bytes);
}
