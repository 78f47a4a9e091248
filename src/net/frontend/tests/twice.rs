//! What a machine posts over a kept connection that dies may come twice: the second changes nothing.

use super::*;
use crate::cluster::Boot;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_machine_posts_is_as_good_as_posted_once() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let known = client(running.http, "127.1.0.1");
    let boot = || fixture.store.read(|reader| reader.boot(&first_host())).expect("read");
    let told = |boot: &Boot| (boot.state, boot.action, boot.install_id, boot.begun, boot.note.clone());
    // It begins by asking for a token, twice, before the store knows of it.
    for _ in 0..2 {
        known.post_whole("/install/token").await.expect("its token");
    }
    for (phase, state) in [(Phase::Fetching, InstallState::Installing), (Phase::Failed, InstallState::Failed)] {
        known.get_whole(PROFILE, &[]).await.expect("its profile");
        for _ in 0..2 {
            assert_eq!(report(&known, phase).await, 200);
        }
        let begun = Instant::now();
        while boot().state != Some(state) {
            assert!(begun.elapsed() < PATIENCE, "{:?}", boot());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(told(&boot()), (Some(state), BootAction::Install, 1, 0, None));
    }
    known.get_whole(PROFILE, &[]).await.expect("it tries again");
    assert_eq!(report(&known, Phase::Installed).await, 200);
    let installed = boot();
    assert_eq!(told(&installed), (Some(InstallState::Installed), BootAction::Os, 1, 0, None));
    assert_eq!(report(&known, Phase::Installed).await, 200);
    // What it said before and what comes late is no news any more either.
    assert_eq!(report(&known, Phase::Fetching).await, 200);
    assert_eq!(boot(), installed);
    // The second goodbye comes only once the host is told to install again: it is not that one's.
    let again = fixture.store.write("again", |writer| writer.set_boot(&first_host(), BootAction::Install));
    let again = again.expect("written");
    report(&known, Phase::Installed).await;
    assert_eq!(boot(), again);
    running.stop().await;
}
