//! A store that somebody else holds: nobody waits for it to begin, and it is told everything later.

use super::*;
use crate::cluster::Service;
use crate::net::fixture::logged;
use crate::net::frontend::Security;

/// Somebody holds the store until the value ends.
struct Held {
    release: Option<std::sync::mpsc::Sender<()>>,
    holder: Option<std::thread::JoinHandle<()>>,
}

fn hold(fixture: &Fixture) -> Held {
    let (holding, (release, held)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
    let store = std::sync::Arc::clone(&fixture.store);
    let holder = std::thread::spawn(move || {
        let hold = |_: &mut crate::store::Writer| {
            holding.0.send(()).expect("somebody waits");
            let _ = held.recv();
            Ok(())
        };
        store.write("hold", hold).expect("written");
    });
    holding.1.recv().expect("it is held");
    Held { release: Some(release), holder: Some(holder) }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.release.take());
        self.holder.take().expect("it ends once").join().expect("no panic");
    }
}

/// A writer is stopped, or the disk is full, while the frontend is started anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_frontend_begins_while_the_store_cannot_be_written_and_tells_it_later_where_it_is() {
    let fixture = Fixture::new();
    let (log, lines) = logged();
    let held = hold(&fixture);
    let running = fixture.serve_as(Security::default(), log).await;
    let known = client(running.http, "127.1.0.1");
    known.get_whole(PROFILE, &[]).await.expect("its profile");
    assert_eq!(report(&known, Phase::Fetching).await, 200);
    let told = || fixture.store.read(|reader| reader.endpoint(Service::Http)).expect("read");
    assert!(told().is_none(), "the store is held");
    drop(held);
    while told().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(told().map(|endpoint| endpoint.addresses), Some(vec![running.http]));
    assert_eq!(report(&known, Phase::Installed).await, 200);
    running.stop().await;
    let lines = lines.lock().expect("no panic").join("\n");
    assert_eq!(lines.matches("event=store-unwritable").count(), 1, "{lines}");
    assert!(lines.contains("event=store-written"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_somebody_holds_the_store_machines_begin_and_the_store_is_told_later() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let known = client(running.http, "127.1.0.1");
    let boot = || fixture.store.read(|reader| reader.boot(&first_host())).expect("read");
    assert!(boot().was_never_told());
    let held = hold(&fixture);
    let script = known.get_whole(&format!("/install/boot/{MAC}"), &[]).await.expect("its script");
    assert!(String::from_utf8_lossy(&script).contains("installs el9"));
    known.get_whole(PROFILE, &[]).await.expect("its profile");
    known.get_whole("/install/manifest", &[]).await.expect("its manifest");
    assert_eq!(report(&known, Phase::Fetching).await, 200);
    // It starts anew, with nothing of this in the store yet.
    known.get_whole(&format!("/install/boot/{MAC}"), &[]).await.expect("its script");
    known.get_whole(PROFILE, &[]).await.expect("its profile");
    assert!(boot().was_never_told(), "the store is held");
    let waiting = |hosts: u8| format!("\nrocks_store_waiting_hosts {hosts}\n");
    let metrics = || known.get_whole("/metrics", &[]);
    assert!(String::from_utf8_lossy(&metrics().await.expect("numbers")).contains(&waiting(1)));
    drop(held);
    assert_eq!(report(&known, Phase::Installed).await, 200);
    assert!(String::from_utf8_lossy(&metrics().await.expect("numbers")).contains(&waiting(0)));
    let (state, id, begun) = (boot().state, boot().install_id, boot().begun);
    assert_eq!((state, id, begun), (Some(InstallState::Installed), 1, 1), "nothing is lost, and all is in order");
    running.stop().await;
}
