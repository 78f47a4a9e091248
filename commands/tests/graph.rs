//! `compile-graph`, `list-graph`, `explain`, `trust-roll`.

use crate::check::shipped;
use std::path::Path;

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, text).expect("written");
}

#[test]
fn a_host_is_compiled_and_piped_on() {
    let cluster = shipped();
    let profile = cluster.rocks("compile-graph compute-0-0").ok();
    assert!(profile.contains("<!ENTITY hostname \"compute-0-0\">") && profile.ends_with("</kickstart>\n"));
    let kickstart = cluster.run_with_input(&["kickstart"], &profile).ok();
    assert!(kickstart.contains("%packages"));
    let nodes = cluster.rocks("compile-graph compute-0-0 --nodes").ok();
    assert!(nodes.contains("compute\trocks\tgraphs/nodes/compute.xml\n"), "{nodes}");
    cluster.rocks("compile-graph nosuch").fails(3);
}

#[test]
fn an_edited_site_file_counts_at_once() {
    let cluster = shipped();
    let extend = cluster.path().join("graphs/nodes/extend-compute.xml");
    write(&extend, "<kickstart roll=\"site\"><package>of-the-site</package></kickstart>");
    assert!(cluster.rocks("compile-graph compute-0-0").ok().contains(">of-the-site</package>"));
    write(&extend, "<kickstart roll=\"site\"><package>cut");
    let said = cluster.rocks("compile-graph compute-0-0").fails(4);
    assert!(said.contains("graphs/nodes/extend-compute.xml:1:36: ends inside 'package'"), "{said}");
}

#[test]
fn scripts_wait_for_trust_and_can_be_replayed() {
    let cluster = shipped();
    let node =
        "<kickstart roll=\"site\"><post><eval>echo made on $(echo the frontend) for &rack;</eval></post></kickstart>";
    write(&cluster.path().join("graphs/nodes/extend-compute.xml"), node);
    let untrusted = cluster.rocks("compile-graph compute-0-0").ok();
    assert!(!untrusted.contains("made on"));
    let mistyped = cluster.rocks("trust-roll sit").fails(3);
    assert!(
        mistyped.contains("no node file names a roll 'sit'") && mistyped.contains("did you mean 'site'?"),
        "{mistyped}"
    );
    cluster.rocks("trust-roll site").ok();
    assert!(cluster.rocks("compile-graph compute-0-0").ok().contains("made on the frontend for 0"));
    let recording = cluster.scratch().join("evals.json").display().to_string();
    let recorded = cluster.rocks(&format!("compile-graph compute-0-0 --evals record:{recording}")).ok();
    assert_eq!(cluster.rocks(&format!("compile-graph compute-0-0 --evals replay:{recording}")).ok(), recorded);
    cluster.run(&["set-attribute", "--host", "compute-0-0", "rack=0; rm x"]).ok();
    let refused = cluster.rocks("compile-graph compute-0-0").fails(4);
    assert!(refused.contains("attribute 'rack'") && refused.contains("hint: "), "{refused}");
    cluster.rocks("compile-graph compute-0-0 --evals-allow rack").ok();
    cluster.rocks("trust-roll site --revoke").ok();
    assert!(!cluster.rocks("compile-graph compute-0-0").ok().contains("made on"));
}

#[test]
fn everything_is_explained() {
    let cluster = shipped();
    cluster.rocks("set-attribute timezone=Europe/Berlin").ok();
    cluster.rocks("set-attribute --appliance compute timezone=Europe/Paris").ok();
    let attribute = cluster.rocks("explain compute-0-0 timezone").ok();
    assert!(
        attribute.contains("\"Europe/Paris\", from appliance compute\n  hides \"Europe/Berlin\" from global"),
        "{attribute}"
    );
    let node = cluster.rocks("explain compute-0-0 time").ok();
    assert!(
        node.starts_with("node time is compiled") && node.contains("base -> time (graphs/default/cluster.xml:"),
        "{node}"
    );
    let line = cluster.run(&["explain", "compute-0-0", "timezone Europe/Paris"]).ok();
    assert!(
        line.contains("graphs/nodes/time.xml:") && line.contains("[holds: timezone is \"Europe/Paris\"]"),
        "{line}"
    );
    let package = cluster.rocks("explain compute-0-0 chrony").ok();
    assert!(package.starts_with("package is written in graphs/nodes/time.xml:"), "{package}");
    cluster.rocks("explain compute-0-0 nothing-of-the-kind").fails(3);
}

#[test]
fn a_line_of_the_kickstart_is_explained_by_its_number() {
    let cluster = shipped();
    let node = "<kickstart roll=\"site\">\n<main><lang>C</lang></main>\n<post cond=\"os == 'linux'\">\necho one\n\
                echo &hostname; &amp; more\n</post>\n</kickstart>";
    write(&cluster.path().join("graphs/nodes/extend-compute.xml"), node);
    let profile = cluster.rocks("compile-graph compute-0-0").ok();
    let kickstart = cluster.run_with_input(&["kickstart"], &profile).ok();
    let number = kickstart.lines().position(|line| line == "echo compute-0-0 & more").expect("it is there") + 1;
    let told = cluster.rocks(&format!("explain compute-0-0 {number}")).ok();
    for part in [
        "  echo compute-0-0 & more\n",
        "post is written in graphs/nodes/extend-compute.xml:3 (roll site) if os == 'linux' [holds: os is \"linux\"]",
        "this line is written in graphs/nodes/extend-compute.xml:5\n",
        "node compute is where the appliance begins",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let package = kickstart.lines().position(|line| line == "chrony").expect("it is there") + 1;
    let told = cluster.rocks(&format!("explain compute-0-0 {package}")).ok();
    assert!(told.contains("graphs/nodes/time.xml:") && told.contains("base -> time (graphs/default/"), "{told}");
    assert!(cluster.rocks("explain compute-0-0 1").ok().contains("it is in the template"));
    for outside in [0, kickstart.lines().count() + 1] {
        let said = cluster.rocks(&format!("explain compute-0-0 {outside}")).fails(3);
        assert!(said.contains(&format!("has no line {outside}")), "{said}");
    }
}

#[test]
fn the_graph_is_listed_and_drawn() {
    let cluster = shipped();
    let table = cluster.rocks("list-graph compute-0-0").ok();
    assert!(table.lines().any(|line| line.starts_with("compute ") && line.contains(" yes ")), "{table}");
    assert!(table.lines().any(|line| line.contains(" no ")), "{table}");
    assert!(cluster.rocks("list-graph --format svg").ok().starts_with("<svg "));
    assert!(cluster.rocks("list-graph --format dot").ok().starts_with("digraph "));
    assert!(cluster.rocks("list-graph --format json").json()["edges"].is_array());
}
