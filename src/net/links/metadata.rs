//! The info dictionary from one peer (BEP 9), for a machine that is in no swarm yet.
//!
//! Nothing is believed: what comes is the info dictionary when its digest is the name of the swarm. How long to wait for
//! a peer is for the caller to say.

use super::link;
use crate::net::http;
use crate::net::rate::Bucket;
use crate::torrent::{InfoHash, sha1};
use crate::wire::{self, Extensions, Message, MetadataMessage, metadata_parts};
use bytes::{Buf, BytesMut};
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Parts that are asked for and have not come, at most.
const ASKED_MAX: u32 = 16;
/// The number under which we want to hear of the info dictionary.
const OUR_ID: u8 = 1;

/// Which info dictionary.
#[derive(Debug, Clone, Copy)]
pub(in crate::net) struct WantedInfo {
    /// The name of its swarm.
    pub(in crate::net) info_hash: InfoHash,
    /// Its length.
    pub(in crate::net) length_bytes: u32,
}

/// Takes the info dictionary from a peer; says how many of its parts are there where nobody has got further.
pub(in crate::net) async fn info_from(
    peer: SocketAddr,
    bind: Option<IpAddr>,
    wanted: WantedInfo,
    download: Option<&Bucket>,
    came: &watch::Sender<u32>,
) -> std::io::Result<Vec<u8>> {
    let tcp = http::connect(peer, bind).await?;
    let (us, _) = crate::net::swarm_identity();
    // It may not be in the swarm itself yet: then its answer comes when it is.
    let (theirs, buffer) = link::greet(&tcp, wanted.info_hash, us).await?;
    if !theirs.reserved.extended() {
        return Err(unfit("it speaks no extensions"));
    }
    let mut hello = Vec::new();
    if theirs.reserved.fast() {
        Message::HaveNone.encode(&mut hello);
    }
    let ids = BTreeMap::from([(wire::METADATA_NAME.to_owned(), OUR_ID)]);
    let payload = Extensions { ids, ..Extensions::default() }.encode();
    Message::Extended { id: wire::EXTENSION_HANDSHAKE_ID, payload: &payload }.encode(&mut hello);
    link::write_all(&tcp, &hello).await?;
    let mut taking = Taking { tcp, wanted, their_id: None, asked: 0, came: 0, info: Vec::new() };
    taking.run(buffer, download, came).await?;
    if InfoHash(sha1(&taking.info)) != wanted.info_hash {
        return Err(unfit("what it sent is not the info dictionary"));
    }
    Ok(taking.info)
}

/// An info dictionary of which the first parts are there.
struct Taking {
    tcp: TcpStream,
    wanted: WantedInfo,
    /// The number under which the peer hears of it.
    their_id: Option<u8>,
    /// Parts that were asked for, and those that came: one after the other, as they were asked for.
    asked: u32,
    came: u32,
    info: Vec<u8>,
}

impl Taking {
    async fn run(
        &mut self,
        mut buffer: BytesMut,
        download: Option<&Bucket>,
        came: &watch::Sender<u32>,
    ) -> std::io::Result<()> {
        while self.their_id.is_none() || self.info.len() < self.wanted.length_bytes as usize {
            let malformed = |error: wire::WireError| Error::new(ErrorKind::InvalidData, error.to_string());
            let Some((message, length)) = Message::decode(&buffer).map_err(malformed)? else {
                let before = buffer.len();
                link::read_some(&self.tcp, &mut buffer, link::READ_BYTES).await?;
                if let Some(bucket) = download {
                    bucket.take((buffer.len() - before) as u64).await;
                }
                continue;
            };
            match message {
                Message::Extended { id: wire::EXTENSION_HANDSHAKE_ID, payload } => {
                    self.hear_extensions(&Extensions::decode(payload).map_err(malformed)?)?;
                    self.ask().await?;
                }
                Message::Extended { id: OUR_ID, payload } => {
                    self.hear(MetadataMessage::decode(payload).map_err(malformed)?)?;
                    came.send_if_modified(|most| self.came > std::mem::replace(most, self.came.max(*most)));
                    self.ask().await?;
                }
                Message::Piece { .. } => return Err(unfit("it sends what nobody asked for")),
                _ => {}
            }
            buffer.advance(length);
        }
        Ok(())
    }

    fn hear_extensions(&mut self, theirs: &Extensions) -> std::io::Result<()> {
        let id = theirs.ids.get(wire::METADATA_NAME).copied().filter(|&id| id != 0);
        self.their_id = Some(id.ok_or_else(|| unfit("it gives no info dictionary"))?);
        match theirs.metadata_bytes == Some(self.wanted.length_bytes) {
            true => Ok(()),
            false => Err(unfit("its info dictionary is of another length")),
        }
    }

    fn hear(&mut self, message: MetadataMessage<'_>) -> std::io::Result<()> {
        let MetadataMessage::Data { part, data, .. } = message else {
            return Err(unfit("it turns down what it promised"));
        };
        let left = self.wanted.length_bytes as usize - self.info.len();
        if part != self.came || self.came >= self.asked || data.len() != left.min(wire::METADATA_PART_BYTES) {
            return Err(unfit("it sends what nobody asked for"));
        }
        self.info.extend_from_slice(data);
        self.came += 1;
        Ok(())
    }

    /// Asks for what may be asked for.
    async fn ask(&mut self) -> std::io::Result<()> {
        let Some(id) = self.their_id else { return Ok(()) };
        let parts = metadata_parts(self.wanted.length_bytes);
        let mut out = Vec::new();
        while self.asked < parts && self.asked - self.came < ASKED_MAX {
            let payload = MetadataMessage::Request { part: self.asked }.encode();
            Message::Extended { id, payload: &payload }.encode(&mut out);
            self.asked += 1;
        }
        link::write_all(&self.tcp, &out).await
    }
}

fn unfit(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::super::{Door, Member, Setup, Supply};
    use super::*;
    use crate::cache::Cache;
    use crate::net::log::Log;
    use crate::swarm::SessionConfig;
    use crate::torrent::{Metainfo, MetainfoBuilder, PeerId};
    use crate::wire::{HANDSHAKE_BYTES, Handshake, METADATA_PART_BYTES};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const PIECE: u32 = 16 << 10;

    /// A metainfo whose info dictionary has so many parts and a bit; nobody has its files.
    fn metainfo(parts: usize) -> Metainfo {
        let pieces = parts * METADATA_PART_BYTES / 20;
        let mut builder = MetainfoBuilder::new("el9", PIECE).expect("a name");
        let hashes = (0..pieces).map(|n| [n as u8; 20]).collect();
        builder.file("long", pieces as u64 * u64::from(PIECE), hashes).expect("a file");
        builder.finish().expect("metainfo")
    }

    fn wanted(metainfo: &Metainfo) -> WantedInfo {
        WantedInfo { info_hash: metainfo.info_hash(), length_bytes: metainfo.raw_info().len() as u32 }
    }

    async fn take(from: SocketAddr, wanted: WantedInfo) -> std::io::Result<Vec<u8>> {
        let (came, _) = watch::channel(0);
        let taking = info_from(from, Some([127, 6, 1, 1].into()), wanted, None, &came);
        tokio::time::timeout(Duration::from_secs(60), taking).await.expect("in time")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_machine_gives_what_its_metainfo_has_and_who_comes_too_soon_waits() {
        // More parts than are asked for at once.
        let metainfo = metainfo(ASKED_MAX as usize + 4);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("its address");
        let early = tokio::spawn(take(at, wanted(&metainfo)));
        let member = Member::join(Setup {
            config: SessionConfig { tracker: false, web_seed: false, ..SessionConfig::machine(PeerId::new([1; 12])) },
            seed_value: 7,
            supply: Supply::Cache(Arc::new(Cache::in_memory(metainfo.clone()))),
            web_seed: None,
            announcer: None,
            bind: None,
            upload: Some(Arc::new(Bucket::new(20_000_000))),
            download: None,
            log: Log::silent(),
        });
        let door = Door::new(|_| true, Log::silent());
        door.add(member.clone());
        tokio::spawn(door.run(listener));
        assert!(early.await.expect("no panic").expect("all of it") == metainfo.raw_info());
        assert!(take(at, wanted(&metainfo)).await.expect("again") == metainfo.raw_info());
        let other = WantedInfo { info_hash: InfoHash([7; 20]), ..wanted(&metainfo) };
        assert!(take(at, other).await.is_err(), "of another swarm there is nothing");
        member.stop().await;
    }

    /// A peer that shakes hands with everybody, says this, and then answers each request with that.
    async fn peer(wanted: WantedInfo, says: Vec<u8>, answer: impl Fn(u32) -> Vec<u8> + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("its address");
        tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await?;
            tcp.read_exact(&mut [0; HANDSHAKE_BYTES]).await?;
            let mut out = Vec::new();
            Handshake::ours(wanted.info_hash, PeerId::new([9; 12])).encode(&mut out);
            Message::Extended { id: 0, payload: &says }.encode(&mut out);
            tcp.write_all(&out).await?;
            let mut heard = Vec::new();
            loop {
                let mut out = Vec::new();
                while let Ok(Some((message, length))) = Message::decode(&heard) {
                    if let Message::Extended { id: 7, payload } = message
                        && let Ok(MetadataMessage::Request { part }) = MetadataMessage::decode(payload)
                    {
                        Message::Extended { id: OUR_ID, payload: &answer(part) }.encode(&mut out);
                    }
                    heard.drain(..length);
                }
                tcp.write_all(&out).await?;
                if tcp.read_buf(&mut heard).await? == 0 {
                    return Ok::<(), Error>(());
                }
            }
        });
        at
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_lies_is_found_out() {
        let metainfo = metainfo(2);
        let (wanted, info) = (wanted(&metainfo), metainfo.raw_info().to_vec());
        let says = |length: usize| format!("d1:md11:ut_metadatai7ee13:metadata_sizei{length}ee").into_bytes();
        let data = move |part, data: &[u8]| {
            let length_bytes = wanted.length_bytes;
            MetadataMessage::Data { part, length_bytes, data }.encode()
        };
        let part = move |info: &[u8], part| wire::metadata_part(info, part).expect("a part").to_vec();
        let honest = info.clone();
        let at = peer(wanted, says(info.len()), move |n| data(n, &part(&honest, n))).await;
        assert!(take(at, wanted).await.expect("an honest one") == info);
        let mut wrong = info.clone();
        *wrong.last_mut().expect("a byte") ^= 1;
        let at = peer(wanted, says(info.len()), move |n| data(n, &part(&wrong, n))).await;
        let error = take(at, wanted).await.expect_err("one bit is wrong").to_string();
        assert!(error.contains("not the info dictionary"), "{error}");
        for (length, reason) in [(info.len() + 1, "another length"), (0, "another length"), (1 << 31, "another length")]
        {
            let at = peer(wanted, says(length), move |n| data(n, &[])).await;
            let error = take(at, wanted).await.expect_err(reason).to_string();
            assert!(error.contains(reason), "{error}");
        }
        let at = peer(wanted, b"d1:mdee".to_vec(), move |n| data(n, &[])).await;
        let error = take(at, wanted).await.expect_err("it has none").to_string();
        assert!(error.contains("gives no info dictionary"), "{error}");
        let at = peer(wanted, says(info.len()), |part| MetadataMessage::Reject { part }.encode()).await;
        let error = take(at, wanted).await.expect_err("turned down").to_string();
        assert!(error.contains("turns down"), "{error}");
        let (short, other) = (info.clone(), info.clone());
        let unasked: [Box<dyn Fn(u32) -> Vec<u8> + Send>; 3] = [
            Box::new(move |n| data(n, &part(&short, n)[1..])),
            Box::new(move |n| data(n + 1, &part(&other, n))),
            Box::new(move |_| data(u32::MAX, &[0; METADATA_PART_BYTES])),
        ];
        for answer in unasked {
            let at = peer(wanted, says(info.len()), answer).await;
            let error = take(at, wanted).await.expect_err("not what was asked for").to_string();
            assert!(error.contains("nobody asked for"), "{error}");
        }
    }
}
