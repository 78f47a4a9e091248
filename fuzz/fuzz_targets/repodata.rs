//! The metadata of a distribution: its packages and its groups, parted by NUL, under a list of files that fits them;
//! what begins with NUL is the list itself.
#![no_main]

use rocks::cluster::Arch;
use rocks::distribution::{PackageRequest, Repository};
use sha2::{Digest, Sha256};
use std::fmt::Write;

thread_local! {
    static FOLDER: tempfile::TempDir = {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::create_dir_all(folder.path().join("repodata")).expect("a folder");
        folder
    };
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    FOLDER.with(|folder| {
        let repodata = folder.path().join("repodata");
        let mut list = String::from("<repomd>");
        if let Some(data) = data.strip_prefix(&[0]) {
            std::fs::write(repodata.join("repomd.xml"), data).expect("a file");
        } else {
            for (kind, part) in ["primary", "group"].iter().zip(data.split(|byte| *byte == 0)) {
                std::fs::write(repodata.join(kind), part).expect("a file");
                let sum: String = Sha256::digest(part).iter().map(|byte| format!("{byte:02x}")).collect();
                let (size, open) = (part.len(), part.len());
                let _ = write!(
                    list,
                    r#"<data type="{kind}"><location href="repodata/{kind}"/><checksum type="sha256">{sum}</checksum>
                    <size>{size}</size><open-size>{open}</open-size></data>"#
                );
            }
            list.push_str("</repomd>");
            std::fs::write(repodata.join("repomd.xml"), list).expect("a file");
        }
        if let Ok(repository) = Repository::open(folder.path()) {
            let request = PackageRequest { names: vec!["*".into()], ..PackageRequest::default() };
            let _ = repository.index(Arch::default()).closure(&request);
        }
    });
});
