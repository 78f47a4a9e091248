//! `set-attribute`, `list-attribute`, `remove-attribute`.

use crate::Cluster;

#[test]
fn the_narrowest_scope_counts_and_the_listing_says_where_a_value_comes_from() {
    let cluster = Cluster::new();
    cluster.rocks("add-host compute-0-[0-1]").ok();
    cluster.rocks("set-attribute colour red").ok();
    cluster.rocks("set attribute colour=green --os linux").ok();
    cluster.rocks("set-attribute colour blue --appliance compute").ok();
    cluster.rocks("set-attribute colour=white size=7 --host compute-0-1").ok();
    let seen = |arguments: &str| -> Vec<[String; 3]> {
        let listed = cluster.rocks(&format!("list-attribute {arguments} --format json")).json();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let own = |a: &&serde_json::Value| matches!(a["name"].as_str(), Some("colour" | "size"));
        let all = listed.as_array().unwrap().iter().filter(own);
        all.map(|a| [text(&a["name"]), text(&a["value"]), text(&a["scope"])]).collect()
    };
    let row = |name: &str, value: &str, scope: &str| [name.to_owned(), value.to_owned(), scope.to_owned()];
    assert_eq!(seen("compute-0-0"), [row("colour", "blue", "appliance compute")]);
    let own = [row("colour", "white", "host compute-0-1"), row("size", "7", "host compute-0-1")];
    assert_eq!(seen("compute-0-1"), own);
    assert_eq!(seen("--host compute-0-1"), own);
    assert_eq!(seen("--appliance login"), [row("colour", "green", "os linux")]);
    assert_eq!(seen("").len(), 5);
    let table = cluster.rocks("list-attribute compute-0-1").ok();
    let line = table.lines().find(|line| line.starts_with("colour")).unwrap();
    assert!(line.contains("blue (appliance compute), green (os linux), red (global)"), "{line}");
    assert!(table.lines().any(|line| line.starts_with("hostname") && line.contains("the host itself")), "{table}");

    cluster.rocks("remove-attribute colour --host @compute").fails(3);
    assert_eq!(seen("compute-0-1"), own, "one host has no such attribute: none loses it");
    cluster.rocks("remove-attribute colour --host compute-0-1").ok();
    assert_eq!(seen("compute-0-1")[0], row("colour", "blue", "appliance compute"));
}

#[test]
fn what_a_rocks_frontend_tells_of_itself_is_there_for_conditions_of_rolls() {
    let cluster = Cluster::new();
    cluster.rocks("add-host compute-0-3 --rack 0 --rank 3").ok();
    let table = cluster.rocks("list-attribute compute-0-3").ok();
    for (name, value, source) in [
        ("rocks_version", "7.0", "rocks itself"),
        ("rocks_version_major", "7", "rocks itself"),
        ("version", "7.0", "rocks itself"),
        ("release", "Manzanita", "rocks itself"),
        ("os", "linux", "the host itself"),
        ("arch", "x86_64", "the host itself"),
        ("appliance", "compute", "the host itself"),
        ("membership", "compute", "the host itself"),
        ("rank", "3", "the host itself"),
    ] {
        let line = table.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap();
        assert!(line.contains(value) && line.contains(source), "{line}");
    }
    let nodes = cluster.path().join("graphs/nodes");
    std::fs::create_dir_all(&nodes).unwrap();
    let node = "<kickstart roll=\"site\"><package cond=\"rocks_version_major == 7 and rank > 2\">&release;-node</package></kickstart>";
    std::fs::write(nodes.join("extend-compute.xml"), node).unwrap();
    let kickstart = |cluster: &Cluster| {
        let profile = cluster.rocks("compile-graph compute-0-3").ok();
        cluster.run_with_input(&["kickstart"], &profile).ok()
    };
    assert!(kickstart(&cluster).contains("\nManzanita-node\n"));
    cluster.rocks("set-attribute rocks_version_major 6").ok();
    assert!(!kickstart(&cluster).contains("Manzanita-node"), "what is set hides what rocks tells");
    let told = cluster.rocks("explain compute-0-3 rocks_version_major").ok();
    assert!(told.contains("\"6\", from global\n  hides \"7\" from rocks itself"), "{told}");
}

#[test]
fn a_value_is_any_text() {
    let cluster = Cluster::new();
    for value in ["", " two  words ", "a=b", "line\nline", "q\"uo'te", "ünï", "$(x) `y` \\"] {
        cluster.run(&["set-attribute", "motd", value]).ok();
        let listed = cluster.rocks("list-attribute --format json").json();
        assert_eq!(listed[0]["value"], value);
        assert_eq!(cluster.rocks("list-attribute").ok().lines().count(), 2, "a value stays in its row");
    }
}

#[test]
fn wrong_names_and_scopes_are_told() {
    let cluster = Cluster::new();
    for (line, status, said) in [
        ("set-attribute 1x y", 4, "attribute name '1x' must begin with"),
        ("set-attribute x", 4, "has no value"),
        ("set-attribute x y --host compute-0-0", 3, "no host 'compute-0-0'"),
        ("set-attribute x y --appliance comptue", 3, "did you mean 'compute'?"),
        ("set-attribute x y --appliance compute --os linux", 2, "cannot be used with"),
        ("remove-attribute x", 3, "no attribute 'x' in scope 'global'"),
    ] {
        let error = cluster.rocks(line).fails(status);
        assert!(error.contains(said), "{line}: {error}");
    }
}
