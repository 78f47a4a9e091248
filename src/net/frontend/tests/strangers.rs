//! What somebody tries who has no right to what he asks for: another machine's address, a token of another host or of
//! another time, a path, a page for whoever looks at it.

use super::security::{boot_script, pin, refused, secure_client, token_in};
use super::*;
use crate::net::fixture::logged;
use crate::net::frontend::Security;
use crate::net::http::client::Client;
use crate::net::report::ReportAnswer;
use crate::trust::{Keys, TOKEN_LIFETIME};
use bytes::Bytes;

const SECOND_MAC: &str = "52:54:00:00:00:02";

async fn script_of(mac: &str, client: &Client) -> String {
    let text = client.get_whole(&format!("/install/boot/{mac}"), &[]).await.expect("a script");
    String::from_utf8_lossy(&text).into_owned()
}

/// Waits until the store knows that the first host is installing.
async fn is_installing(fixture: &Fixture) {
    let state = || fixture.store.read(|reader| reader.boot(&first_host())).expect("read").state;
    while state() != Some(InstallState::Installing) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_believed_of_the_host_itself_alone_and_renews_a_token_that_grows_old() {
    let fixture = Fixture::new();
    let running = fixture.serve_as(Security::Strict, Log::silent()).await;
    let (first, second) =
        (secure_client(&running, &fixture, "127.1.0.1"), secure_client(&running, &fixture, "127.1.0.2"));
    let first_token = token_in(&boot_script(&client(running.http, "127.1.0.1")).await);
    let second_token = token_in(&script_of(SECOND_MAC, &client(running.http, "127.1.0.2")).await);
    let said = async |from: &Client, token: &str| {
        from.set_token(Some(token.to_owned()));
        report(from, Phase::Fetching).await
    };
    for round in ["before it is on the board", "on the board"] {
        assert_eq!(said(&first, &second_token).await, 403, "{round}: another's token");
        assert_eq!(said(&second, &first_token).await, 403, "{round}: from another's address");
        assert_eq!(said(&first, &first_token).await, 200, "{round}");
        assert_eq!(said(&second, &second_token).await, 200, "{round}");
    }
    // A token of another time.
    let keys = Keys::open_or_create(fixture.folder.path(), Duration::ZERO).expect("keys");
    let now = crate::net::since_1970();
    let aged = |age: Duration, install_id| keys.token.issue(now - age, "compute-0-0", install_id);
    first.set_token(Some(aged(TOKEN_LIFETIME, 1)));
    assert_eq!(report(&first, Phase::Fetching).await, 403, "an hour is over");
    refused(&first, PROFILE, &[], "has expired").await;
    let renewed = async |phase, age: Duration, install_id| {
        first.set_token(Some(aged(age, install_id)));
        let body = serde_json::to_vec(&Report { phase, ..Report::default() }).expect("JSON");
        let answer = first.post("/install/events", &[], body.into()).await.expect("an answer");
        let answer: ReportAnswer = serde_json::from_slice(&answer.whole().await.expect("its body")).expect("JSON");
        answer.token
    };
    assert_eq!(renewed(Phase::Fetching, TOKEN_LIFETIME / 4, 1).await, None);
    let old = TOKEN_LIFETIME * 3 / 4;
    let fresh = renewed(Phase::Fetching, old, 1).await.expect("another one in its place");
    keys.token.verify(now + TOKEN_LIFETIME * 9 / 10, "compute-0-0", 1, &fresh).expect("it lives as long again");
    first.set_token(Some(fresh.clone()));
    first.get_whole(PROFILE, &[]).await.expect("it is good");
    is_installing(&fixture).await;
    fixture.store.write("again", |writer| writer.set_boot(&first_host(), BootAction::Install)).expect("written");
    refused(&first, PROFILE, &[], "has ended").await;
    refused(&first, "/install/manifest", &[], "has ended").await;
    let again = token_in(&boot_script(&client(running.http, "127.1.0.1")).await);
    first.set_token(Some(again));
    first.get_whole(PROFILE, &[]).await.expect("the token of the new installation");
    assert_eq!(said(&first, &fresh).await, 403, "what was of the old one reports nothing of the new one");
    for phase in [Phase::Installed, Phase::Installed, Phase::Fetching] {
        assert_eq!(renewed(phase, old, 2).await, None, "{phase:?}: it has said goodbye");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_an_administrator_has_ended_is_not_taken_up_again_by_its_machine() {
    let fixture = Fixture::new();
    let running = fixture.serve_as(Security::Strict, Log::silent()).await;
    let known = secure_client(&running, &fixture, "127.1.0.1");
    known.set_token(Some(token_in(&boot_script(&client(running.http, "127.1.0.1")).await)));
    known.get_whole(PROFILE, &[]).await.expect("its profile");
    is_installing(&fixture).await;
    let boot = || fixture.store.read(|reader| reader.boot(&first_host())).expect("read");
    fixture.store.write("enough", |writer| writer.set_boot(&first_host(), BootAction::Os)).expect("written");
    for phase in [Phase::Fetching, Phase::Failed, Phase::Fetching, Phase::Serving] {
        report(&known, phase).await;
        refused(&known, PROFILE, &[], "is not to install").await;
        refused(&known, "/install/manifest", &[], "is not to install").await;
        assert!(!boot_script(&client(running.http, "127.1.0.1")).await.contains("token="), "{phase:?}");
    }
    // With the end of the frontend all that was queued is written.
    running.stop().await;
    assert_eq!(boot().action, BootAction::Os);
    assert_ne!(boot().state, Some(InstallState::Installing));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_becomes_another_by_what_he_says_of_himself() {
    let fixture = Fixture::new();
    let running = fixture.serve_as(Security::Strict, Log::silent()).await;
    let token = token_in(&boot_script(&client(running.http, "127.1.0.1")).await);
    let stranger = secure_client(&running, &fixture, "127.1.0.9");
    stranger.set_token(Some(token.clone()));
    let (address, forwarded) = ("127.1.0.1", "for=127.1.0.1;by=127.0.0.1;proto=https");
    let card = format!("eth0 {MAC}");
    for (name, value) in [
        ("X-Forwarded-For", address),
        ("Forwarded", forwarded),
        ("X-Real-IP", address),
        ("X-Client-IP", address),
        ("Client-IP", address),
        ("True-Client-IP", address),
        ("X-Forwarded-Host", address),
        ("Via", "1.1 127.1.0.1"),
        ("X-RHN-Provisioning-MAC-0", card.as_str()),
        ("X-System-Serial-Number", MAC),
    ] {
        for path in [PROFILE, "/install/manifest"] {
            refused(&stranger, path, &[(name, value)], "no host has the address 127.1.0.9").await;
        }
        for path in ["/install/events", "/install/token"] {
            let body = serde_json::to_vec(&Report { phase: Phase::Installed, ..Report::default() }).expect("JSON");
            let answer = stranger.post(path, &[(name, value)], body.into()).await.expect("an answer");
            assert_eq!(answer.status, 403, "{path} {name}");
        }
        let script = format!("/install/boot/{MAC}");
        let script = stranger.get_whole(&script, &[(name, value)]).await.expect("a script without a token");
        assert!(!String::from_utf8_lossy(&script).contains("token="), "{name}");
    }
    // Nor does a host of ours, where it has no token to show but in the URL.
    let known = secure_client(&running, &fixture, "127.1.0.1");
    refused(&known, &format!("{PROFILE}?token={token}"), &[], "no install token").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_of_writing_a_path_leads_to_a_profile_or_out_of_a_tree() {
    let fixture = Fixture::new();
    fixture.write("secret", "S3CRET");
    std::os::unix::fs::symlink("../secret", fixture.folder.path().join("tree/link")).expect("linked");
    std::os::unix::fs::symlink("../keys", fixture.folder.path().join("tree/keys")).expect("linked");
    let running = fixture.serve().await;
    let stranger = client(running.http, "127.1.0.9");
    for path in [
        "/install/profile",
        "/install/profile/",
        "//install/profile",
        "/install//profile",
        "/install/./profile",
        "/install/distributions/../profile",
        "/install/distributions/el9/../../profile",
        "/INSTALL/PROFILE",
        "/install/%70rofile",
        "/install/profile%00",
        "/install/profile?host=compute-0-0",
        "http://127.1.0.1/install/profile",
        "/install/manifest",
        "/install/boot/../profile",
        "/install/metainfo/../../secret.torrent",
        "/install/metainfo/%2e%2e%2fsecret.torrent",
        "/install/distributions/el9/../secret",
        "/install/distributions/el9/%2e%2e/secret",
        "/install/distributions/el9/%2e%2e%2fsecret",
        "/install/distributions/el9/%252e%252e/secret",
        "/install/distributions/el9/..%5csecret",
        "/install/distributions/el9/repodata/../../secret",
        "/install/distributions/el9%2f..%2fsecret",
        "/install/distributions/el9/.%00./secret",
        "/install/distributions/el9/p11+1~a.rpm%00.txt",
        "/install/distributions/el9/%c0%ae%c0%ae/secret",
        "/install/distributions/el9//etc/passwd",
        "/install/distributions/el9/%2fetc/passwd",
        "/install/distributions/../secret",
        "/install/distributions/%2e%2e/secret",
        "/install/distributions//secret",
        "/install/distributions/el9/link",
        "/install/distributions/el9/keys/sign",
        "/install/distributions/el9/.",
        "/install/distributions/el9/",
        "/keys/sign",
        "/secret",
    ] {
        for method in ["GET", "HEAD"] {
            let answer = stranger.send(method, path, &[], None).await.expect("an answer");
            assert!(matches!(answer.status, 400 | 403 | 404), "{method} {path}: {}", answer.status);
            let text = answer.whole().await.expect("its words");
            let text = String::from_utf8_lossy(&text);
            assert!(!text.contains("first") && !text.contains("S3CRET") && !text.contains("root:"), "{path}: {text}");
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_machine_says_of_itself_is_text_on_the_page_and_numbers_that_cannot_be_end_nothing() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let known = client(running.http, "127.1.0.1");
    known.get_whole(PROFILE, &[]).await.expect("its profile");
    let said = "</td><script>alert('1')</script><img src=x onerror=\"y\">\u{1b}[2J\u{202e}&\n";
    let huge = u64::MAX;
    let report = Report {
        phase: Phase::Fetching,
        bytes: huge,
        total_bytes: huge,
        frontend_bytes: huge,
        peer_bytes: huge,
        uploaded_bytes: huge,
        peers: u32::MAX,
        message: Some(said.repeat(9)),
    };
    for (bytes, phase) in [(0, Phase::Fetching), (huge, Phase::Fetching), (1, Phase::Failed)] {
        let report = Report { bytes, phase, ..report.clone() };
        let body: Bytes = serde_json::to_vec(&report).expect("JSON").into();
        assert_eq!(known.post("/install/events", &[], body).await.expect("an answer").status, 200);
        let anybody = client(running.http, "127.1.0.9");
        let answer = anybody.get("/", &[]).await.expect("a page");
        let policy = answer.headers.get("content-security-policy").expect("a policy").to_owned();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        let page = anybody.get_whole("/", &[]).await.expect("a page");
        let page = String::from_utf8(page.to_vec()).expect("text");
        let row = page.split("id=\"m-compute-0-0\"").nth(1).expect("its row").split("</tr>").next().expect("its end");
        assert!(row.contains("&lt;script&gt;alert("), "{row}");
        for wrong in ["<script", "<img", "onerror=\"", "\u{1b}", "\u{202e}"] {
            assert!(!row.contains(wrong), "{wrong:?} in {row}");
        }
        let status = anybody.get_whole("/status.json", &[]).await.expect("status");
        let status: super::super::StatusDocument = serde_json::from_slice(&status).expect("JSON");
        let message = status.machines[0].report.message.clone().expect("it is told");
        assert!(message.chars().count() <= 300 && !message.contains(['\u{1b}', '\u{202e}', '\n']), "{message:?}");
        let metrics = anybody.get_whole("/metrics", &[]).await.expect("numbers");
        assert_open_metrics(&String::from_utf8_lossy(&metrics));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_frontend_says_so_and_believes_a_card_in_the_clear() {
    let fixture = Fixture::new();
    for (security, is_open) in [(Security::Open, true), (Security::Guarded, false), (Security::Strict, false)] {
        let (log, lines) = logged();
        let running = fixture.serve_as(security, log).await;
        let said = lines.lock().expect("no panic").join("\n");
        assert_eq!(said.contains("event=security-open"), is_open, "{said}");
        if is_open {
            let stranger = client(running.http, "127.1.0.9");
            refused(&stranger, PROFILE, &[], "no host has the address").await;
            let card = format!("eth0 {MAC}");
            let named = [("X-RHN-Provisioning-MAC-0", card.as_str())];
            stranger.get_whole(PROFILE, &named).await.expect("by its card");
            // Even then a token, which would outlive that, is for the host's own address.
            for stranger in [stranger, secure_client(&running, &fixture, "127.1.0.9")] {
                let asked = stranger.post("/install/token", &named, Bytes::new()).await.expect("an answer");
                assert_eq!(asked.status, 403);
                let manifest = stranger.get_whole("/install/manifest", &named).await.expect("by its card");
                let manifest: Manifest = serde_json::from_slice(&manifest).expect("JSON");
                assert_eq!(manifest.token, None);
            }
        }
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_speaks_tls_asks_for_its_token_and_says_whom_it_believed_unseen() {
    let (fixture, elsewhere) = (Fixture::new(), Fixture::new());
    let running = fixture.serve().await;
    let fetch = async |told: node::Options| {
        let (log, lines) = logged();
        let fetched = tokio::task::spawn_blocking(move || node::fetch(told, log, |_| {})).await.expect("joined");
        let lines = lines.lock().expect("no panic").join("\n");
        (fetched.map_err(|error| error.to_string()), lines)
    };
    let plain = || node::Options { patience: Duration::ZERO, ..options(&running, &fixture, 1, true) };
    let pem = |fixture: &Fixture| Some(fixture.folder.path().join("keys/authority.pem"));
    for believing in [
        node::Options { pin: Some(pin(&fixture)), ..plain() },
        node::Options { authority: pem(&fixture), ..plain() },
        node::Options { frontend: format!("https://{}", running.http), pin: Some(pin(&fixture)), ..plain() },
    ] {
        let (fetched, lines) = fetch(believing).await;
        assert!(fetched.is_ok() && !lines.contains("believed-unseen"), "{fetched:?} {lines}");
        fixture.store.write("again", |writer| writer.set_boot(&first_host(), BootAction::Install)).expect("written");
    }
    elsewhere.serve().await.stop().await;
    for believing in [
        node::Options { pin: Some(pin(&elsewhere)), ..plain() },
        node::Options { authority: pem(&elsewhere), ..plain() },
    ] {
        let (fetched, _) = fetch(believing).await;
        assert!(fetched.expect_err("another cluster's authority").contains("certificate"), "it is not believed");
    }
    // To the system this address is its own loopback; to us it is not, so that it stands for any other machine's.
    fixture
        .store
        .write("another address", |writer| {
            let mut host = writer.host(&first_host())?;
            host.interfaces[0].ip = Some("127.0.0.1".parse().expect("an address"));
            writer.set_host(&host)
        })
        .expect("written");
    let far = format!("http://0.0.0.0:{}", running.http.port());
    let (fetched, lines) = fetch(node::Options { frontend: far.clone(), bind: None, ..plain() }).await;
    fetched.expect("the first that it meets");
    assert!(lines.contains("event=frontend-believed-unseen") && lines.contains(&pin(&fixture).to_string()), "{lines}");
    running.stop().await;
}
