//! `set-host`.

use crate::Cluster;

#[test]
fn a_replaced_card_keeps_everything_else() {
    let cluster = Cluster::new();
    cluster.rocks("add-host compute-0-0 --mac 52:54:00:00:00:01 --ip 10.1.0.1 --attr gpu=yes").ok();
    cluster.rocks("add-host compute-0-1 --mac 52:54:00:00:00:02 --ip 10.1.0.2").ok();
    cluster.rocks("set-host compute-0-0 --mac 52:54:00:00:00:09").ok();
    let host = cluster.rocks("list-host compute-0-0 --format json").json();
    assert_eq!(host[0]["interfaces"][0]["mac"], "52:54:00:00:00:09");
    assert_eq!(host[0]["interfaces"][0]["ip"], "10.1.0.1");
    // The old card may serve elsewhere.
    cluster.rocks("add-host compute-0-2 --mac 52:54:00:00:00:01").ok();
    let error = cluster.rocks("set-host compute-0-0 --mac 52:54:00:00:00:02").fails(5);
    assert!(error.contains("belongs to compute-0-1 eth0 already"), "{error}");
    let error = cluster.rocks("set-host compute-0-[0-1] --mac 52:54:00:00:00:03").fails(2);
    assert!(error.contains("one host at a time"), "{error}");
    cluster.rocks("set-host compute-0-0").fails(2);
    let error = cluster.rocks("set-host compute-0-0 --interface eth7 --mac 52:54:00:00:00:04").fails(3);
    assert!(error.contains("no interface 'compute-0-0 eth7'"), "a mistyped name makes no card: {error}");
}

#[test]
fn a_renamed_host_takes_its_attributes_and_its_boot_action_along() {
    let cluster = Cluster::new();
    cluster.rocks("add-host compute-0-[0-1] --ip 10.1.0.1 --attr gpu=yes").ok();
    cluster.rocks("set-boot compute-0-0 install").ok();
    cluster.rocks("set-host compute-0-0 --name login-0-0 --appliance login --rack 3").ok();
    let host = cluster.rocks("list-host login-0-0 --format json").json();
    assert_eq!(host[0]["appliance"], "login");
    assert_eq!(host[0]["rack"], 3);
    assert_eq!(host[0]["boot"]["install_id"], 2);
    assert!(cluster.rocks("list-attribute login-0-0").ok().contains("gpu"));
    let exported = cluster.rocks("export").ok();
    assert!(
        exported.contains("\"ordered_as\": \"compute-0-0\""),
        "its installation goes on under the old name: {exported}"
    );
    assert_eq!(exported.matches("\"compute-0-0\"").count(), 1, "nothing else does");
    cluster.rocks("set-host login-0-0 --name compute-0-1").fails(5);
}
