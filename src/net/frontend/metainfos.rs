//! The metainfo of each distribution as machines are told it: with where they find the tracker, the seed and the tree.
//!
//! That of a whole operating system takes some 50 ms to read, to write and to pack, and a herd asks for it within a second:
//! so it is made once for all who are told the same, until an administrator changes anything. Nor does it leave the
//! frontend for each of them: who says at which port it gives to others is referred to others for the most of it.

use super::{Shared, boot, routes};
use crate::cluster::{DistributionName, Service};
use crate::net::NetError;
use crate::net::http::{Document, Request, Response};
use crate::net::referral::{PORT_PARAMETER, REFERRAL_TYPE, Referral};
use crate::store::{Reader, StoreError};
use crate::torrent::Metainfo;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Documents that are kept: one for each distribution and network of machines.
const KEPT_MAX: usize = 16;

/// A metainfo that is shorter than this, packed, is sent whole: an answer that refers to others would not be much shorter.
const REFERRED_BYTES_MIN: usize = 4 << 10;

/// What was made.
#[derive(Debug, Default)]
pub(super) struct Metainfos(Mutex<HashMap<Told, Arc<Made>>>);

/// A metainfo, and the document that it is sent as.
#[derive(Debug)]
struct Made {
    metainfo: Metainfo,
    document: Document,
}

/// What a document is made of: the store's facts, and what is put into the metainfo.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Told {
    generation: u64,
    distribution: DistributionName,
    tracker: Option<SocketAddr>,
    seed: Option<SocketAddr>,
    trees: String,
}

/// `/install/metainfo/NAME.torrent`.
pub(super) fn answer(shared: &Shared, request: &Request) -> Response {
    let path = request.head.target.decoded_path();
    let name = path.as_deref().and_then(|path| path.strip_prefix("/install/metainfo/")?.strip_suffix(".torrent"));
    let Some(distribution) = name.and_then(|name| DistributionName::parse(name).ok()) else {
        return Response::text(404, "no such distribution");
    };
    match shared.metainfos.get(shared, request, &distribution) {
        Ok(Some(made)) => match made.referral(shared, request) {
            Some(referral) => Response::new(200, REFERRAL_TYPE, serde_json::to_vec(&referral).unwrap_or_default())
                .with("Cache-Control", "no-store"),
            None => made.document.answer("application/x-bittorrent", &request.head.headers),
        },
        Ok(None) => Response::text(404, "no such distribution"),
        Err(error) => boot::failed(shared, &error),
    }
}

impl Metainfos {
    fn get(
        &self,
        shared: &Shared,
        request: &Request,
        distribution: &DistributionName,
    ) -> Result<Option<Arc<Made>>, NetError> {
        let machine = request.peer.ip().to_canonical();
        let trees = format!("{}{}", boot::package_url(request), routes::TREES);
        let told = |reader: &Reader| Told::by(reader, machine, distribution, &trees);
        let now = shared.store.read(told)?;
        // Whoever comes while it is made waits for it.
        let mut kept = self.0.lock().expect("nobody panics while holding the documents");
        if let Some(made) = kept.get(&now) {
            return Ok(Some(Arc::clone(made)));
        }
        let (told, raw) = shared.store.read(|reader| Ok((told(reader)?, reader.metainfo(distribution)?)))?;
        let Some(raw) = raw else { return Ok(None) };
        let mut metainfo = Metainfo::parse(&raw).map_err(|error| NetError::Said(error.to_string()))?;
        told.put_into(&mut metainfo);
        let document = Document::tagged(metainfo.to_bytes());
        let made = Arc::new(Made { metainfo, document });
        kept.retain(|there, _| there.generation == told.generation);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(told, Arc::clone(&made));
        Ok(Some(made))
    }
}

impl Made {
    /// To whom a machine is referred that gives to others itself; to nobody where it is not installing.
    fn referral(&self, shared: &Shared, request: &Request) -> Option<Referral> {
        let port = request.head.target.query_value(PORT_PARAMETER)?.parse().ok().filter(|&port| port != 0_u16)?;
        let machine = SocketAddr::new(request.peer.ip().to_canonical(), port);
        let is_installing = |address: IpAddr| shared.board.is_installing_at(address);
        if self.document.packed_bytes() < REFERRED_BYTES_MIN || !is_installing(machine.ip()) {
            return None;
        }
        let info_hash = self.metainfo.info_hash();
        let (holders, depth) = shared.holders.refer(Instant::now(), info_hash, machine, is_installing)?;
        Some(Referral::to(holders, depth, &self.metainfo))
    }
}

impl Told {
    /// What the machine at this address is told.
    fn by(reader: &Reader, machine: IpAddr, distribution: &DistributionName, trees: &str) -> Result<Self, StoreError> {
        let (endpoints, networks) = (reader.endpoints()?, reader.networks()?);
        let at = |service| {
            let endpoint = endpoints.iter().find(|endpoint| endpoint.service == service)?;
            endpoint.address_for(machine, &networks)
        };
        Ok(Self {
            generation: reader.facts_generation()?,
            distribution: distribution.clone(),
            tracker: at(Service::Track),
            seed: at(Service::Seed),
            trees: trees.to_owned(),
        })
    }

    fn put_into(&self, metainfo: &mut Metainfo) {
        let envelope = &mut metainfo.envelope;
        envelope.trackers = self.tracker.map(|at| vec![format!("http://{at}/announce")]).into_iter().collect();
        envelope.web_seeds = vec![self.trees.clone()];
        if let Some(seed) = self.seed {
            envelope.own.insert("seed".to_owned(), seed.to_string().into_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Endpoint;
    use crate::net::fixture::{Fixture, client};

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_made_once_follows_every_change() {
        let fixture = Fixture::new();
        let running = fixture.serve().await;
        let path = "/install/metainfo/el9.torrent";
        let anybody = client(running.http, "127.1.0.1");
        let told = async || {
            let bytes = anybody.get_whole(path, &[]).await.expect("metainfo");
            Metainfo::parse(&bytes).expect("metainfo").envelope
        };
        let kept = || running.shared.metainfos.0.lock().expect("no panic").values().cloned().collect::<Vec<_>>();
        assert!(told().await.trackers.is_empty(), "there is none yet");
        let first = kept();
        assert_eq!(told().await.own.get("seed"), Some(&running.peers.to_string().into_bytes()));
        assert!(first.len() == 1 && Arc::ptr_eq(&first[0], &kept()[0]), "made once");
        let newer = async |tag: Option<&str>| anybody.get_newer(path, tag).await.expect("an answer");
        let (bytes, tag) = newer(None).await.expect("the document");
        assert_eq!(bytes, anybody.get_whole(path, &[]).await.expect("metainfo"), "it may come packed");
        assert_eq!(newer(tag.as_deref()).await, None, "who has it is not sent it again");
        let at: SocketAddr = "127.0.0.1:7102".parse().expect("an address");
        let endpoint = Endpoint { service: Service::Track, addresses: vec![at], since: jiff::Timestamp::UNIX_EPOCH };
        fixture.store.write("a tracker", |writer| writer.set_endpoint(&endpoint)).expect("written");
        assert_eq!(told().await.trackers, [["http://127.0.0.1:7102/announce"]]);
        assert!(newer(tag.as_deref()).await.is_some(), "it is another one now");
        let mut other = fixture.metainfo.clone();
        other.envelope.created_by = Some("another hand".to_owned());
        let name = DistributionName::parse("el9").expect("a name");
        fixture.store.write("again", |writer| writer.put_metainfo(&name, &other.to_bytes())).expect("written");
        assert_eq!(told().await.created_by.as_deref(), Some("another hand"));
        assert_eq!(kept().len(), 1, "what nobody is told any more is not kept");
        let error = anybody.get_whole("/install/metainfo/none.torrent", &[]).await.expect_err("there is none");
        assert!(error.to_string().contains("404"), "{error}");
        running.stop().await;
    }
}
