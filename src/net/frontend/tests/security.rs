//! The sentences of SECURITY.md that are about a frontend and its machines.

use super::*;
use crate::net::fixture::logged;
use crate::net::frontend::{Running, Security};
use crate::net::http::client::{Client, Origin};
use crate::net::log::Log;
use crate::net::tls::{self, Believer};
use crate::trust::{Fingerprint, Keys, SnapshotClaim};
use std::collections::HashSet;
use tokio::net::{TcpSocket, TcpStream};

/// A client that asks over TLS from this address, believing the authority of this cluster.
pub(super) fn secure_client(running: &Running, fixture: &Fixture, from: &str) -> Client {
    let (origin, _) = Origin::parse(&format!("https://{}", running.http)).expect("a URL");
    let config = Believer::new(Some(pin(fixture))).config().expect("a configuration");
    Client::new(origin, Some(from.parse().expect("an address"))).with_tls(Some(config))
}

pub(super) fn pin(fixture: &Fixture) -> Fingerprint {
    let pem = std::fs::read(fixture.folder.path().join("keys/authority.pem")).expect("made by serve");
    tls::fingerprint(&pem).expect("a certificate")
}

/// The boot script of the first host, as asked for by this client.
pub(super) async fn boot_script(client: &Client) -> String {
    let text = client.get_whole(&format!("/install/boot/{MAC}"), &[]).await.expect("a script");
    String::from_utf8_lossy(&text).into_owned()
}

pub(super) fn token_in(script: &str) -> String {
    let after = script.split("?token=").nth(1).expect("a token");
    after.split_ascii_whitespace().next().expect("its end").to_owned()
}

pub(super) async fn refused(client: &Client, path: &str, headers: &[(&str, &str)], with: &str) {
    let error = client.get_whole(path, headers).await.expect_err("it is refused").to_string();
    assert!(error.contains("403") && error.contains(with), "{path}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_token_of_this_installation_over_tls_opens_the_door() {
    let fixture = Fixture::new();
    let (log, lines) = logged();
    let running = fixture.serve_as(Security::Strict, log).await;
    let in_the_clear = client(running.http, "127.1.0.1");
    let token = token_in(&boot_script(&in_the_clear).await);
    let card = format!("eth0 {MAC}");
    for path in [PROFILE, "/install/manifest"] {
        in_the_clear.set_token(Some(token.clone()));
        refused(&in_the_clear, path, &[], "over TLS").await;
        let known = secure_client(&running, &fixture, "127.1.0.1");
        refused(&known, path, &[], "no install token").await;
        refused(&known, path, &[("X-RHN-Provisioning-MAC-0", &card)], "no install token").await;
        let stranger = secure_client(&running, &fixture, "127.1.0.9");
        stranger.set_token(Some(token.clone()));
        refused(&stranger, path, &[("X-RHN-Provisioning-MAC-0", &card)], "rocks set-host compute-0-0 --ip").await;
        let other = secure_client(&running, &fixture, "127.1.0.2");
        other.set_token(Some(token.clone()));
        refused(&other, path, &[], "for host 'compute-0-0'").await;
    }
    let asked = secure_client(&running, &fixture, "127.1.0.1").post_whole("/install/token").await;
    assert!(asked.expect_err("not where strict").to_string().contains("403"));
    let known = secure_client(&running, &fixture, "127.1.0.1");
    assert_eq!(report(&known, Phase::Installed).await, 403, "nothing without a token ends an installation");
    known.set_token(Some(token.clone()));
    for path in [PROFILE, "/install/manifest", PROFILE] {
        known.get_whole(path, &[]).await.expect("a token is good for many requests");
    }
    assert_eq!(report(&known, Phase::Fetching).await, 200);
    assert_eq!(report(&known, Phase::Installed).await, 200);
    refused(&known, PROFILE, &[], "is not to install").await;
    fixture.store.write("again", |writer| writer.set_boot(&first_host(), BootAction::Install)).expect("written");
    refused(&known, PROFILE, &[], "has ended").await;
    known.set_token(Some(token_in(&boot_script(&in_the_clear).await)));
    known.get_whole(PROFILE, &[]).await.expect("the token of the new installation");
    let lines = lines.lock().expect("no panic").join("\n");
    for (event, hint) in [
        ("event=token-refused address=127.1.0.1", "the token stands in the boot script of compute-0-0"),
        ("event=host-unknown address=127.1.0.9", "rocks set-host compute-0-0 --ip 127.1.0.9"),
        ("event=host-not-installing address=127.1.0.1", "rocks set-boot compute-0-0 install"),
    ] {
        let line = lines.lines().find(|line| line.starts_with(event));
        assert!(line.is_some_and(|line| line.contains(&format!("hint=\"{hint}"))), "{event}: {lines}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boot_script_tells_its_token_to_the_hosts_own_address_and_nobody_changes_anything_by_asking() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let generation = || fixture.store.read(|reader| reader.generation()).expect("read");
    let boot = |host: &HostName| fixture.store.read(|reader| reader.boot(host)).expect("read");
    let before = generation();
    let stranger = client(running.http, "127.1.0.9");
    assert!(!boot_script(&stranger).await.contains("token="));
    let other = client(running.http, "127.1.0.2");
    assert!(!boot_script(&other).await.contains("token="));
    for (method, path) in [("POST", "/install/token"), ("DELETE", PROFILE), ("PUT", "/install/distributions/el9/x")] {
        let status = stranger.send(method, path, &[], Some(bytes::Bytes::new())).await.expect("an answer").status;
        assert!(matches!(status, 403 | 405), "{method} {path}: {status}");
    }
    assert_eq!(report(&stranger, Phase::Installed).await, 403);
    // What is to be written is written in its order: when the second host's beginning is in the store, a change of the
    // first one's would be.
    let second = HostName::parse("compute-0-1").expect("a name");
    other.get_whole("/install/boot/52:54:00:00:00:02", &[]).await.expect("a script");
    while boot(&second).was_never_told() {
        tokio::task::yield_now().await;
    }
    assert!(boot(&first_host()).was_never_told(), "nobody but the host changed anything");
    assert_eq!(generation(), before + 1);
    let own = boot_script(&client(running.http, "127.1.0.1")).await;
    while boot(&first_host()).was_never_told() {
        tokio::task::yield_now().await;
    }
    let keys = Keys::open_or_create(fixture.folder.path(), Duration::ZERO).expect("keys");
    let token = token_in(&own);
    keys.token.verify(crate::net::since_1970(), "compute-0-0", 1, &token).expect("its first installation");
    let (pin, key) = (pin(&fixture), keys.signing.public());
    for word in [format!("rocks.pin={pin}"), format!("rocks.token={token}"), format!("rocks.key={key}")] {
        assert!(own.split_ascii_whitespace().any(|there| there == word), "{word}: {own}");
    }
    let kickstart = stranger.get_whole(&format!("/install/kickstart?token={token}"), &[]).await;
    let kickstart = String::from_utf8_lossy(&kickstart.expect("the first Kickstart")).into_owned();
    for argument in [format!("--pin {pin}"), format!("--token {token}"), format!("--key {key}")] {
        assert!(kickstart.contains(&argument), "{argument}: {kickstart}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_its_boot_line_installs_from_a_strict_frontend_and_no_log_tells_a_secret() {
    let fixture = Fixture::new();
    fixture.write("graphs/nodes/base.xml", "<kickstart><post>echo $6$salt$hash</post></kickstart>");
    let (log, lines) = logged();
    let running = fixture.serve_as(Security::Strict, log.clone()).await;
    let token = token_in(&boot_script(&client(running.http, "127.1.0.1")).await);
    let told =
        node::Options { token: Some(token.clone()), pin: Some(pin(&fixture)), ..options(&running, &fixture, 1, false) };
    let summary = tokio::task::spawn_blocking(move || node::fetch(told, log, |_| {})).await.expect("joined");
    summary.expect("a complete set");
    let kickstart = std::fs::read_to_string(fixture.folder.path().join("ks.cfg-1")).expect("written");
    assert!(kickstart.contains("$6$salt$hash"), "{kickstart}");
    let untold = node::Options { pin: Some(pin(&fixture)), ..options(&running, &fixture, 2, false) };
    let fetched = tokio::task::spawn_blocking(move || node::fetch(untold, Log::silent(), |_| {})).await;
    let error = fetched.expect("joined").expect_err("without the token of its boot line").to_string();
    assert!(error.contains("403") && error.contains("boot script"), "{error}");
    let lines = lines.lock().expect("no panic").join("\n");
    assert!(lines.contains("event=set-complete") && lines.contains("event=install"), "{lines}");
    assert!(!lines.contains(&token) && !lines.contains("$hash"), "{lines}");
    let code = token.rsplit('.').next().expect("its code");
    assert!(!lines.contains(code), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_clusters_authority_is_believed() {
    let (fixture, elsewhere) = (Fixture::new(), Fixture::new());
    let (running, other) = (fixture.serve().await, elsewhere.serve().await);
    let path = "/install/distributions/el9/p11+1~a.rpm";
    let believing = secure_client(&running, &fixture, "127.1.0.9");
    assert_eq!(believing.get_whole(path, &[]).await.expect("over TLS"), fixture.content("p11+1~a.rpm"));
    let stranger = secure_client(&running, &elsewhere, "127.1.0.9");
    assert!(stranger.get_whole(path, &[]).await.is_err(), "another cluster's authority");
    other.stop().await;
    let without =
        node::Options { frontend: format!("https://{}", running.http), ..options(&running, &fixture, 1, false) };
    let error = tokio::task::spawn_blocking(move || node::fetch(without, Log::silent(), |_| {})).await;
    assert!(error.expect("joined").expect_err("nobody to believe").to_string().contains("--pin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_takes_no_distribution_but_the_one_its_cluster_has_signed() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let name = crate::cluster::DistributionName::parse("el9").expect("a name");
    let publish = |metainfo: &Metainfo| {
        let bytes = metainfo.to_bytes();
        fixture.store.write("published", |writer| writer.put_metainfo(&name, &bytes)).expect("written");
    };
    let fetch = |key: Option<crate::trust::PublicKey>| {
        let told = node::Options { key, ..options(&running, &fixture, 1, true) };
        async { tokio::task::spawn_blocking(move || node::fetch(told, Log::silent(), |_| {})).await.expect("joined") }
    };
    let elsewhere = tempfile::tempdir().expect("a folder");
    let stranger = Keys::open_or_create(elsewhere.path(), crate::net::since_1970()).expect("keys").signing;
    assert!(fetch(Some(stranger.public())).await.expect_err("not its key").to_string().contains("is wrong"));
    let claim = SnapshotClaim { distribution: "el9", serial: 1, info_hash: fixture.metainfo.info_hash().0 };
    let mut forged = fixture.metainfo.clone();
    forged.envelope.own.insert(crate::distribution::SIGNATURE_KEY.to_owned(), stranger.sign(&claim).to_vec());
    publish(&forged);
    assert!(fetch(None).await.expect_err("signed by a stranger").to_string().contains("is wrong"));
    let mut unsigned = fixture.metainfo.clone();
    unsigned.envelope.own.clear();
    publish(&unsigned);
    assert!(fetch(None).await.expect_err("not signed").to_string().contains("is not signed"));
    publish(&fixture.metainfo);
    fetch(None).await.expect("the cluster's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seed_hangs_up_on_strangers_before_the_handshake() {
    let fixture = Fixture::new();
    let (log, lines) = logged();
    let running = fixture.serve_as(Security::default(), log).await;
    assert!(greet(&running, &fixture, 1).await.is_some(), "a host that is to install");
    assert!(greet(&running, &fixture, 9).await.is_none(), "nobody's address");
    fixture.store.write("not now", |writer| writer.set_boot(&first_host(), BootAction::Os)).expect("written");
    assert!(greet(&running, &fixture, 1).await.is_none(), "a host that is not to install");
    let lines = lines.lock().expect("no panic").join("\n");
    assert!(lines.contains("event=peer-refused address=127.1.0.9"), "{lines}");
}

/// Shakes hands with the seed, as a client of any make at 127.1.0.N does; none where it hangs up.
pub(super) async fn greet(running: &Running, fixture: &Fixture, number: u8) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 1, 0, number], 0).into()).expect("loopback");
    let mut peer = socket.connect(running.peers).await.expect("connected");
    let mut handshake = Vec::new();
    let us = PeerId::new([number; 12]);
    Handshake::ours(fixture.metainfo.info_hash(), us).encode(&mut handshake);
    let _ = peer.write_all(&handshake).await;
    let mut answer = [0; HANDSHAKE_BYTES];
    peer.read_exact(&mut answer).await.ok().map(|_| peer)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seed_hangs_up_on_whose_installation_ends_while_he_is_connected() {
    let fixture = Fixture::with(5, 0);
    let running = fixture.serve().await;
    let mut peers = Vec::new();
    for number in 1..=5 {
        peers.push(greet(&running, &fixture, number).await.expect("a host that is to install"));
    }
    let [mut installed, mut ended, mut removed, mut moved, stays] = <[TcpStream; 5]>::try_from(peers).expect("five");
    let host = |number: u8| HostName::parse(&format!("compute-0-{number}")).expect("a name");
    let its_own = client(running.http, "127.1.0.1");
    its_own.get_whole(PROFILE, &[]).await.expect("it is to install");
    assert_eq!(report(&its_own, Phase::Installed).await, 200);
    let changed = fixture.store.write("others end by hand", |writer| {
        writer.set_boot(&host(1), BootAction::Os)?;
        writer.remove_host(&host(2))?;
        let mut there = writer.host(&host(3))?;
        there.interfaces[0].ip = Some([127, 1, 0, 33].into());
        writer.set_host(&there)
    });
    changed.expect("written");
    for peer in [&mut installed, &mut ended, &mut removed, &mut moved] {
        let mut sent = Vec::new();
        let hung_up = tokio::time::timeout(PATIENCE, peer.read_to_end(&mut sent)).await;
        assert!(hung_up.is_ok(), "{:?} is still served", peer.local_addr());
    }
    let left = running.shared.seeds.door().linked().await;
    assert_eq!(left, HashSet::from([stays.local_addr().expect("an address").ip()]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_whose_card_was_believed_once_speaks_for_nobody() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    // Root of the frontend's own machine looks at a profile; other users have the same address.
    let own_machine = client(running.http, "127.0.0.1");
    let card = format!("eth0 {MAC}");
    own_machine.get_whole(PROFILE, &[("X-RHN-Provisioning-MAC-0", &card)]).await.expect("by its card");
    assert_eq!(report(&own_machine, Phase::Installed).await, 403);
    let its_own = client(running.http, "127.1.0.1");
    assert_eq!(report(&its_own, Phase::Fetching).await, 200);
    running.stop().await;
}
