//! What the frontend answers to a machine that can take the info dictionary of its metainfo from another one (BEP 9): who
//! has it, and everything else of the metainfo.

use crate::torrent::{Envelope, InfoHash, METAINFO_BYTES_MAX, Metainfo, MetainfoError};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The media type of a referral; a metainfo has another.
pub(super) const REFERRAL_TYPE: &str = "application/json";
/// The parameter of the question that names the port at which the machine will give it to others.
pub(super) const PORT_PARAMETER: &str = "port";

/// A referral.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Referral {
    /// Machines that have the info dictionary or are about to have it, best first.
    pub(super) holders: Vec<SocketAddr>,
    /// Through how many machines it comes.
    pub(super) depth: u32,
    /// The name of the swarm.
    pub(super) info_hash: InfoHash,
    /// How long the info dictionary is.
    pub(super) info_bytes: u32,
    /// What stands beside it in the metainfo, bencoded, in base 64.
    envelope: String,
}

impl Referral {
    /// Refers to these machines for the info dictionary of this metainfo.
    pub(super) fn to(holders: Vec<SocketAddr>, depth: u32, metainfo: &Metainfo) -> Self {
        Self {
            holders,
            depth,
            info_hash: metainfo.info_hash(),
            info_bytes: u32::try_from(metainfo.raw_info().len()).unwrap_or(u32::MAX),
            envelope: BASE64_STANDARD.encode(metainfo.envelope.to_bytes()),
        }
    }

    /// Reads an answer; none where it is no referral, as a metainfo is none.
    pub(super) fn read(answer: &[u8]) -> Option<Self> {
        let referral = answer.starts_with(b"{").then(|| serde_json::from_slice::<Self>(answer).ok())??;
        (referral.info_bytes as usize <= METAINFO_BYTES_MAX).then_some(referral)
    }

    /// The metainfo around this info dictionary.
    pub(super) fn around(&self, info: &[u8]) -> Result<Metainfo, MetainfoError> {
        let envelope = BASE64_STANDARD.decode(&self.envelope).unwrap_or_default();
        Metainfo::from_info(info, Envelope::parse(&envelope)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::exercise;
    use crate::net::fixture::Fixture;
    use proptest::prelude::*;

    #[test]
    fn a_metainfo_is_the_same_after_its_info_dictionary_came_another_way() {
        let mut metainfo = Fixture::new().metainfo;
        metainfo.envelope.trackers = vec![vec!["http://10.1.1.1:6969/announce".to_owned()]];
        metainfo.envelope.web_seeds = vec!["http://10.1.1.1/install/distributions/".to_owned()];
        metainfo.envelope.created_by = Some("rocks".to_owned());
        metainfo.envelope.creation_date_secs = Some(5);
        let holders = vec!["10.1.1.2:7000".parse().expect("an address"), "[fd00::7]:1".parse().expect("an address")];
        let referral = Referral::to(holders, 3, &metainfo);
        let answer = serde_json::to_vec(&referral).expect("JSON");
        let read = Referral::read(&answer).expect("a referral");
        assert_eq!(read, referral);
        assert_eq!(read.around(metainfo.raw_info()).as_ref(), Ok(&metainfo));
        assert!(read.around(b"de").is_err());
        assert_eq!(Referral::read(&metainfo.to_bytes()), None);
        assert_eq!(Referral::read(b"{}"), None);
        let giant = Referral { info_bytes: u32::MAX, ..referral };
        assert_eq!(Referral::read(&serde_json::to_vec(&giant).expect("JSON")), None, "longer than any metainfo");
        let spoilt = Referral { envelope: "!".to_owned(), ..read };
        assert!(spoilt.around(metainfo.raw_info()).is_err());
    }

    proptest! {
        #[test]
        fn an_answer_of_any_kind_is_refused_or_holds_together(
            any in prop::collection::vec(any::<u8>(), 0..200),
            holders in "[0-9.:,\"\\[\\]]{0,30}",
            info_bytes: u64,
            web_seed in "[ -~]{0,30}",
            at: prop::sample::Index,
        ) {
            let mut envelope = Vec::new();
            envelope.extend(b"d8:url-list");
            crate::torrent::bencode::put_bytes(&mut envelope, web_seed.as_bytes());
            envelope.push(b'e');
            let referral = |envelope: &[u8], holders: &str, info_bytes: u64| {
                let hash = "00".repeat(20);
                let envelope = BASE64_STANDARD.encode(envelope);
                format!(
                    r#"{{"holders":[{holders}],"depth":1,"info_hash":"{hash}","info_bytes":{info_bytes},"envelope":"{envelope}"}}"#
                )
            };
            let good = referral(&envelope, "", 5);
            prop_assert!(Referral::read(good.as_bytes()).is_some(), "{}", good);
            exercise::referral(good.as_bytes());
            exercise::referral(&any);
            exercise::referral(referral(&any, &holders, info_bytes).as_bytes());
            let mut spoilt = good.into_bytes();
            let at = at.index(spoilt.len());
            spoilt[at] ^= 1;
            exercise::referral(&spoilt);
        }
    }
}
