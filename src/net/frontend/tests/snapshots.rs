//! Snapshots that are published while machines install.

use super::security::greet;
use super::*;
use crate::cluster::DistributionName;
use crate::net::http::client::Client;
use crate::torrent::{MetainfoBuilder, hash_reader};

/// Asks until the answer is this one: the frontend looks at what is published once in a while.
async fn comes(client: &Client, path: &str, expected: Option<&[u8]>) {
    let asking = async {
        loop {
            let answer = client.get_whole(path, &[]).await.ok();
            if answer.as_deref() == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, asking).await.is_ok(), "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_go_on_with_the_snapshot_they_began_with_when_another_is_published() {
    let fixture = Fixture::new();
    let running = fixture.serve().await;
    let seeds = &running.shared.seeds;
    let its_own = client(running.http, "127.1.0.1");
    its_own.get_whole(PROFILE, &[]).await.expect("it installs");
    let peer = greet(&running, &fixture, 1).await.expect("it installs");
    // The new tree has another package in place of all others.
    let (file, content) = ("only.rpm", b"new".as_slice());
    let tree = fixture.folder.path().join("tree2");
    std::fs::create_dir(&tree).expect("a folder");
    std::fs::write(tree.join(file), content).expect("written");
    let mut builder = MetainfoBuilder::new("el9", 16 << 10).expect("a name");
    let (length, hashes) = hash_reader(content, 16 << 10).expect("in memory");
    builder.file(file, length, hashes).expect("a file");
    let newer = builder.finish().expect("metainfo");
    let name = DistributionName::parse("el9").expect("a name");
    let published = fixture.store.write("another snapshot", |writer| {
        let before = writer.distribution(&name)?;
        let now = crate::cluster::Distribution { path: tree.clone(), info_hash: newer.info_hash(), ..before };
        writer.put_distribution(&now)?;
        writer.put_metainfo(&name, &newer.to_bytes())
    });
    published.expect("written");
    let url = |file: &str| format!("/install/distributions/el9/{}", encode_path(file));
    comes(&its_own, &url(file), Some(content)).await;
    let seeding = async {
        while seeds.door().member(newer.info_hash()).is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, seeding).await.expect("it is seeded");
    // Over HTTP, and by the seed, which lets those in who come again.
    let (old_file, old) = &fixture.files[5];
    assert_eq!(&its_own.get_whole(&url(old_file), &[]).await.expect("of the old tree"), old);
    let again = greet(&running, &fixture, 2).await;
    assert!(again.is_some(), "a machine in the middle of its installation");
    seeds.let_go(Instant::now() + PATIENCE * 60);
    assert!(seeds.door().member(fixture.metainfo.info_hash()).is_some(), "machines are connected");
    drop((peer, again));
    let alone = async {
        while seeds.peers() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, alone).await.expect("they have gone");
    assert_eq!(&its_own.get_whole(&url(old_file), &[]).await.expect("they may come again"), old);
    seeds.let_go(Instant::now() + PATIENCE * 120);
    assert!(seeds.door().member(fixture.metainfo.info_hash()).is_none(), "nobody needs it");
    comes(&its_own, &url(old_file), None).await;
    assert!(seeds.door().member(newer.info_hash()).is_some());
    running.stop().await;
}
