//! Machines that no tracker answers: they find each other through the frontend, by the tracker's own rules.

use super::security::greet;
use super::*;
use crate::cluster::Rate;
use crate::net::frontend::{Options, Running};
use crate::net::http::client::Client;
use crate::swarm::Listener;
use crate::torrent::InfoHash;
use crate::wire::http::{Reply, announce_query, read_announce_reply};
use crate::wire::{Announce, Extensions};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn host(number: u8) -> HostName {
    HostName::parse(&format!("compute-0-{}", number - 1)).expect("a name")
}

/// The machine at 127.1.0.N, which listens at port 7000 + N.
fn announce(fixture: &Fixture, number: u8) -> Announce {
    let id = PeerId::new([number; 12]);
    Announce { left_bytes: 1, ..Announce::new(fixture.metainfo.info_hash(), id, 7000 + u16::from(number)) }
}

async fn ask(client: &Client, query: &str) -> Reply {
    let answer = client.get_whole(&format!("/install/announce?{query}"), &[]).await.expect("an answer");
    read_announce_reply(&answer).expect("a tracker's answer")
}

/// Whom the machine is pointed at.
async fn named(running: &Running, fixture: &Fixture, number: u8) -> Vec<String> {
    let asks = client(running.http, &format!("127.1.0.{number}"));
    match ask(&asks, &announce_query(&announce(fixture, number))).await {
        Reply::Peers(reply) => {
            assert!((24..=36).contains(&reply.interval_secs), "the tracker's rhythm: {}", reply.interval_secs);
            reply.peers.iter().map(|peer| peer.address.to_string()).collect()
        }
        Reply::Failure { reason, .. } => panic!("{reason}"),
    }
}

async fn refusal(running: &Running, number: u8, query: &str) -> String {
    match ask(&client(running.http, &format!("127.1.0.{number}")), query).await {
        Reply::Peers(reply) => panic!("{reply:?}"),
        Reply::Failure { reason, .. } => reason,
    }
}

fn install(fixture: &Fixture, numbers: &[u8]) {
    let told = fixture.store.write("install", |writer| {
        numbers.iter().try_for_each(|number| writer.set_boot(&host(*number), BootAction::Install).map(drop))
    });
    told.expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_hosts_that_install_are_let_in_and_named_at_the_addresses_they_come_from() {
    let fixture = Fixture::with(4, 0);
    install(&fixture, &[1, 2]);
    let (log, lines) = crate::net::fixture::logged();
    let running = fixture.serve_as(super::super::Security::default(), log).await;
    let seed = running.peers.to_string();
    assert_eq!(named(&running, &fixture, 1).await, [seed.as_str()]);
    assert_eq!(named(&running, &fixture, 2).await, [seed.as_str(), "127.1.0.1:7001"]);
    let query = announce_query(&announce(&fixture, 3));
    assert!(refusal(&running, 3, &query).await.contains("rocks set-boot compute-0-2 install"));
    assert!(refusal(&running, 9, &query).await.contains("no host has the address '127.1.0.9'"));
    // Whatever somebody says of another address: his own is meant, or nobody's.
    let of_another = format!("{query}&ip=127.1.0.1&ipv4=127.1.0.1");
    let strangers = client(running.http, "127.1.0.9");
    let field = [("X-Forwarded-For", "127.1.0.1")];
    let answer = strangers.get_whole(&format!("/install/announce?{of_another}"), &field).await.expect("an answer");
    assert!(matches!(read_announce_reply(&answer), Ok(Reply::Failure { .. })));
    assert!(refusal(&running, 1, "info_hash=x").await.contains("info_hash"));
    let ended = fixture.store.write("ends", |writer| writer.set_boot(&host(1), BootAction::Os));
    ended.expect("written");
    assert_eq!(named(&running, &fixture, 2).await, [seed.as_str()], "who does not install any more is named to nobody");
    let known = client(running.http, "127.1.0.2");
    let numbers = known.get_whole("/metrics", &[]).await.expect("numbers");
    assert!(String::from_utf8_lossy(&numbers).contains("\nrocks_announces_total 3\n"));
    running.stop().await;
    let lines = lines.lock().expect("no panic").join("\n");
    assert_eq!(lines.matches("event=tracker-silent says=127.1.0.1 ").count(), 1, "{lines}");
    assert!(lines.contains("event=announce-refused address=127.1.0.9 "), "{lines}");
}

/// A host that was never told anything installs from its first question on, of which the store is told only in its turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_has_just_begun_is_let_in_as_soon_as_the_store_knows() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    client(running.http, "127.1.0.1").get_whole(PROFILE, &[]).await.expect("it begins");
    assert_eq!(named(&running, &fixture, 1).await, [running.peers.to_string()]);
    running.stop().await;
}

/// Waits until the seed knows where somebody listens.
async fn listeners(running: &Running, swarm: InfoHash) -> Vec<Listener> {
    let seed = running.shared.seeds.door().member(swarm).expect("it is seeded");
    let known = async {
        loop {
            let known = seed.listeners().await;
            if !known.is_empty() {
                return known;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, known).await.expect("it says where it listens")
}

/// One machine announces to the tracker and not here, or did so before this frontend was started anew.
#[tokio::test(flavor = "multi_thread")]
async fn whom_the_tracker_answers_is_named_too_while_he_is_connected_with_the_seed() {
    let fixture = Fixture::with(3, 0);
    install(&fixture, &[1, 2]);
    let swarm = fixture.metainfo.info_hash();
    for turn in ["a frontend", "one that is started anew"] {
        let running = fixture.serve().await;
        let mut peer = greet(&running, &fixture, 1).await.expect("it installs");
        // Who does not install cannot be connected; who does not say where it listens is named to nobody.
        let mute = greet(&running, &fixture, 2).await.expect("it installs");
        let mut said = Vec::new();
        let payload = Extensions { listen_port: Some(7777), ..Extensions::default() }.encode();
        Message::Extended { id: 0, payload: &payload }.encode(&mut said);
        peer.write_all(&said).await.expect("sent");
        let at: SocketAddr = "127.1.0.1:7777".parse().expect("an address");
        let found = listeners(&running, swarm).await;
        assert_eq!(found.iter().map(|there| there.address).collect::<Vec<_>>(), [at], "{turn}");
        assert_eq!(named(&running, &fixture, 2).await, [running.peers.to_string(), at.to_string()], "{turn}");
        drop((peer, mute));
        running.stop().await;
    }
}

/// No tracker runs at all, and the frontend sends no faster than one machine takes: whoever found nobody would take all of its set
/// from there.
#[tokio::test(flavor = "multi_thread")]
async fn machines_without_a_tracker_take_about_one_copy_from_the_frontend() {
    let machines = 6;
    let fixture = Fixture::with(machines, 0);
    install(&fixture, &(1..=machines).collect::<Vec<_>>());
    let rate = Some(Rate::parse("6mbit").expect("a rate"));
    let (listen, cluster) = ("127.0.0.1:0".parse().expect("an address"), fixture.folder.path().to_owned());
    let security = super::super::Security::default();
    let served = Options { listen, peer_port: 0, rate, cluster, security };
    let running = Running::start(&served, Arc::clone(&fixture.store), Log::silent()).await.expect("ports are free");
    let mut complete = Vec::new();
    for number in 1..=machines {
        let (log, line) = heard();
        // They stay until the last is complete.
        let linger = Duration::from_secs(3600);
        let options = node::Options { rate, linger, ..options(&running, &fixture, number, false) };
        std::thread::spawn(move || node::fetch(options, log, |_| {}));
        complete.push(line);
    }
    let all = async {
        while complete.iter().any(|line| line("event=set-complete").is_none()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("all are complete");
    let set: u64 = fixture.files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let shared = &running.shared;
    let sent = shared.seeds.sent_bytes() + shared.counters.package_bytes.load(Ordering::Relaxed);
    assert!(sent < 2 * set, "{:.2} copies for {machines} machines", sent as f64 / set as f64);
    assert!(shared.counters.announces.load(Ordering::Relaxed) >= u64::from(machines), "each has announced here");
    running.stop().await;
}
