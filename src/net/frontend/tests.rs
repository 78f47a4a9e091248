//! A frontend from outside: over real sockets on loopback.

mod held;
mod renamed;
mod secrets;
mod security;
mod snapshots;
mod stand_in;
mod strangers;
mod twice;

use super::super::fixture::{Fixture, MAC, assert_open_metrics, client};
use super::super::log::Log;
use super::super::node::{self, Summary};
use super::super::referral::Referral;
use super::super::report::{Phase, Report};
use super::{MachineStatus, StatusDocument};
use crate::cluster::{Attribute, AttributeName, BootAction, HostName, InstallState, Scope};
use crate::net::links::{WEB_SEED_HEADER, encode_path};
use crate::profile::Manifest;
use crate::torrent::{Metainfo, PeerId};
use crate::wire::{BlockRequest, HANDSHAKE_BYTES, Handshake, Message};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Far longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

const PROFILE: &str = "/install/profile";

fn first_host() -> HostName {
    HostName::parse("compute-0-0").expect("a name")
}

async fn report(from: &super::super::http::client::Client, phase: Phase) -> u16 {
    let body = serde_json::to_vec(&Report { phase, bytes: 5, total_bytes: 10, ..Report::default() }).expect("JSON");
    from.post("/install/events", &[], body.into()).await.expect("an answer").status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_gets_its_profile_by_address_or_card_and_nobody_else_does() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let known = client(running.http, "127.1.0.1");
    let profile = known.get_whole(PROFILE, &[]).await.expect("its profile");
    assert!(String::from_utf8_lossy(&profile).contains("first"));
    assert_eq!(known.get_whole(PROFILE, &[]).await.expect("again"), profile);
    let stranger = client(running.http, "127.1.0.9");
    let error = stranger.get_whole(PROFILE, &[]).await.expect_err("nobody's address");
    assert!(error.to_string().contains("403") && error.to_string().contains("rocks add-host"), "{error}");
    let card = format!("eth0 {MAC}");
    let by_card = stranger.get_whole(PROFILE, &[("X-RHN-Provisioning-MAC-0", &card)]).await.expect("by its card");
    assert_eq!(by_card, profile);
    let shared = std::sync::Arc::downgrade(&running.shared);
    running.stop().await;
    assert!(shared.upgrade().is_none(), "nothing holds on to what has ended, so that nothing is waited for");
    assert!(known.get(PROFILE, &[]).await.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_attribute_and_an_edited_node_file_are_in_the_next_profile() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let known = client(running.http, "127.1.0.1");
    known.get_whole(PROFILE, &[]).await.expect("its profile");
    let motto = AttributeName::parse("motto").expect("a name");
    let attribute = Attribute { scope: Scope::Global, name: motto, value: "carpe diem".to_owned() };
    fixture.store.write("a motto", |writer| writer.set_attribute(&attribute)).expect("written");
    let changed = known.get_whole(PROFILE, &[]).await.expect("its profile");
    assert!(String::from_utf8_lossy(&changed).contains("first carpe diem"));
    fixture.write("graphs/nodes/base.xml", "<kickstart><post>and another thing</post></kickstart>");
    let edited = known.get_whole(PROFILE, &[]).await.expect("its profile");
    assert!(String::from_utf8_lossy(&edited).contains("and another thing"));
    fixture.write("graphs/nodes/base.xml", "<kickstart><post>");
    let error = known.get_whole(PROFILE, &[]).await.expect_err("a broken node file");
    assert!(error.to_string().contains("base.xml"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installed_machine_falls_back_to_its_disk_by_itself() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let known = client(running.http, "127.1.0.1");
    let script = || async {
        let text = known.get_whole(&format!("/install/boot/{}", MAC.replace(':', "-")), &[]).await.expect("a script");
        String::from_utf8_lossy(&text).into_owned()
    };
    assert!(script().await.contains("inst.ks=http://127.0.0.1:"));
    known.get_whole(PROFILE, &[]).await.expect("its profile");
    assert_eq!(report(&known, Phase::Fetching).await, 200);
    assert_eq!(report(&client(running.http, "127.1.0.9"), Phase::Installed).await, 403, "nobody speaks for another");
    assert_eq!(report(&known, Phase::Installed).await, 200);
    let begun = Instant::now();
    let boot = loop {
        let boot = fixture.store.read(|reader| reader.boot(&first_host())).expect("read");
        if boot.state == Some(InstallState::Installed) || begun.elapsed() > Duration::from_secs(20) {
            break boot;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((boot.state, boot.action), (Some(InstallState::Installed), BootAction::Os));
    assert!(script().await.contains("sanboot"));
    let error = known.get_whole(PROFILE, &[]).await.expect_err("it is installed");
    assert!(error.to_string().contains("rocks set-boot compute-0-0 install"), "{error}");
    fixture.store.write("again", |writer| writer.set_boot(&first_host(), BootAction::Install)).expect("written");
    known.get_whole(PROFILE, &[]).await.expect("its profile again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goodbye_is_acknowledged_once_it_is_in_the_store() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let known = client(running.http, "127.1.0.1");
    known.get_whole(PROFILE, &[]).await.expect("its profile");
    let state = || fixture.store.read(|reader| reader.boot(&first_host())).expect("read").state;
    assert_eq!(report(&known, Phase::Installed).await, 200);
    assert_eq!(state(), Some(InstallState::Installed), "no wait between the answer and this look");
    running.stop().await;
    // Its acknowledgement may be lost with the frontend: the next one takes the same goodbye.
    let running = fixture.serve().await;
    assert_eq!(report(&client(running.http, "127.1.0.1"), Phase::Installed).await, 200);
    assert_eq!(report(&client(running.http, "127.1.0.1"), Phase::Fetching).await, 403);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_never_ends_does_not_loop_for_ever() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let known = client(running.http, "127.1.0.1");
    let told = |reader: &crate::store::Reader| reader.boot(&first_host());
    let mut begun = 0;
    loop {
        let script = known.get_whole(&format!("/install/boot/{MAC}"), &[]).await.expect("its script");
        if !String::from_utf8_lossy(&script).contains("installs el9") {
            break;
        }
        // A script that is asked for again before anything was begun counts for nothing.
        known.get_whole(&format!("/install/boot/{MAC}"), &[]).await.expect("its script");
        known.get_whole(PROFILE, &[]).await.expect("its profile");
        while fixture.store.read(told).expect("read").state != Some(InstallState::Installing) {
            tokio::task::yield_now().await;
        }
        begun += 1;
    }
    assert_eq!(begun, crate::store::INSTALLS_IN_A_ROW_MAX);
    while fixture.store.read(told).expect("read").action != BootAction::Os {
        tokio::task::yield_now().await;
    }
    let boot = fixture.store.read(told).expect("read");
    assert_eq!((boot.action, boot.state), (BootAction::Os, Some(InstallState::Failed)));
    assert!(boot.note.expect("why").contains("never said goodbye"));
    assert!(known.get(PROFILE, &[]).await.expect("an answer").status == 403);
    assert_eq!(shown(&known).await, ["compute-0-0 failed began 3 times and never said goodbye"]);
    running.stop().await;
    // A person sees it, also on the board of a frontend that was started after it.
    let running = fixture.serve().await;
    let known = client(running.http, "127.1.0.1");
    assert_eq!(shown(&known).await, ["compute-0-0 failed began 3 times and never said goodbye"], "after a restart");
    fixture.store.write("again", |writer| writer.set_boot(&first_host(), BootAction::Install)).expect("written");
    known.get_whole(PROFILE, &[]).await.expect("one command installs it again");
    assert_eq!(shown(&known).await, ["compute-0-0 starting "]);
    running.stop().await;
}

/// The machines on the board, with their phase and the first half of what is told of them.
async fn shown(from: &super::super::http::client::Client) -> Vec<String> {
    let status = from.get_whole("/status.json", &[]).await.expect("the status");
    let status: StatusDocument = serde_json::from_slice(&status).expect("JSON");
    let message = |row: &MachineStatus| row.report.message.clone().unwrap_or_default();
    let told = |row: &MachineStatus| message(row).split(':').next().unwrap_or_default().to_owned();
    status.machines.iter().map(|row| format!("{} {} {}", row.host, row.report.phase.as_str(), told(row))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pads_are_zeros_for_whoever_asks_and_are_not_counted() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let anybody = client(running.http, "127.1.0.9");
    let pad = fixture.metainfo.layout().files().iter().find(|file| file.is_pad).expect("files are padded");
    let path = format!("/install/distributions/el9/{}", pad.path.as_str());
    let whole = anybody.get_whole(&path, &[]).await.expect("the pad");
    assert_eq!(whole, vec![0; pad.length_bytes as usize]);
    let part = anybody.get(&path, &[("Range", "bytes=1-2")]).await.expect("an answer");
    let range = format!("bytes 1-2/{}", pad.length_bytes);
    assert_eq!((part.status, part.headers.get("content-range")), (206, Some(range.as_str())));
    assert_eq!(part.whole().await.expect("two bytes"), [0, 0][..]);
    let refused = anybody.get(&path, &[("Range", &format!("bytes={}-", pad.length_bytes))]).await.expect("an answer");
    assert_eq!(refused.status, 416);
    let metrics = anybody.get_whole("/metrics", &[]).await.expect("numbers");
    let metrics = String::from_utf8_lossy(&metrics).into_owned();
    let counted = metrics.lines().find(|line| line.starts_with("rocks_http_package_bytes")).expect("it is counted");
    assert!(counted.ends_with(" 0"), "{counted}");
    let endless = "/install/distributions/el9/.pad/1099511627776";
    assert_eq!(anybody.get(endless, &[]).await.expect("an answer").status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_are_served_with_ranges_and_validators_and_nothing_leaves_the_tree() {
    let fixture = Fixture::new();
    fixture.write("secret", "never sent");
    let running = fixture.serve().await;
    let anybody = client(running.http, "127.1.0.9");
    let name = "p11+1~a.rpm";
    let path = format!("/install/distributions/el9/{name}");
    let content = fixture.content(name);
    let whole = anybody.get(&path, &[]).await.expect("an answer");
    let (etag, changed) = (whole.headers.get("etag"), whole.headers.get("last-modified"));
    let (etag, changed) = (etag.expect("a validator").to_owned(), changed.expect("a date").to_owned());
    assert_eq!(whole.whole().await.expect("the file"), content);
    assert_eq!(anybody.get_whole(&path.replace('+', "%2B").replace('~', "%7e"), &[]).await.expect("encoded"), content);
    let get = |headers: Vec<(&'static str, String)>| {
        let (anybody, path) = (&anybody, &path);
        async move {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = anybody.get(path, &headers).await.expect("an answer");
            (answer.status, answer.headers.get("content-range").map(str::to_owned), answer.whole().await.expect("body"))
        }
    };
    let length = content.len();
    assert_eq!(
        get(vec![("Range", "bytes=100-299".into())]).await,
        (206, Some(format!("bytes 100-299/{length}")), content[100..300].to_vec().into())
    );
    assert_eq!(get(vec![("Range", format!("bytes={length}-"))]).await.0, 416);
    assert_eq!(get(vec![("If-None-Match", etag.clone())]).await.0, 304);
    assert_eq!(get(vec![("If-Modified-Since", changed)]).await.0, 304);
    assert_eq!(get(vec![("If-Range", etag), ("Range", "bytes=0-0".into())]).await.2, content[..1]);
    assert_eq!(get(vec![("If-Range", "\"old\"".into()), ("Range", "bytes=0-0".into())]).await.2.len(), length);
    for (path, headers) in [(path.clone(), &[("Range", "bytes=0-9")]), (path.replace("el9/", "el9//"), &[("X", "y")])] {
        let head = anybody.send("HEAD", &path, headers, None).await.expect("an answer");
        assert_eq!((head.status, head.headers.number("content-length")), (200, Some(length as u64)), "{path}");
    }
    for path in
        ["el9/../secret", "el9/..%2fsecret", "el9/%2e%2e/secret", "el9//etc/passwd", "el9/repodata", "../x", "no/x"]
    {
        let answer = anybody.get(&format!("/install/distributions/{path}"), &[]).await.expect("an answer");
        assert_eq!(answer.status, 404, "{path}");
    }
    let status = anybody.get_whole("/status.json", &[]).await.expect("status");
    let status: super::StatusDocument = serde_json::from_slice(&status).expect("JSON");
    assert_eq!(status.package_bytes_sent, 2 * length as u64 + 200 + 1 + length as u64);
    assert!(!anybody.get_whole("/", &[]).await.expect("a page").is_empty());
    let metrics = anybody.get_whole("/metrics", &[]).await.expect("metrics");
    let metrics = String::from_utf8(metrics.to_vec()).expect("text");
    assert_open_metrics(&metrics);
    let sent = 2 * length + 200 + 1 + length;
    assert!(metrics.contains(&format!("\nrocks_http_package_bytes_total {sent}\n")), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metainfo_says_where_the_seed_and_the_tree_are() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let known = client(running.http, "127.1.0.1");
    let manifest = known.get_whole("/install/manifest", &[]).await.expect("its manifest");
    let manifest: Manifest = serde_json::from_slice(&manifest).expect("JSON");
    let distribution = manifest.distribution.expect("a distribution");
    assert_eq!(distribution.install_set.len(), 12);
    let bytes = known.get_whole(&distribution.metainfo_path, &[]).await.expect("metainfo");
    let metainfo = Metainfo::parse(&bytes).expect("metainfo");
    assert_eq!(metainfo.info_hash().to_string(), distribution.info_hash);
    assert_eq!(metainfo.envelope.own.get("seed"), Some(&running.peers.to_string().into_bytes()));
    assert_eq!(metainfo.envelope.web_seeds, [format!("http://{}/install/distributions/", running.http)]);
}

/// A peer that takes everything it is offered, again and again, and never has any of it.
async fn takes_without_end(seed: std::net::SocketAddr, metainfo: Metainfo) -> std::io::Result<()> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind("127.1.0.2:0".parse().expect("an address"))?;
    let mut tcp = socket.connect(seed).await?;
    let mut out = Vec::new();
    Handshake::ours(metainfo.info_hash(), PeerId::new([2; 12])).encode(&mut out);
    Message::HaveNone.encode(&mut out);
    Message::Interested.encode(&mut out);
    tcp.write_all(&out).await?;
    tcp.read_exact(&mut [0; HANDSHAKE_BYTES]).await?;
    let mut heard = Vec::new();
    loop {
        let mut out = Vec::new();
        while let Ok(Some((message, length))) = Message::decode(&heard) {
            if let Message::Have(piece) = message {
                let length_bytes = metainfo.layout().payload_len(metainfo.layout().index(piece).expect("one"));
                Message::Request(BlockRequest { piece, offset_bytes: 0, length_bytes }).encode(&mut out);
            }
            heard.drain(..length);
        }
        tcp.write_all(&out).await?;
        if tcp.read_buf(&mut heard).await? == 0 {
            return Ok(());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_seed_is_at_work_the_swarm_is_turned_away_over_http_and_the_installer_never() {
    let fixture = Fixture::new();
    let options = super::Options {
        listen: "127.0.0.1:0".parse().expect("an address"),
        peer_port: 0,
        rate: Some("400kB/s".parse().expect("a rate")),
        cluster: fixture.folder.path().to_owned(),
        security: super::Security::default(),
    };
    let running = super::Running::start(&options, std::sync::Arc::clone(&fixture.store), Log::silent());
    let running = running.await.expect("ports are free");
    let (known, stranger) = (client(running.http, "127.1.0.1"), client(running.http, "127.1.0.9"));
    known.get_whole(PROFILE, &[]).await.expect("it begins to install");
    let get_from = async |from: &super::super::http::client::Client, name: &str, headers: &[(&str, &str)]| {
        let path = format!("/install/distributions/el9/{}", encode_path(name));
        let mut answer = from.get(&path, headers).await.expect("an answer");
        let retry_after = answer.headers.get("retry-after").map(str::to_owned);
        let mut body = Vec::new();
        while let Some(bytes) = answer.next().await.expect("all of it") {
            body.extend_from_slice(&bytes);
        }
        (answer.status, retry_after, body)
    };
    let get = async |name: &str, headers: &[(&str, &str)]| get_from(&known, name, headers).await;
    let (long, short) = ("p11+1~a.rpm", "p02+1~a.rpm");
    let for_the_swarm = [(WEB_SEED_HEADER, "yes")];
    assert_eq!(get(short, &for_the_swarm).await.0, 200, "the seed has nothing to do");
    let taking = tokio::spawn(takes_without_end(running.peers, fixture.metainfo.clone()));
    let turned_away = async {
        loop {
            let answer = get(long, &for_the_swarm).await;
            if answer.0 != 200 {
                return answer;
            }
        }
    };
    let (status, retry_after, _) = tokio::time::timeout(PATIENCE, turned_away).await.expect("the seed is at work");
    assert_eq!((status, retry_after.as_deref()), (503, Some("1")));
    for _ in 0..3 {
        // The installer through its door, and stock clients, ask without that word.
        assert_eq!(get(short, &[]).await, (200, None, fixture.content(short).to_vec()));
        let part = get(short, &[("Range", "bytes=0-99")]).await;
        assert_eq!(part, (206, None, fixture.content(short)[..100].to_vec()));
    }
    // Strangers have no share to be turned away from, and take nothing of the machines'.
    assert_eq!(get_from(&stranger, short, &for_the_swarm).await.0, 200);
    taking.abort();
    let let_in = async { while get(long, &for_the_swarm).await.0 != 200 {} };
    tokio::time::timeout(PATIENCE, let_in).await.expect("the seed has nothing to do any more");
}

/// How machine `number` of the fixture fetches.
fn options(running: &super::Running, fixture: &Fixture, number: u8, http_only: bool) -> node::Options {
    let file = |name: &str| Some(fixture.folder.path().join(format!("{name}-{number}")));
    node::Options {
        frontend: format!("http://{}", running.http),
        kickstart: file("ks.cfg"),
        cache: file("cache"),
        proxy: None,
        bind: Some(format!("127.1.0.{number}").parse().expect("an address")),
        peer_port: 0,
        exits_when_complete: true,
        linger: Duration::ZERO,
        http_only,
        everything: false,
        rate: None,
        summary: file("summary"),
        patience: Duration::from_secs(5),
        key: None,
        token: None,
        authority: None,
        pin: None,
        plain: false,
    }
}

/// Runs a machine in a thread, as its program would.
fn machine(
    running: &super::Running,
    fixture: &Fixture,
    number: u8,
    http_only: bool,
) -> std::thread::JoinHandle<Summary> {
    let options = options(running, fixture, number, http_only);
    std::thread::spawn(move || node::fetch(options, Log::silent(), |_| {}).expect("a complete set"))
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_bring_their_sets_in_over_http_and_from_the_seed() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let set: u64 = fixture.files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let machines = [machine(&running, &fixture, 1, true), machine(&running, &fixture, 2, false)];
    for (machine, number) in machines.into_iter().zip(1..) {
        let summary = tokio::task::spawn_blocking(|| machine.join().expect("no panic")).await.expect("joined");
        assert_eq!((summary.frontend_bytes, summary.peer_bytes), (set, 0), "machine {number}");
        let kickstart =
            std::fs::read_to_string(fixture.folder.path().join(format!("ks.cfg-{number}"))).expect("written");
        assert!(kickstart.contains("p00"), "{kickstart}");
        let told = std::fs::read(fixture.folder.path().join(format!("summary-{number}"))).expect("written");
        let told: Summary = serde_json::from_slice(&told).expect("JSON");
        assert_eq!(told.frontend_bytes, set);
        assert!(!fixture.folder.path().join(format!("cache-{number}")).exists(), "the cache goes with the machine");
    }
    let known = client(running.http, "127.1.0.1");
    let status = known.get_whole("/status.json", &[]).await.expect("status");
    let status: super::StatusDocument = serde_json::from_slice(&status).expect("JSON");
    assert_eq!(status.counts.get("installed"), Some(&2));
    assert_eq!((status.http_bytes_sent, status.seed_bytes_sent), (set, set));
}

/// A log, and a wait for a line in it that begins with these words.
fn heard() -> (Log, impl Fn(&str) -> Option<String>) {
    let (log, lines) = super::super::fixture::logged();
    let line =
        move |begins: &str| lines.lock().expect("no panic").iter().find(|line| line.starts_with(begins)).cloned();
    (log, line)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_machines_get_the_metainfo_and_give_it_to_the_others() {
    let fixture = Fixture::with(8, 300);
    let running = fixture.serve().await;
    // The first is a real machine, which stays; it has its metainfo once it says so.
    let (log, line) = heard();
    let first = node::Options { linger: Duration::from_secs(3600), ..options(&running, &fixture, 1, false) };
    std::thread::spawn(move || node::fetch(first, log, |_| {}));
    let complete = async {
        while line("event=set-complete").is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, complete).await.expect("the first is complete");
    let path = "/install/metainfo/el9.torrent";
    let whole = client(running.http, "127.1.0.1").get_whole(path, &[]).await.expect("the metainfo");
    for number in 2..=4 {
        let known = client(running.http, &format!("127.1.0.{number}"));
        known.get_whole(PROFILE, &[]).await.expect("it begins to install");
        let told = known.get_whole(&format!("{path}?port=9"), &[]).await.expect("an answer");
        assert_eq!(told, whole, "machine {number} is one of the first");
    }
    // Two that are referred to it take it from there.
    for number in 5..=6 {
        let (log, line) = heard();
        let options = options(&running, &fixture, number, false);
        let machine = std::thread::spawn(move || node::fetch(options, log, |_| {}).expect("a complete set"));
        tokio::task::spawn_blocking(|| machine.join().expect("no panic")).await.expect("joined");
        let from = line("event=metainfo from=").expect("it says who gave it");
        assert!(from.starts_with("event=metainfo from=127.1.0.1:") && from.contains("depth=1"), "{from}");
    }
    // Who installs and does not say that it will give it, and who does not install, get it whole.
    let seventh = client(running.http, "127.1.0.7");
    assert_eq!(seventh.get_whole(&format!("{path}?port=9"), &[]).await.expect("an answer"), whole);
    seventh.get_whole(PROFILE, &[]).await.expect("it begins to install");
    for query in ["", "?port=0", "?port=70000", "?port=x"] {
        assert_eq!(seventh.get_whole(&format!("{path}{query}"), &[]).await.expect("an answer"), whole, "{query}");
    }
    let asked = |client: super::super::http::client::Client| async move {
        let answer = client.get(&format!("{path}?port=9"), &[]).await.expect("an answer");
        let kind = answer.headers.get("content-type").map(str::to_owned);
        let tagged = answer.headers.get("etag").is_some();
        (kind, tagged, answer.whole().await.expect("all of it"))
    };
    let (kind, tagged, body) = asked(seventh).await;
    assert_eq!((kind.as_deref(), tagged), (Some("application/json"), false), "{}", String::from_utf8_lossy(&body));
    let referral = Referral::read(&body).expect("a referral");
    assert_eq!(referral.holders[1..], ["127.1.0.2:9".parse().expect("an address")]);
    assert!(body.len() * 4 < whole.len(), "{} of {}", body.len(), whole.len());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_referred_to_the_dead_asks_the_frontend() {
    let fixture = Fixture::with(8, 300);
    let running = fixture.serve().await;
    let mute = tokio::net::TcpListener::bind("127.1.0.1:0").await.expect("a port");
    for number in 1..=4 {
        let known = client(running.http, &format!("127.1.0.{number}"));
        known.get_whole(PROFILE, &[]).await.expect("it begins to install");
        // The first never answers, nobody listens at the port of the second.
        let port = if number == 1 { mute.local_addr().expect("bound").port() } else { 9 };
        let path = format!("/install/metainfo/el9.torrent?port={port}");
        known.get_whole(&path, &[]).await.expect("an answer");
    }
    let (log, line) = heard();
    let options = options(&running, &fixture, 5, false);
    let machine = std::thread::spawn(move || node::fetch(options, log, |_| {}).expect("a complete set"));
    tokio::task::spawn_blocking(|| machine.join().expect("no panic")).await.expect("joined");
    assert!(line("event=metainfo from=frontend").is_some());
    assert!(line("event=metainfo-refused by=127.1.0.2:9").is_some());
    // Over HTTP alone there is nobody to ask but the frontend.
    let (log, line) = heard();
    let options = self::options(&running, &fixture, 6, true);
    let machine = std::thread::spawn(move || node::fetch(options, log, |_| {}).expect("a complete set"));
    tokio::task::spawn_blocking(|| machine.join().expect("no panic")).await.expect("joined");
    assert!(line("event=metainfo").is_none());
    running.stop().await;
}
