//! `export` and `import`.

use crate::Cluster;
use rocks::demo::packages::{DistributionSpec, make_distribution};

fn filled() -> Cluster {
    let cluster = Cluster::new();
    cluster.rocks("add-network public 192.0.2.0/24").ok();
    cluster.rocks("add-host compute-0-[0-3] --ip 10.1.0.1").ok();
    cluster.rocks("add-interface compute-0-0 eth1 --mac 52:54:00:00:00:01 --ip 192.0.2.1").ok();
    cluster.run(&["set-attribute", "motd", "\"quoted\"\n\u{1F427}"]).ok();
    cluster.rocks("set-boot compute-0-1 os").ok();
    cluster
}

#[test]
fn a_store_comes_back_to_the_byte() {
    let cluster = filled();
    let exported = cluster.rocks("export").ok();
    let other = Cluster::new();
    other.run_with_input(&["import", "-"], &exported).ok();
    assert_eq!(other.rocks("export").ok(), exported);
    // And it works: its indexes are there.
    other.rocks("add-host compute-9-9 --ip 10.1.0.1").fails(5);
}

#[test]
fn another_store_is_replaced_only_when_that_is_said() {
    let (old, new) = (filled(), Cluster::new());
    new.rocks("add-host login-0-0 --ip 10.1.0.1").ok();
    let file = old.scratch().join("cluster.json");
    old.run(&["export", file.to_str().unwrap()]).ok();
    let error = new.run(&["import", file.to_str().unwrap()]).fails(5);
    assert!(error.contains("hint: --replace"), "{error}");
    new.run(&["import", file.to_str().unwrap(), "--replace"]).ok();
    let (was, is) = (old.rocks("export").json(), new.rocks("export").json());
    for part in ["hosts", "boots", "attributes", "networks", "appliances"] {
        assert_eq!(was[part], is[part], "{part}");
    }
    assert!(is["generation"].as_u64() > was["generation"].as_u64(), "what was derived before is not taken for new");
    assert!(new.rocks("log").ok().contains("import "));
}

#[test]
fn a_bad_document_changes_nothing() {
    let cluster = filled();
    let before = cluster.rocks("export").ok();
    let twice = before.replace("\"name\": \"compute-0-1\"", "\"name\": \"compute-0-0\"");
    for (document, status, said) in [
        ("", 4, "is no export"),
        ("{\"format\": 999}", 4, "made by a newer rocks"),
        ("{\"format\": 999, \"moons\": []}", 4, "hint: import it with the rocks that wrote it"),
        ("{\"format\": 1, \"hots\": []}", 4, "unknown field `hots`"),
        (&before.replace("10.1.0.2", "10.1.0.x"), 4, "is no export"),
        (&before.replace("10.1.0.2", "10.9.0.2"), 4, "10.9.0.2"),
        (&twice, 5, "host 'compute-0-0' exists already"),
    ] {
        let error = cluster.run_with_input(&["import", "-", "--replace"], document).fails(status);
        assert!(error.contains(said), "{error}");
        let new = Cluster::new();
        new.run_with_input(&["import", "-"], document).fails(status);
        assert!(!new.path().join("rocks.redb").exists());
    }
    assert_eq!(cluster.rocks("export").ok(), before);
}

#[test]
fn no_key_is_in_the_database_nor_in_an_export() {
    let cluster = filled();
    let tree = cluster.scratch().join("tree");
    make_distribution(&tree, &DistributionSpec { bytes: 1 << 20, packages: 2, ..DistributionSpec::default() }).unwrap();
    cluster.rocks(&format!("add-distribution base {} --release rhel9", tree.display())).ok();
    let mut secrets = Vec::new();
    for entry in std::fs::read_dir(cluster.path().join("keys")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        // The authority's certificate is shown to whoever connects.
        if path.extension().is_none_or(|extension| extension != "pem") {
            secrets.extend(text.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned));
        }
    }
    assert!(secrets.len() >= 3, "keys were made");
    // As they are written, and as the bytes that they stand for.
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let raw = |text: &String| text.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>();
    let forms: Vec<Vec<u8>> = secrets.iter().filter_map(raw).chain(secrets.iter().map(|s| s.clone().into())).collect();
    let mut files = vec![cluster.rocks("export").ok().into_bytes()];
    for entry in std::fs::read_dir(cluster.path()).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            files.push(std::fs::read(entry.path()).unwrap());
        }
    }
    assert!(files.len() > 1, "the database is one of them");
    for (file, form) in files.iter().flat_map(|file| forms.iter().map(move |form| (file, form))) {
        assert!(!file.windows(form.len()).any(|window| window == form.as_slice()));
    }
}
