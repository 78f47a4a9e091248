//! A machine among peers over real sockets.

use super::{Announcer, Member, Setup, Supply};
use crate::cache::Cache;
use crate::net::fixture::Fixture;
use crate::net::log::Log;
use crate::swarm::{Event, SessionConfig};
use crate::torrent::{InfoHash, PeerId, PieceIndex};
use crate::wire::{HANDSHAKE_BYTES, Handshake, Message};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// A peer that has everything, gives to everybody, and lies.
async fn lie(mut tcp: TcpStream, info_hash: InfoHash, lies: Arc<AtomicU32>) -> std::io::Result<()> {
    tcp.read_exact(&mut [0; HANDSHAKE_BYTES]).await?;
    let mut out = Vec::new();
    Handshake::ours(info_hash, PeerId::new([9; 12])).encode(&mut out);
    Message::HaveAll.encode(&mut out);
    Message::Unchoke.encode(&mut out);
    tcp.write_all(&out).await?;
    let mut buffer = Vec::new();
    loop {
        while let Ok(Some((message, length))) = Message::decode(&buffer) {
            let mut out = Vec::new();
            if let Message::Request(block) = message {
                lies.fetch_add(1, Ordering::Relaxed);
                let data = vec![0xA5; block.length_bytes as usize];
                Message::Piece { piece: block.piece, offset_bytes: block.offset_bytes, data: &data }.encode(&mut out);
            }
            buffer.drain(..length);
            tcp.write_all(&out).await?;
        }
        if tcp.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_lies_is_banned_and_the_set_is_complete_without_it() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let listener = TcpListener::bind("127.1.0.2:0").await.expect("loopback");
    let (liar, info_hash) = (listener.local_addr().expect("bound"), fixture.metainfo.info_hash());
    let (lies, visits) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (told, came) = (Arc::clone(&lies), Arc::clone(&visits));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            came.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(lie(tcp, info_hash, Arc::clone(&told)));
        }
    });
    // The honest seed is named only once the liar was asked.
    let (asked, seed) = (Arc::clone(&lies), running.peers);
    let announcer: Announcer = Arc::new(move |_, _, _| {
        let known = if asked.load(Ordering::Relaxed) == 0 { vec![liar] } else { vec![liar, seed] };
        Box::pin(async move { Some((known, Duration::from_millis(200))) })
    });
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&lines);
    let cache = Arc::new(Cache::in_memory(fixture.metainfo.clone()));
    let member = Member::join(Setup {
        config: SessionConfig { frontend: Some(seed), web_seed: false, ..SessionConfig::machine(PeerId::new([1; 12])) },
        seed_value: 1,
        supply: Supply::Cache(Arc::clone(&cache)),
        web_seed: None,
        announcer: Some(announcer),
        bind: Some("127.1.0.1".parse().expect("an address")),
        upload: None,
        download: None,
        log: Log::new(move |_, line| seen.lock().expect("no panic").push(line.to_owned())),
    });
    let layout = fixture.metainfo.layout();
    let pieces = layout.files().iter().filter(|file| !file.is_pad).flat_map(|file| layout.pieces_of(file));
    let pieces: Vec<PieceIndex> = pieces.collect();
    member.event(Event::Want { pieces: pieces.clone() }).await;
    let mut progress = member.progress();
    let complete = progress.wait_for(|progress| progress.is_complete);
    tokio::time::timeout(Duration::from_secs(60), complete).await.expect("in time").expect("the swarm is alive");
    assert!(lies.load(Ordering::Relaxed) > 0, "the liar was asked");
    let lines = lines.lock().expect("no panic").join("\n");
    assert!(lines.contains("event=peer-banned"), "{lines}");
    assert_eq!(visits.load(Ordering::Relaxed), 1, "who is banned is not asked again");
    assert!(pieces.iter().all(|piece| cache.has(*piece)));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knocks_over_udp_is_refused_and_then_gone_to() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let listener = TcpListener::bind("127.1.0.1:0").await.expect("loopback");
    let knocking = UdpSocket::bind(listener.local_addr().expect("bound")).await.expect("nobody has that port");
    let syn = [&[0x41, 0, 7, 9][..], &[0; 16]].concat();
    let mut answer = [0; 64];
    let patience = Duration::from_secs(60);
    let refused = async {
        knocking.send_to(&syn, running.peers).await.expect("sent");
        knocking.recv_from(&mut answer).await.expect("received")
    };
    let (length, from) = tokio::time::timeout(patience, refused).await.expect("in time");
    assert_eq!((length, from, &answer[..4]), (20, running.peers, &[0x31, 0, 7, 9][..]));
    let came = async {
        let (mut tcp, _) = listener.accept().await.expect("accepted");
        let mut hello = [0; HANDSHAKE_BYTES];
        tcp.read_exact(&mut hello).await.expect("it speaks first");
        Handshake::decode(&hello).expect("a handshake").expect("all of it").0
    };
    let theirs = tokio::time::timeout(patience, came).await.expect("in time");
    assert_eq!(theirs.info_hash, fixture.metainfo.info_hash());
}

/// A seed of a tree that is not what was published: one file is gone, another one has new content of the old length.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_gone_from_the_tree_cost_themselves_and_nothing_else() {
    use super::hostile::Site;
    use crate::net::tree::Tree;
    let fixture = Fixture::new();
    let tree = fixture.folder.path().join("tree");
    let (gone, changed) = ("p03+1~a.rpm", "repodata/repomd.xml");
    std::fs::remove_file(tree.join(gone)).expect("it was there");
    std::fs::write(tree.join(changed), b"<REPOMD/>").expect("written");
    let supply = Supply::Tree { metainfo: fixture.metainfo.clone(), tree: Arc::new(Tree::new(tree)) };
    let seed = Site::open(SessionConfig::seed(PeerId::new([2; 12])), supply).await;
    let cache = Cache::in_memory(fixture.metainfo.clone());
    let config = SessionConfig { frontend: Some(seed.at), ..SessionConfig::machine(PeerId::new([1; 12])) };
    let machine = Site::open(config, Supply::Cache(Arc::new(cache))).await;
    let layout = fixture.metainfo.layout();
    machine.member.event(Event::Want { pieces: layout.pieces().collect() }).await;
    let missing: usize =
        [gone, changed].iter().map(|path| layout.pieces_of(layout.file(path).expect("a file")).len()).sum();
    let there = layout.piece_count() - missing as u32;
    let mut progress = machine.member.progress();
    let coming = progress.wait_for(|progress| progress.pieces == there);
    let came = tokio::time::timeout(Duration::from_secs(60), coming).await.is_ok();
    let named = |file: &str| {
        let lines = seed.lines.lock().expect("no panic");
        lines.iter().filter(|line| line.contains("event=file-gone") && line.contains(file)).count()
    };
    let naming = async {
        while named(gone) == 0 || named(changed) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let are_named = tokio::time::timeout(Duration::from_secs(60), naming).await.is_ok();
    let (seed_said, machine_said) = (seed.lines.lock().expect("no panic"), machine.lines.lock().expect("no panic"));
    assert!(came, "{} of {there} pieces; {seed_said:#?} {machine_said:#?}", machine.member.progress().borrow().pieces);
    assert!(are_named, "{seed_said:#?}");
    assert!(machine_said.iter().all(|line| !line.contains("banned")), "{machine_said:#?}");
}
