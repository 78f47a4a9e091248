//! `log`.

use crate::Cluster;

#[test]
fn every_change_is_one_readable_line_and_a_failed_or_empty_one_is_none() {
    let cluster = Cluster::new();
    cluster.rocks("add-host compute-0-[0-15]").ok();
    cluster.rocks("set-attribute gpu=yes --host compute-0-3").ok();
    cluster.rocks("set-attribute gpu=yes --host compute-0-3").ok();
    cluster.rocks("add-host compute-0-3").fails(5);
    cluster.rocks("remove-host compute-0-[8-15]").ok();
    let entries = cluster.rocks("log --format json").json();
    let sentences: Vec<&str> = entries.as_array().unwrap().iter().map(|e| e["sentence"].as_str().unwrap()).collect();
    assert_eq!(
        sentences,
        [
            "new cluster",
            "add host compute-0-[0-15]",
            "set attribute gpu (host compute-0-3)",
            "remove host compute-0-[8-15]"
        ]
    );
    let generations: Vec<u64> = entries.as_array().unwrap().iter().filter_map(|e| e["generation"].as_u64()).collect();
    assert_eq!(generations, [1, 2, 3, 4]);
    assert!(!cluster.rocks("log").ok().contains("yes"), "values may be secret and are not told");
    assert_eq!(cluster.rocks("log -n 1").ok().lines().count(), 2);
}
