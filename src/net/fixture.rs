//! A small cluster for the tests of this room: a tree of files, its metainfo, a store with two hosts.

use super::frontend::{Options, Running, Security};
use super::http::client::{Client, Origin};
use super::log::Log;
use crate::cluster::{
    Arch, Distribution, DistributionName, Host, HostName, Interface, MacAddress, Network, NetworkName, Package, Release,
};
use crate::distribution::{Comps, Entry, INDEX_BLOB, Index, SERIAL_KEY, SIGNATURE_KEY};
use crate::store::Store;
use crate::torrent::{Metainfo, MetainfoBuilder, hash_reader};
use crate::trust::{Keys, SnapshotClaim};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The length of a piece of the fixture.
pub(super) const PIECE: u32 = 16 << 10;
/// The MAC address of the first host.
pub(super) const MAC: &str = "52:54:00:00:00:01";

/// A cluster in a folder that goes with the value.
pub(super) struct Fixture {
    pub(super) folder: tempfile::TempDir,
    pub(super) metainfo: Metainfo,
    pub(super) files: Vec<(String, Vec<u8>)>,
    pub(super) store: Arc<Store>,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with(2, 0)
    }

    /// The same with so many hosts, and so many more files that nobody wants.
    pub(super) fn with(hosts: u8, more_files: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tree = folder.path().join("tree");
        std::fs::create_dir_all(tree.join("repodata")).expect("folders");
        std::fs::create_dir_all(folder.path().join("graphs/default")).expect("folders");
        std::fs::create_dir_all(folder.path().join("graphs/nodes")).expect("folders");
        let mut files: Vec<(String, Vec<u8>)> = (0..12_u32)
            .map(|n| {
                let mut state = n + 1;
                let mut byte = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                };
                (format!("p{n:02}+1~a.rpm"), (0..9_000 + 17_000 * n).map(|_| byte()).collect())
            })
            .collect();
        files.push(("repodata/repomd.xml".to_owned(), b"<repomd/>".to_vec()));
        files.extend((0..more_files).map(|n| (format!("q{n:03}"), n.to_string().into_bytes())));
        let mut builder = MetainfoBuilder::new("el9", PIECE).expect("a name");
        for (name, bytes) in &files {
            std::fs::write(tree.join(name), bytes).expect("written");
            let (length, hashes) = hash_reader(&bytes[..], PIECE).expect("in memory");
            builder.file(name, length, hashes).expect("a file");
        }
        let mut metainfo = builder.finish().expect("metainfo");
        sign(&mut metainfo, folder.path());
        let store = Arc::new(Store::in_memory().expect("a store"));
        fill(&store, tree, &metainfo, &files, hosts);
        let fixture = Self { folder, metainfo, files, store };
        fixture.write("graphs/default/base.xml", "<graph><edge from=\"compute\" to=\"base\"/></graph>");
        let packages: String = (0..12).map(|n| format!("<package>p{n:02}</package>")).collect();
        fixture.write("graphs/nodes/compute.xml", &format!("<kickstart>{packages}</kickstart>"));
        fixture.write("graphs/nodes/base.xml", "<kickstart><post>first &motto;</post></kickstart>");
        fixture
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        std::fs::write(self.folder.path().join(path), text).expect("written");
    }

    pub(super) fn content(&self, name: &str) -> &[u8] {
        &self.files.iter().find(|(there, _)| there == name).expect("a file of the fixture").1
    }

    pub(super) fn checksums(&self) -> std::collections::HashMap<String, [u8; 32]> {
        self.files.iter().map(|(name, bytes)| (name.clone(), Sha256::digest(bytes).into())).collect()
    }

    /// A frontend of this cluster.
    pub(super) async fn serve(&self) -> Running {
        self.serve_as(Security::default(), Log::silent()).await
    }

    /// A frontend that wants this much proof.
    pub(super) async fn serve_as(&self, security: Security, log: Log) -> Running {
        let listen = "127.0.0.1:0".parse().expect("an address");
        let cluster = self.folder.path().to_owned();
        let options = Options { listen, peer_port: 0, rate: None, cluster, security };
        Running::start(&options, Arc::clone(&self.store), log).await.expect("ports are free")
    }
}

/// Checks a text against the rules of OpenMetrics 1.0 that can be told line by line: families in one block each, metadata
/// before samples, a counter's samples end in `_total`, a unit ends the family's name, `# EOF` ends the text.
pub(super) fn assert_open_metrics(text: &str) {
    let body = text.strip_suffix("# EOF\n").expect("the text ends in # EOF");
    let (mut families, mut family, mut kind, mut has_samples) = (HashSet::new(), "", "", false);
    for line in body.lines() {
        if let Some(metadata) = line.strip_prefix("# ") {
            let words: Vec<&str> = metadata.splitn(3, ' ').collect();
            let [keyword, name, value] = words[..] else { panic!("{line}") };
            if name != family {
                assert!(families.insert(name), "a family in two places: {line}");
                (family, kind, has_samples) = (name, "", false);
            }
            assert!(!has_samples, "metadata behind samples: {line}");
            match keyword {
                "TYPE" => kind = value,
                "UNIT" => assert!(name.ends_with(&format!("_{value}")), "{line}"),
                "HELP" => assert!(!value.is_empty(), "{line}"),
                _ => panic!("no such keyword: {line}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("a sample");
        let (name, labels) = name.split_once('{').map_or((name, None), |(name, labels)| (name, Some(labels)));
        assert!(labels.is_none_or(|labels| labels.ends_with("\"}")), "{line}");
        match kind {
            "counter" => assert_eq!(name, format!("{family}_total"), "{line}"),
            "gauge" => assert_eq!(name, family, "{line}"),
            _ => panic!("of no known kind: {line}"),
        }
        assert!(value.parse::<f64>().is_ok_and(|value| value >= 0.0), "{line}");
        has_samples = true;
    }
    assert!(has_samples);
}

/// A log that can be read.
pub(super) fn logged() -> (Log, Arc<Mutex<Vec<String>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&lines);
    (Log::new(move |_, line| seen.lock().expect("no panic").push(line.to_owned())), lines)
}

/// A client that asks a server on loopback from this address.
pub(super) fn client(at: std::net::SocketAddr, from: &str) -> Client {
    let (origin, _) = Origin::parse(&format!("http://{at}")).expect("a URL");
    Client::new(origin, Some(from.parse::<IpAddr>().expect("an address")))
}

/// Signs as `rocks add-distribution` does.
fn sign(metainfo: &mut Metainfo, cluster: &Path) {
    let keys = Keys::open_or_create(cluster, super::since_1970()).expect("keys");
    let claim = SnapshotClaim { distribution: "el9", serial: 1, info_hash: metainfo.info_hash().0 };
    let own = &mut metainfo.envelope.own;
    own.insert(SIGNATURE_KEY.to_owned(), keys.signing.sign(&claim).to_vec());
    own.insert(SERIAL_KEY.to_owned(), b"1".to_vec());
}

fn fill(store: &Store, tree: PathBuf, metainfo: &Metainfo, files: &[(String, Vec<u8>)], hosts: u8) {
    let name = DistributionName::parse("el9").expect("a name");
    let entries = files.iter().filter(|(name, _)| name.ends_with(".rpm")).map(|(href, bytes)| {
        let package = Package {
            name: href[..3].to_owned(),
            version: "1".to_owned(),
            release: "1".to_owned(),
            arch: "noarch".to_owned(),
            href: href.clone(),
            size_bytes: bytes.len() as u64,
            ..Package::default()
        };
        Entry { package, ..Entry::default() }
    });
    let index = Index::new(Arch::X86_64, entries.collect(), Comps::default());
    let distribution = Distribution {
        name: name.clone(),
        path: tree,
        release: Release::Rhel9,
        arch: Arch::X86_64,
        info_hash: metainfo.info_hash(),
        serial: 1,
        packages: 12,
        bytes: metainfo.layout().total_bytes(),
    };
    let filled = store.write("a cluster to test with", |writer| {
        let subnet = "127.0.0.0/8".parse().expect("a subnet");
        let network = NetworkName::parse("loop").expect("a name");
        writer.add_network(&Network { name: network, subnet, mtu_bytes: 1500, zone: None })?;
        for number in 0..hosts {
            let mut host = Host::new(HostName::parse(&format!("compute-0-{number}")).expect("a name"), "compute");
            host.interfaces.push(Interface {
                name: "eth0".to_owned(),
                mac: Some(MacAddress::parse(&format!("52:54:00:00:00:{:02x}", number + 1)).expect("a MAC address")),
                ip: Some(format!("127.1.0.{}", number + 1).parse().expect("an address")),
                network: None,
            });
            writer.add_host(&host)?;
        }
        writer.put_distribution(&distribution)?;
        writer.put_metainfo(&name, &metainfo.to_bytes())?;
        writer.put_blob(&name, INDEX_BLOB, &index.to_bytes())
    });
    filled.expect("a good cluster");
}
