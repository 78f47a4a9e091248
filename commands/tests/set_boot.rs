//! `set-boot`.

use crate::Cluster;

#[test]
fn each_order_to_install_begins_another_installation() {
    let cluster = Cluster::new();
    cluster.rocks("add-host compute-0-[0-2] --boot os").ok();
    let boots = || -> Vec<(String, u64)> {
        let hosts = cluster.rocks("list-host --format json").json();
        let boot = |h: &serde_json::Value| {
            (h["boot"]["action"].as_str().unwrap().to_owned(), h["boot"]["install_id"].as_u64().unwrap())
        };
        hosts.as_array().unwrap().iter().map(boot).collect()
    };
    let all = |action: &str, id| vec![(action.to_owned(), id); 3];
    assert_eq!(boots(), all("os", 0));
    cluster.rocks("set boot @compute install").ok();
    cluster.rocks("set-boot compute-0-[0-1] compute-0-2 install").ok();
    assert_eq!(boots(), all("install", 2));
    cluster.rocks("set-boot @compute os").ok();
    assert_eq!(boots(), all("os", 2));
    assert!(cluster.rocks("set-boot compute-0-0 reboot").fails(4).contains("neither install nor os"));
    assert!(cluster.rocks("set-boot compute-0-9 install").fails(3).contains("no host 'compute-0-9'"));
    assert_eq!(boots(), all("os", 2));
}
