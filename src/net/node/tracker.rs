//! The way to the tracker: announces over HTTP, one tracker after the other; where none answers, the frontend answers in their
//! place, and is asked anew where they are.
//!
//! Invariant: each announce goes to the trackers first, and to nobody else while one of them answers in time.

use crate::net::http::client::{Client, Origin};
use crate::net::links::{Announced, Announcer};
use crate::net::log::Log;
use crate::swarm::AnnounceEvent;
use crate::torrent::{InfoHash, Metainfo, PeerId};
use crate::wire::{self, Announce, http::Reply};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long one announce may take.
const ANNOUNCE_SECS_MAX: u64 = 5;
/// How long the trackers may be silent before the frontend is asked beside them.
const SILENT: Duration = Duration::from_secs(1);
/// Trackers that are asked, of those that the metainfo names.
const TRACKERS_MAX: usize = 8;
/// Between two questions to the frontend where the trackers are, at least.
const LOOK_AGAIN_SECS_MIN: u64 = 1;

/// Where the trackers are, as the frontend told last.
struct Trackers {
    /// Asked again where none answers: a tracker may have been started, or moved, after the metainfo was taken.
    frontend: Arc<Client>,
    metainfo_path: String,
    info_hash: InfoHash,
    bind: Option<IpAddr>,
    known: Mutex<Known>,
    /// Whether the frontend answered last.
    are_silent: AtomicBool,
    log: Log,
}

struct Known {
    at: Arc<[(Client, String)]>,
    told: Instant,
    /// The `ETag` of what told it: of a whole operating system that is a megabyte, and a dead tracker has all ask for it.
    tag: Option<String>,
}

/// Announces to the trackers that the metainfo names, and to those that the frontend names later.
pub(super) fn announcer(
    metainfo: &Metainfo,
    metainfo_path: String,
    peer_id: PeerId,
    port: u16,
    bind: Option<IpAddr>,
    frontend: Arc<Client>,
    log: Log,
) -> Announcer {
    let info_hash = metainfo.info_hash();
    let known = Known { at: clients(metainfo, bind, frontend.origin()), told: Instant::now(), tag: None };
    let (known, are_silent) = (Mutex::new(known), AtomicBool::new(false));
    let trackers = Arc::new(Trackers { frontend, metainfo_path, info_hash, bind, known, are_silent, log });
    Arc::new(move |event, left_bytes, totals| {
        let announce = Announce {
            uploaded_bytes: totals.sent_bytes,
            downloaded_bytes: totals.from_frontend_bytes + totals.from_peers_bytes,
            left_bytes,
            event: match event {
                AnnounceEvent::Started => wire::Event::Started,
                AnnounceEvent::Completed => wire::Event::Completed,
                AnnounceEvent::Interval => wire::Event::Periodic,
                AnnounceEvent::Stopped => wire::Event::Stopped,
            },
            ..Announce::new(info_hash, peer_id, port)
        };
        let trackers = Arc::clone(&trackers);
        Box::pin(async move { trackers.announce(&announce).await })
    })
}

impl Trackers {
    async fn announce(&self, announce: &Announce) -> Announced {
        let known = Arc::clone(&self.known().at);
        let asked = ask_each(&known, announce);
        tokio::pin!(asked);
        let has_failed = match timeout(SILENT, &mut asked).await {
            Ok(Some(answer)) => {
                self.note(false);
                return Some(answer);
            }
            Ok(None) => true,
            Err(_) => false,
        };
        tokio::select! {
            Some(answer) = &mut asked, if !has_failed => Some(answer),
            Some(answer) = self.ask_elsewhere(announce) => Some(answer),
            else => None,
        }
    }

    /// Asks the frontend in the trackers' place, and where they are by now. Who is told of another tracker goes there next
    /// time; at once, where the frontend does not stand in.
    async fn ask_elsewhere(&self, announce: &Announce) -> Announced {
        let (answer, newer) = tokio::join!(ask(&self.frontend, "/install/announce", announce), self.look_again());
        if answer.is_some() {
            self.note(true);
            return answer;
        }
        ask_each(&newer?, announce).await
    }

    /// Says in the log when trackers fall silent, and when they answer again.
    fn note(&self, are_silent: bool) {
        if self.are_silent.swap(are_silent, Ordering::Relaxed) == are_silent {
            return;
        }
        match are_silent {
            true => self.log.warning("tracker-silent", &[("instead", self.frontend.origin())]),
            false => self.log.info("tracker-answers", &[]),
        }
    }

    /// Takes the metainfo again, not too often, for the trackers it names now.
    async fn look_again(&self) -> Option<Arc<[(Client, String)]>> {
        let tag = {
            let mut known = self.known();
            if known.told.elapsed() < Duration::from_secs(LOOK_AGAIN_SECS_MIN) {
                return None;
            }
            known.told = Instant::now();
            known.tag.clone()
        };
        let limit = Duration::from_secs(ANNOUNCE_SECS_MAX);
        let newer = timeout(limit, self.frontend.get_newer(&self.metainfo_path, tag.as_deref())).await.ok()?.ok()?;
        let (bytes, tag) = newer?;
        let metainfo = Metainfo::parse(&bytes).ok().filter(|metainfo| metainfo.info_hash() == self.info_hash)?;
        let at = clients(&metainfo, self.bind, self.frontend.origin());
        let mut known = self.known();
        (known.at, known.tag) = (Arc::clone(&at), tag);
        Some(at)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics while the trackers are looked at")
    }
}

/// The trackers that can be reached by HTTP.
fn clients(metainfo: &Metainfo, bind: Option<IpAddr>, frontend: &Origin) -> Arc<[(Client, String)]> {
    let urls = metainfo.envelope.trackers.iter().flatten();
    urls.filter_map(|url| Origin::parse(url).ok())
        .filter(|(origin, _)| !origin.is_secure || origin == frontend)
        .take(TRACKERS_MAX)
        .map(|(origin, path)| (Client::new(origin, bind), path))
        .collect()
}

async fn ask_each(trackers: &[(Client, String)], announce: &Announce) -> Announced {
    for (client, path) in trackers {
        if let Some(answer) = ask(client, path, announce).await {
            return Some(answer);
        }
    }
    None
}

async fn ask(client: &Client, path: &str, announce: &Announce) -> Announced {
    let joint = if path.contains('?') { '&' } else { '?' };
    let path = format!("{path}{joint}{}", wire::http::announce_query(announce));
    let limit = Duration::from_secs(ANNOUNCE_SECS_MAX);
    let body = timeout(limit, client.get_whole(&path, &[])).await.ok()?.ok()?;
    match wire::http::read_announce_reply(&body).ok()? {
        Reply::Peers(reply) => {
            let peers = reply.peers.iter().map(|peer| peer.address).collect();
            Some((peers, Duration::from_secs(u64::from(reply.interval_secs.clamp(1, 3600)))))
        }
        Reply::Failure { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fixture::{Fixture, client, logged};
    use crate::swarm::Totals;
    use crate::wire::AnnounceReply;
    use crate::wire::http::{put_announce_reply, put_head};
    use std::collections::VecDeque;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    /// What a server does with its next question; it goes on with the last.
    #[derive(Debug, Clone, Copy)]
    enum Mood {
        Answers,
        Closes,
        SaysNothing,
    }

    /// Answers announces with one peer, and everything else with a document; notes what it was asked for.
    struct Server {
        at: SocketAddr,
        moods: Arc<Mutex<VecDeque<Mood>>>,
        asked: Arc<Mutex<Vec<String>>>,
        document: Arc<Mutex<Vec<u8>>>,
    }

    impl Server {
        async fn start(peer: SocketAddr) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let at = listener.local_addr().expect("bound");
            let (moods, asked, document) =
                (Arc::new(Mutex::new([Mood::Answers].into())), Arc::default(), Arc::default());
            let server = Self { at, moods, asked, document };
            let (moods, asked) = (Arc::clone(&server.moods), Arc::clone(&server.asked));
            let document = Arc::clone(&server.document);
            tokio::spawn(async move {
                while let Ok((tcp, _)) = listener.accept().await {
                    tokio::spawn(Self::serve(tcp, peer, Arc::clone(&moods), Arc::clone(&asked), Arc::clone(&document)));
                }
            });
            server
        }

        async fn serve(
            mut tcp: TcpStream,
            peer: SocketAddr,
            moods: Arc<Mutex<VecDeque<Mood>>>,
            asked: Arc<Mutex<Vec<String>>>,
            document: Arc<Mutex<Vec<u8>>>,
        ) -> std::io::Result<()> {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                if tcp.read_buf(&mut head).await? == 0 {
                    return Ok(());
                }
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split([' ', '?']).nth(1).expect("a path").to_owned();
            asked.lock().expect("no panic").push(path.clone());
            let mood = {
                let mut moods = moods.lock().expect("no panic");
                if moods.len() > 1 { moods.pop_front() } else { moods.front().copied() }
            };
            let (mut out, mut body) = (Vec::new(), document.lock().expect("no panic").clone());
            match mood.expect("it has one") {
                Mood::Answers if path.ends_with("/announce") => {
                    let reply =
                        AnnounceReply { interval_secs: 30, peers: vec![peer.into()], ..AnnounceReply::default() };
                    body.clear();
                    put_announce_reply(&mut body, &reply, true);
                }
                Mood::Answers => {}
                Mood::Closes => return Ok(()),
                Mood::SaysNothing => return std::future::pending().await,
            }
            put_head(&mut out, "200 OK", body.len(), false);
            out.extend(body);
            tcp.write_all(&out).await
        }

        fn feels(&self, moods: &[Mood]) {
            *self.moods.lock().expect("no panic") = moods.iter().copied().collect();
        }

        fn asked(&self) -> Vec<String> {
            std::mem::take(&mut self.asked.lock().expect("no panic"))
        }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[tokio::test]
    async fn the_frontend_is_asked_while_no_tracker_answers_and_no_longer_and_where_they_are_by_now() {
        let (by_tracker, by_frontend) = (address("10.1.2.1:1"), address("10.1.2.2:2"));
        let (tracker, frontend) = (Server::start(by_tracker).await, Server::start(by_frontend).await);
        let moved = Server::start(address("10.1.2.3:3")).await;
        let mut metainfo = Fixture::new().metainfo;
        metainfo.envelope.trackers = vec![vec![format!("http://{}/announce", tracker.at)]];
        let (log, lines) = logged();
        let own = Arc::new(client(frontend.at, "127.0.0.1"));
        let announces = announcer(&metainfo, "/m".to_owned(), PeerId::new([1; 12]), 7, None, own, log);
        let announce = async || {
            let (peers, interval) = announces(AnnounceEvent::Interval, 1, Totals::default()).await?;
            assert_eq!(interval, Duration::from_secs(30));
            Some(peers)
        };
        assert_eq!(announce().await, Some(vec![by_tracker]));
        assert_eq!(frontend.asked(), [""; 0], "while a tracker answers the frontend is not asked");
        for mood in [Mood::Closes, Mood::SaysNothing] {
            tracker.feels(&[mood]);
            assert_eq!(announce().await, Some(vec![by_frontend]), "{mood:?}");
            assert!(frontend.asked().contains(&"/install/announce".to_owned()));
            tracker.feels(&[Mood::Answers]);
            assert_eq!(announce().await, Some(vec![by_tracker]), "it is back");
            assert_eq!(frontend.asked(), [""; 0]);
        }
        // Both are away, then the tracker alone is back.
        tracker.feels(&[Mood::Closes]);
        frontend.feels(&[Mood::Closes]);
        assert_eq!(announce().await, None);
        tracker.feels(&[Mood::Answers]);
        assert_eq!(announce().await, Some(vec![by_tracker]));
        // The tracker was moved: the frontend stands in once, and says where it is.
        tracker.feels(&[Mood::Closes]);
        frontend.feels(&[Mood::Answers]);
        metainfo.envelope.trackers = vec![vec![format!("http://{}/announce", moved.at)]];
        *frontend.document.lock().expect("no panic") = metainfo.to_bytes();
        tokio::time::sleep(Duration::from_secs(LOOK_AGAIN_SECS_MIN)).await;
        assert_eq!(announce().await, Some(vec![by_frontend]));
        assert_eq!(announce().await, Some(vec![address("10.1.2.3:3")]));
        let lines = lines.lock().expect("a list").join("\n");
        assert_eq!(lines.matches("event=tracker-silent").count(), 3, "{lines}");
        assert_eq!(lines.matches("event=tracker-answers").count(), 3, "{lines}");
    }
}
