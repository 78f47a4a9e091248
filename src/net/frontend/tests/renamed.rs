//! A host that is renamed while it installs: it goes on under the token it has, and ends under its new name. One that is
//! removed is forgotten.

use super::security::{boot_script, refused, secure_client, token_in};
use super::*;
use crate::cluster::{Boot, Host, Interface, MacAddress};
use crate::net::frontend::Security;
use crate::store::Store;

fn new_name() -> HostName {
    HostName::parse("login-0-0").expect("a name")
}

fn rename(store: &Store) {
    store.write("rename", |writer| writer.rename_host(&first_host(), &new_name())).expect("written");
}

fn boot(fixture: &Fixture, host: &HostName) -> Boot {
    fixture.store.read(|reader| reader.boot(host)).expect("read")
}

/// Another machine gets the name, and comes by itself.
fn add_another(fixture: &Fixture) {
    let mut another = Host::new(first_host(), "compute");
    another.interfaces.push(Interface {
        name: "eth0".to_owned(),
        mac: Some(MacAddress::parse("52:54:00:00:01:01").expect("a MAC address")),
        ip: Some("127.1.0.77".parse().expect("an address")),
        network: None,
    });
    fixture.store.write("another", |writer| writer.add_host(&another)).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_renamed_while_it_installs_ends_its_installation() {
    for (is_restarted, has_reported) in [(false, true), (false, false), (true, true)] {
        let fixture = Fixture::new();
        let mut running = fixture.serve_as(Security::Strict, Log::silent()).await;
        let token = token_in(&boot_script(&client(running.http, "127.1.0.1")).await);
        let mut machine = secure_client(&running, &fixture, "127.1.0.1");
        machine.set_token(Some(token.clone()));
        if has_reported {
            machine.get_whole(PROFILE, &[]).await.expect("its profile");
            assert_eq!(report(&machine, Phase::Fetching).await, 200);
        }
        rename(&fixture.store);
        add_another(&fixture);
        if is_restarted {
            running.stop().await;
            running = fixture.serve_as(Security::Strict, Log::silent()).await;
            machine = secure_client(&running, &fixture, "127.1.0.1");
            machine.set_token(Some(token.clone()));
        }
        machine.get_whole(PROFILE, &[]).await.expect("its token is as good as before");
        assert_eq!(report(&machine, Phase::Fetching).await, 200);
        // Whoever has its name now is another machine.
        let other = secure_client(&running, &fixture, "127.1.0.77");
        other.set_token(Some(token.clone()));
        refused(&other, PROFILE, &[], "has ended").await;
        let script = client(running.http, "127.1.0.77").get_whole("/install/boot/52:54:00:00:01:01", &[]).await;
        let other_token = token_in(&String::from_utf8_lossy(&script.expect("a script")));
        other.set_token(Some(other_token.clone()));
        other.get_whole(PROFILE, &[]).await.expect("its own profile");
        assert_eq!(report(&other, Phase::Fetching).await, 200);
        machine.set_token(Some(other_token));
        assert_eq!(report(&machine, Phase::Installed).await, 403);
        machine.set_token(Some(token));
        let status = client(running.http, "127.1.0.9").get_whole("/status.json", &[]).await.expect("the status");
        let status: serde_json::Value = serde_json::from_slice(&status).expect("JSON");
        let rows = status["machines"].as_array().expect("machines").iter();
        let mut names: Vec<&str> = rows.map(|row| row["host"].as_str().expect("a name")).collect();
        names.sort_unstable();
        assert_eq!(names, ["compute-0-0", "login-0-0"]);
        assert_eq!(report(&machine, Phase::Installed).await, 200);
        let ended = boot(&fixture, &new_name());
        assert_eq!((ended.state, ended.action), (Some(InstallState::Installed), BootAction::Os));
        assert_eq!(boot(&fixture, &first_host()).action, BootAction::Install, "the other one goes on");
        assert_eq!(report(&other, Phase::Installed).await, 200);
        assert_eq!(boot(&fixture, &first_host()).state, Some(InstallState::Installed));
        refused(&machine, PROFILE, &[], "is not to install").await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goodbye_that_waits_for_the_store_ends_what_was_renamed_before_it_was_written() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let known = client(running.http, "127.1.0.1");
    known.get_whole(PROFILE, &[]).await.expect("its profile");
    let (held, release) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
    let store = std::sync::Arc::clone(&fixture.store);
    let renaming = std::thread::spawn(move || {
        let rename = |writer: &mut crate::store::Writer| {
            held.0.send(()).expect("somebody waits");
            let _ = release.1.recv();
            writer.rename_host(&first_host(), &new_name())
        };
        store.write("rename", rename).expect("written");
    });
    held.1.recv().expect("the store is held");
    let goodbye = tokio::spawn(async move { report(&known, Phase::Installed).await });
    let status = client(running.http, "127.1.0.9");
    let is_said = || async {
        let text = status.get_whole("/status.json", &[]).await.expect("the status");
        String::from_utf8_lossy(&text).contains("\"phase\":\"installed\"")
    };
    while !is_said().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    release.0.send(()).expect("it waits");
    renaming.join().expect("renamed");
    assert_eq!(goodbye.await.expect("no panic"), 200);
    assert_eq!(boot(&fixture, &new_name()).state, Some(InstallState::Installed));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_removed_while_it_installs_is_on_the_board_no_longer() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let machine = client(running.http, "127.1.0.1");
    machine.get_whole(PROFILE, &[]).await.expect("its profile");
    assert_eq!(report(&machine, Phase::Fetching).await, 200);
    assert_eq!(running.shared.board.counts()["fetching"], 1);
    let viewer = client(running.http, "127.1.0.9");
    let mut page = viewer.get("/status/events", &[]).await.expect("an open page");
    /// What the page is told next that has everything.
    async fn whole(page: &mut crate::net::http::Answer<'_>) -> String {
        let mut told = String::new();
        let telling = async {
            loop {
                told += &String::from_utf8_lossy(&page.next().await.expect("no error").expect("no end"));
                while let Some((event, rest)) = told.split_once("\n\n") {
                    if event.starts_with("event: whole\n") {
                        return event.to_owned();
                    }
                    told = rest.to_owned();
                }
            }
        };
        tokio::time::timeout(PATIENCE, telling).await.expect("it is told everything")
    }
    assert!(whole(&mut page).await.contains("\"compute-0-0\""));
    fixture.store.write("remove", |writer| writer.remove_host(&first_host())).expect("written");
    let going = async {
        while running.shared.board.counts()["fetching"] > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, going).await.expect("nobody is to look after a host that is no more");
    assert!(!whole(&mut page).await.contains("\"compute-0-0\""), "an open page shows it no longer");
    assert_eq!(report(&machine, Phase::Fetching).await, 403);
    running.stop().await;
}
