//! `check`.

use crate::Cluster;

/// One host of each shipped appliance.
pub(crate) fn shipped() -> Cluster {
    let cluster = Cluster::new();
    for (number, appliance) in ["compute", "login", "nas", "web-server", "frontend-service"].iter().enumerate() {
        let address = format!("--mac 52:54:00:00:00:0{number} --ip 10.1.2.{}", number + 1);
        cluster.rocks(&format!("add-host {appliance}-0-0 --appliance {appliance} {address}")).ok();
    }
    cluster
}

/// Status, findings and last words of a check that finds errors: its findings are data.
fn finds(cluster: &Cluster, arguments: &[&str]) -> (Option<i32>, String, String) {
    let done = cluster.command(arguments).output().expect("the program was built for this test");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (done.status.code(), text(done.stdout), text(done.stderr))
}

#[test]
fn the_shipped_appliances_have_no_fault_for_any_release() {
    let cluster = shipped();
    for release in ["rhel8", "rhel9", "rhel10"] {
        let findings = cluster.rocks(&format!("check --release {release} --format json")).json();
        let errors = findings.as_array().expect("a list").iter().filter(|finding| finding["severity"] == "error");
        assert_eq!(errors.collect::<Vec<_>>(), Vec::<&serde_json::Value>::new(), "{release}");
    }
}

#[test]
fn a_wrong_attribute_is_found_before_a_machine_finds_it() {
    let cluster = shipped();
    cluster.rocks("set-attribute timezone=Mars/Base").ok();
    let (status, findings, said) = finds(&cluster, &["check", "compute-0-0", "login-0-0"]);
    assert_eq!(status, Some(4));
    assert!(findings.contains("compute-0-0: ks.cfg:") && findings.contains("'Mars/Base' [time-zone]"), "{findings}");
    assert!(said.contains("rocks: 2 checked: 2 errors"), "{said}");
}

#[test]
fn files_are_checked_for_the_release_asked_for() {
    let cluster = Cluster::new();
    let file = cluster.scratch().join("some.ks");
    std::fs::write(&file, "url --url=http://10.1.1.1/x\nrootpw --lock\ninstall\nautopart\n").expect("written");
    let file = file.display().to_string();
    cluster.rocks(&format!("check {file} --release rhel7")).ok();
    let (status, findings, _) = finds(&cluster, &["check", &file, "--release", "rhel9"]);
    assert_eq!(status, Some(4));
    assert!(findings.contains("some.ks:3:1: error: rhel9 has no 'install' any more [removed]"), "{findings}");
    cluster.rocks("check ./no-such.ks").fails(3);
}

#[test]
fn defects_of_the_site_s_graph_and_node_files_are_found_with_their_place() {
    let cluster = shipped();
    let write = |path: &str, text: &str| {
        let path = cluster.path().join("graphs").join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    write(
        "default/site.xml",
        "<graph>\n<edge from=\"compute\" to=\"tim\"/>\n<edge from=\"base\" to=\"mine\"/>\n</graph>\n",
    );
    write(
        "nodes/mine.xml",
        "<kickstart roll=\"site\">\n<post><file name=\"/x\" perm=\"0600\">&nosuch;</file></post>\n</kickstart>\n",
    );
    let (status, findings, _) = finds(&cluster, &["check"]);
    assert_eq!(status, Some(4));
    for expected in [
        "graphs/default/site.xml:2:1: error: edge to unknown node 'tim' [unknown-node]\n    | <edge from=\"compute\" to=\"tim\"/>",
        "graphs/nodes/mine.xml:2:23: error: unknown attribute 'perm' of '<file>' is ignored",
        "graphs/nodes/mine.xml:2:35: warning: attribute 'nosuch' is not defined",
    ] {
        assert!(findings.contains(expected), "{expected}\n{findings}");
    }
}

#[test]
fn a_file_without_end_is_an_error() {
    let cluster = shipped();
    for command in ["check /dev/zero", "kickstart /dev/zero", "compile-graph --root base --attributes /dev/zero"] {
        let complaint = cluster.rocks(command).fails(4);
        assert!(complaint.contains("is larger than 64 MB"), "{command}: {complaint}");
    }
}
