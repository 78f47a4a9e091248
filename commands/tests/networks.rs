//! Networks, appliances and interfaces.

use crate::Cluster;

#[test]
fn a_new_cluster_begins_with_a_private_network_and_the_shipped_appliances() {
    let cluster = Cluster::new();
    let networks = cluster.rocks("list-network --format json").json();
    assert_eq!(networks[0]["name"], "private");
    assert_eq!(networks[0]["subnet"], "10.1.0.0/16");
    let table = cluster.rocks("list-appliance").ok();
    for appliance in ["compute", "login", "nas", "web-server", "frontend-service"] {
        assert!(table.lines().any(|line| line.starts_with(appliance)), "{table}");
    }
}

#[test]
fn an_interface_is_in_the_network_of_its_address() {
    let cluster = Cluster::new();
    cluster.rocks("add-network public 192.0.2.0/24 --mtu 9000 --zone example.org").ok();
    cluster.rocks("add-host login-0-0 --ip 10.1.0.1 --mac 52:54:00:00:00:01").ok();
    cluster.rocks("add-interface login-0-0 eth1 --ip 192.0.2.7").ok();
    let host = cluster.rocks("list-host login-0-0 --format json").json();
    assert_eq!(host[0]["interfaces"][1]["network"], "public");
    for (line, status, said) in [
        ("add-interface login-0-0 eth1", 5, "interface 'login-0-0 eth1' exists already"),
        ("add-interface login-0-0 eth2 --ip 10.1.0.1", 5, "belongs to login-0-0 eth0 already"),
        ("add-interface login-0-0 eth2 --ip 10.1.0.2 --network public", 4, "is not in network 'public'"),
        ("add-interface login-0-9 eth2", 3, "no host 'login-0-9'"),
        ("remove-interface login-0-0 eth7", 3, "no interface 'eth7'"),
        ("remove-network public", 5, "used by 1 interface (login-0-0 eth1)"),
        ("remove-network pulbic", 3, "did you mean 'public'?"),
        ("add-network public 198.51.100.0/24", 5, "network 'public' exists already"),
        ("add-network other 10.1.4.0/22", 5, "same addresses as network 'private'"),
        ("add-network other 10.2.0.1/16", 4, "did you mean 10.2.0.0/16?"),
        ("add-network other 10.2.0.0", 4, "is not ADDRESS/PREFIX"),
        ("remove-appliance login", 5, "appliance 'login' is used by 1 host (login-0-0)"),
        ("add-appliance login", 5, "appliance 'login' exists already"),
        ("add-appliance new --distribution el9", 3, "no distribution 'el9'"),
        ("add-appliance all", 4, "not 'all'"),
    ] {
        let error = cluster.rocks(line).fails(status);
        assert!(error.contains(said), "{line}: {error}");
    }
    cluster.rocks("remove-interface login-0-0 eth1").ok();
    cluster.rocks("remove-network public").ok();
    cluster.rocks("remove-host login-0-0").ok();
    cluster.rocks("remove-appliance login").ok();
    cluster.rocks("add-appliance login --root compute").ok();
}
