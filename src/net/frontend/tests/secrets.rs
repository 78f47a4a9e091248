//! Whatever fails: no log, no page, no note in the store tells a token or a value of an attribute.

use super::*;
use crate::net::fixture::logged;
use crate::net::frontend::Security;

/// What must be told to nobody.
const SECRET: &str = "S3CRET";

/// Ways in which a site's own files fail, or nearly do, around a secret value. (Where a word of ours is wanted, as in
/// `<boot order>`, an error quotes what stands there.)
const NODES: &[&str] = &[
    "<kickstart><main><rootpw>--plaintext &root_password;</rootpw></main></kickstart>",
    "<kickstart><post><eval>&root_password;</eval></post></kickstart>",
    "<kickstart><post><eval>echo &root_password; >&amp;2; exit 3</eval></post></kickstart>",
    "<kickstart><post><eval shell=\"&root_password;\">true</eval></post></kickstart>",
    "<kickstart><post cond=\"root_password &gt; 3 and\">x</post></kickstart>",
    "<kickstart><post cond=\"int(root_password) &gt; 3\">x</post></kickstart>",
    "<kickstart><post>&root_password;</kickstart>",
    "<kickstart><file name=\"&root_password;\" mode=\"&root_password;\">x</file></kickstart>",
    "<kickstart><main><url>--url=http://u:&root_password;@x/</url><rootpw>&root_password; &root_password;</rootpw></main></kickstart>",
];

/// Templates of a site that fail with the profile before them.
const TEMPLATES: &[&str] = &["{{ attributes.root_password | nosuch }}", "{{ attributes.root_password + 1 }}"];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_no_log_no_page_and_no_note_tells_a_secret() {
    let fixture = Fixture::new();
    let (log, lines) = logged();
    let root_password = AttributeName::parse("root_password").expect("a name");
    for (number, value) in
        [SECRET.to_owned(), format!("{SECRET} of two words"), format!("{SECRET}\"';$x&<")].iter().enumerate()
    {
        let attribute = Attribute { scope: Scope::Global, name: root_password.clone(), value: value.clone() };
        fixture.store.write("a password", |writer| writer.set_attribute(&attribute)).expect("written");
        let running = fixture.serve_as(Security::default(), log.clone()).await;
        let own = client(running.http, "127.1.0.1");
        // What the machine itself would meet; where it meets nothing, it installs.
        let install = async || {
            let again = |writer: &mut crate::store::Writer| writer.set_boot(&first_host(), BootAction::Install);
            fixture.store.write("again", again).expect("written");
            own.get_whole(PROFILE, &[]).await?;
            own.get_whole("/install/manifest", &[]).await?;
            let (told, log) = (options(&running, &fixture, 1, true), log.clone());
            tokio::task::spawn_blocking(move || node::fetch(told, log, |_| {})).await.expect("joined")
        };
        let mut outcomes = Vec::new();
        for node in NODES {
            fixture.write("graphs/nodes/base.xml", node);
            outcomes.push(install().await);
        }
        fixture.write("graphs/nodes/base.xml", NODES[0]);
        std::fs::create_dir_all(fixture.folder.path().join("templates")).expect("a folder");
        for template in TEMPLATES {
            fixture.write("templates/kickstart.cfg.j2", template);
            outcomes.push(install().await);
        }
        std::fs::remove_dir_all(fixture.folder.path().join("templates")).expect("it was there");
        assert!(outcomes.iter().any(Result::is_ok) && outcomes.iter().any(Result::is_err), "{number}: some fail");
        let mut told: Vec<String> =
            outcomes.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
        let anybody = client(running.http, "127.1.0.9");
        anybody.set_token(Some(format!("{SECRET}.1.{SECRET}")));
        let error = anybody.get_whole(&format!("{PROFILE}?token={SECRET}"), &[]).await.expect_err("a stranger");
        told.push(error.to_string());
        let script = format!("/install/boot/{MAC}");
        let public = ["/", "/status.json", "/metrics", "/install/kickstart", "/install/metainfo/el9.torrent", &script];
        for page in public {
            told.push(String::from_utf8_lossy(&anybody.get_whole(page, &[]).await.expect("a page")).into_owned());
        }
        // What is secret travels in the profile alone: not even the manifest beside it has it.
        fixture.store.write("again", |writer| writer.set_boot(&first_host(), BootAction::Install)).expect("written");
        let profile = own.get_whole(PROFILE, &[]).await.expect("its profile");
        assert!(String::from_utf8_lossy(&profile).contains(SECRET), "{number}: so much for the test itself");
        let manifest = own.get_whole("/install/manifest", &[]).await.expect("its manifest");
        told.push(String::from_utf8_lossy(&manifest).into_owned());
        running.stop().await;
        let notes = fixture.store.read(|reader| reader.boots()).expect("read");
        told.extend(notes.into_values().filter_map(|boot| boot.note));
        told.append(&mut lines.lock().expect("no panic"));
        let telling: Vec<&String> = told.iter().filter(|text| text.contains(SECRET)).collect();
        assert!(telling.is_empty(), "{number}: {telling:#?}");
        assert!(told.iter().any(|line| line.contains("event=profile-failed")), "{told:#?}");
    }
}
