//! Stores of every format there ever was open, and those that cannot be opened say why.

use crate::Cluster;
use std::path::Path;

/// Each `testdata/stores/NAME.redb` opens and exports what `NAME.json` has.
#[test]
fn older_stores_open() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/stores");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "redb") {
            let cluster = Cluster::new();
            std::fs::create_dir(cluster.path()).unwrap();
            std::fs::copy(&path, cluster.path().join("rocks.redb")).unwrap();
            let expected: serde_json::Value =
                serde_json::from_str(&std::fs::read_to_string(path.with_extension("json")).unwrap()).unwrap();
            assert_eq!(cluster.rocks("export").json(), expected, "{}", path.display());
            cluster.rocks("add-host compute-77-0").ok();
            // The document of that time is still read, too.
            let other = Cluster::new();
            other.run(&["import".as_ref(), path.with_extension("json").as_os_str()]).ok();
            assert_eq!(other.rocks("export").json(), expected, "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 0, "no store in {}", folder.display());
}

#[test]
fn a_store_of_a_newer_rocks_is_left_alone() {
    use redb::{ConcurrencyMode, Database, TableDefinition};
    let cluster = Cluster::new();
    cluster.rocks("add-host compute-0-0").ok();
    let path = cluster.path().join("rocks.redb");
    {
        let database = Database::builder().set_concurrency_mode(ConcurrencyMode::MultiWriter).open(&path).unwrap();
        let write = database.begin_write().unwrap();
        let meta = TableDefinition::<&[u8], &[u8]>::new("meta");
        write.open_table(meta).unwrap().insert(&b"format"[..], &b"999"[..]).unwrap();
        write.commit().unwrap();
    }
    let before = std::fs::read(&path).unwrap();
    for line in ["list-host", "add-host compute-0-1", "export"] {
        let error = cluster.rocks(line).fails(1);
        assert!(error.contains("has format 999, made by a newer rocks") && error.contains("hint: "), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn what_is_no_store_is_said_in_one_line() {
    for contents in [&b""[..], b"hello", &[0; 65536], &[0xff; 100_000]] {
        let cluster = Cluster::new();
        std::fs::create_dir(cluster.path()).unwrap();
        let path = cluster.path().join("rocks.redb");
        std::fs::write(&path, contents).unwrap();
        for line in ["list-host", "add-host compute-0-0"] {
            let error = cluster.rocks(line).fails(1);
            assert!(error.contains("is no cluster database") && error.contains("hint: "), "{error}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), contents, "what is not ours is left alone");
    }
}

#[test]
fn a_damaged_store_is_an_error_and_never_a_crash() {
    let whole = Cluster::new();
    whole.rocks("add-host compute-[0-9]-[0-9]").ok();
    let bytes = std::fs::read(whole.path().join("rocks.redb")).unwrap();
    for length in [100, 4096, 8192, bytes.len() / 2, bytes.len() - 4096] {
        let cluster = Cluster::new();
        std::fs::create_dir(cluster.path()).unwrap();
        std::fs::write(cluster.path().join("rocks.redb"), &bytes[..length]).unwrap();
        let outcome = cluster.rocks("list-host");
        assert!(outcome.status == 0 || outcome.status == 1, "{length}: {outcome:?}");
        assert!(!outcome.stderr.contains("panicked") && !outcome.stderr.contains("a defect in rocks"), "{outcome:?}");
    }
}
