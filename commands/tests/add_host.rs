//! `add-host`, `list-host`, `remove-host`.

use crate::Cluster;

#[test]
fn a_reader_creates_nothing_and_the_first_writer_everything() {
    let cluster = Cluster::new();
    let outcome = cluster.rocks("list-host");
    assert!(outcome.stderr.contains("no cluster in"), "{}", outcome.stderr);
    assert_eq!(outcome.ok(), "");
    assert!(!cluster.path().exists());
    cluster.rocks("add host compute-0-0 --mac 52:54:00:12:34:56 --ip 10.1.255.254").ok();
    assert!(cluster.path().join("rocks.redb").exists());
    let listed = cluster.rocks("list host compute-0-0 --format json").json();
    assert_eq!(listed[0]["name"], "compute-0-0");
    assert_eq!(listed[0]["appliance"], "compute");
    assert_eq!((listed[0]["rack"].as_u64(), listed[0]["rank"].as_u64()), (Some(0), Some(0)));
    assert_eq!(listed[0]["interfaces"][0]["network"], "private");
    assert_eq!(listed[0]["boot"]["state"], "waiting");
}

#[test]
fn each_bad_word_has_its_place_and_its_exit_status() {
    let cluster = Cluster::new();
    cluster.rocks("add-host compute-0-0 --mac 52:54:00:12:34:56 --ip 10.1.255.254").ok();
    let before = cluster.rocks("export").ok();
    for (line, status, said) in [
        ("compute-0-1 --mac 52:54:00:12:34", 4, "rocks: MAC address '52:54:00:12:34' is not six pairs"),
        ("compute-0-1 --mac ff:ff:ff:ff:ff:ff", 4, "group address"),
        ("compute-0-1 --ip 10.1.0.300", 4, "'10.1.0.300'"),
        ("compute-0-1 --ip 192.168.0.1", 4, "'192.168.0.1' of host 'compute-0-1' is outside every network\nhint:"),
        ("compute-0-1 --ip 10.1.255.255", 4, "is the broadcast address of network 'private'"),
        ("compute-0-1 --ip 10.1.0.1 --network publc", 3, "no network 'publc'"),
        ("compute-0-0", 5, "host 'compute-0-0' exists already\nhint:"),
        ("compute-0-1 --mac 52:54:00:12:34:56", 5, "belongs to compute-0-0 eth0 already"),
        ("compute-0-1 --ip 10.1.255.254", 5, "belongs to compute-0-0 eth0 already"),
        ("comptue-0-1", 3, "no appliance 'comptue'\nhint: did you mean 'compute'?"),
        ("big.example.org --appliance compute", 4, "has a dot"),
        ("login", 4, "has no appliance"),
        ("login --appliance lgoin", 3, "did you mean 'login'?"),
        ("compute-0-[1-3] --mac 52:54:00:12:34:57", 2, "one MAC address for 3 hosts"),
        ("compute-0-[1-", 4, "bracket that is not closed"),
        ("@compute", 2, "hosts that are there already"),
        ("compute-0-1 --attr gpu", 4, "has no value\nhint: write NAME=VALUE"),
        ("compute-0-1 --attr 1a=b", 4, "attribute name '1a'"),
        ("compute-0-1 --interface a/b --ip 10.1.0.1", 4, "interface 'a/b'"),
        ("--from /nonexistent", 3, "'/nonexistent': no such file"),
        ("compute-0-1 --colour red", 2, "unexpected argument '--colour'"),
        ("", 2, "required"),
    ] {
        let error = cluster.rocks(&format!("add-host {line}")).fails(status);
        assert!(error.starts_with("rocks: ") && error.contains(said), "{line}: {error}");
    }
    assert_eq!(cluster.rocks("export").ok(), before, "nothing is half-written");
}

#[test]
fn a_list_is_taken_whole_or_every_bad_line_is_told() {
    let cluster = Cluster::new();
    let list = "name,appliance,rack,rank,mac,ip,interface,site\n\
                compute-0-0,compute,0,0,52:54:00:00:00:01,10.1.0.1,,lab\n\
                compute-0-0,,,,52:54:00:00:00:02,10.1.0.2,eth1,\n\
                login-0-0,login,,,,10.1.0.3,,\n";
    cluster.run_with_input(&["add-host", "--from", "-"], list).ok();
    let hosts = cluster.rocks("list-host --format json").json();
    assert_eq!(hosts.as_array().map(Vec::len), Some(2));
    assert_eq!(hosts[0]["interfaces"][1]["name"], "eth1");
    let before = cluster.rocks("export").ok();

    let file = cluster.scratch().join("hosts.csv");
    let bad = "name,mac,ip\n\
               compute-1-0,52:54:00:00:01:01,10.1.1.1\n\
               compute-1-1,52:54:00:00:01:01,10.1.1.2\n\
               compute-1-2,52:54:00:00:01,10.1.1.3\n\
               compute-0-0,,\n\
               compute-1-4,,10.2.0.1\n\
               compute-1-5,52:54:00:00:00:02,\n\
               comptue-1-6,,\n\
               compute-1-7,,10.1.1.1\n";
    std::fs::write(&file, bad).unwrap();
    let error = cluster.run(&["add-host", "--from", file.to_str().unwrap()]).fails(4);
    for (line, said) in [
        (3, "'compute-1-1' belongs to compute-1-0 eth0 already (line 2)"),
        (4, "is not six pairs"),
        (5, "exists already"),
        (6, "is outside every network"),
        (7, "belongs to compute-0-0 eth1 already"),
        (8, "did you mean 'compute'?"),
        (9, "belongs to compute-1-0 eth0 already (line 2)"),
    ] {
        let place = format!("hosts.csv:{line}: ");
        let told: Vec<&str> = error.lines().filter(|told| told.contains(&place)).collect();
        assert!(told.len() == 1 && told[0].contains(said), "line {line}: {error}");
    }
    assert!(error.contains("7 lines of"), "{error}");
    assert_eq!(cluster.rocks("export").ok(), before);
}

#[test]
fn a_forgotten_quote_is_one_line() {
    let cluster = Cluster::new();
    let list = "name,mac\n\"compute-0-0,52:54:00:00:00:01\ncompute-0-1,52:54:00:00:00:02\n";
    let error = cluster.run_with_input(&["add-host", "--from", "-"], list).fails(4);
    assert_eq!(error.lines().count(), 2, "{error}");
    assert!(error.starts_with("-:2: host name 'compute-0-0,52:54:00:00:00:01 compute-0-1,"), "{error}");
}

#[test]
fn node_sets_name_many_hosts() {
    let cluster = Cluster::new();
    cluster.rocks("add-host compute-[0-1]-[0-3] --ip 10.1.1.1").ok();
    cluster.rocks("add-host login-0-0 --ip 10.1.2.1").ok();
    let names = |set: &str| -> Vec<String> {
        let hosts = cluster.rocks(&format!("list-host {set} --format json")).json();
        hosts.as_array().unwrap().iter().map(|host| host["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("@login"), ["login-0-0"]);
    assert_eq!(names("@compute!compute-1-[0-3]"), ["compute-0-0", "compute-0-1", "compute-0-2", "compute-0-3"]);
    assert_eq!(names("compute-1-[2-3],login-0-0"), ["compute-1-2", "compute-1-3", "login-0-0"]);
    assert_eq!(names("@all").len(), 9);
    let error = cluster.rocks("list-host compute-0-[2-5]").fails(3);
    assert!(error.contains("no host 'compute-0-4'"), "{error}");
    let error = cluster.rocks("list-host @logins").fails(3);
    assert!(error.contains("did you mean 'login'?"), "{error}");
    cluster.rocks("remove-host @compute").ok();
    assert_eq!(names(""), ["login-0-0"]);
    // What is removed leaves its addresses free.
    cluster.rocks("add-host nas-0-0 --ip 10.1.1.1").ok();
}

#[test]
fn hosts_are_listed_as_people_count() {
    let cluster = Cluster::new();
    cluster.rocks("add-host compute-0-[8-11]").ok();
    let table = cluster.rocks("list-host").ok();
    let names: Vec<&str> = table.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["NAME", "compute-0-8", "compute-0-9", "compute-0-10", "compute-0-11"]);
}
