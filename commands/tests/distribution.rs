//! Distributions from the shell: published, listed, published again, refused, removed.

use crate::Cluster;
use rocks::demo::packages::{DistributionSpec, make_distribution};

/// A tree of ten packages beside the cluster.
fn tree(cluster: &Cluster) -> (String, Vec<String>) {
    let folder = cluster.scratch().join("tree");
    let spec = DistributionSpec { bytes: 200_000, packages: 10, ..DistributionSpec::default() };
    let made = make_distribution(&folder, &spec).expect("made");
    (folder.to_str().expect("UTF-8").to_owned(), made.hrefs)
}

#[test]
fn a_distribution_is_published_listed_and_removed() {
    let cluster = Cluster::new();
    let (tree, hrefs) = tree(&cluster);
    let said = cluster.run(&["add-distribution", "el9", &tree, "--release", "rhel9"]);
    assert!(said.stderr.contains("serial 1") && said.stderr.contains("not verified"), "{}", said.stderr);
    said.ok();
    let listed = cluster.rocks("list-distribution --format json").json();
    assert_eq!((&listed[0]["name"], &listed[0]["packages"]), (&"el9".into(), &10.into()));
    let again = cluster.run(&["add-distribution", "el9", &tree]);
    assert!(again.stderr.contains("nothing has changed") && again.stderr.contains("0 of"), "{}", again.stderr);
    let set = cluster.rocks("list-distribution el9 --install @base --install=-basalt-0000").ok();
    assert!(set.lines().count() > 2 && set.lines().all(|line| hrefs.iter().any(|href| href == line)), "{set}");
    assert!(!set.contains("basalt-0000"), "{set}");
    cluster.rocks("remove-distribution el9").ok();
    assert_eq!(cluster.rocks("list-distribution").ok(), "");
}

#[test]
fn a_faulty_tree_is_refused_with_every_fault_and_nothing_is_made() {
    let cluster = Cluster::new();
    let (tree, hrefs) = tree(&cluster);
    std::fs::remove_file(format!("{tree}/{}", hrefs[2])).expect("removed");
    std::fs::write(format!("{tree}/{}", hrefs[5]), "short").expect("written");
    let said = cluster.run(&["add-distribution", "el9", &tree, "--release", "rhel9"]).fails(4);
    assert!(said.contains(&format!("'{}' is missing", hrefs[2])), "{said}");
    assert!(said.contains(&format!("'{}' has 5 bytes", hrefs[5])), "{said}");
    assert!(!cluster.path().exists(), "a refused distribution has made a cluster");
    cluster.run(&["add-distribution", "el9", &tree]).fails(2);
    cluster.run(&["add-distribution", "el9", "/nowhere", "--release", "rhel9"]).fails(3);
}
