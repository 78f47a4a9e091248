//! Node files and the attributes that go into them: a configuration of one node is compiled.
#![no_main]

use rocks::graph::{CompileRequest, Configuration, Evals};
use std::collections::BTreeMap;

thread_local! {
    static FOLDER: tempfile::TempDir = {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::create_dir_all(folder.path().join("graphs/default")).expect("a folder");
        std::fs::create_dir_all(folder.path().join("nodes")).expect("a folder");
        let graph = r#"<graph><edge from="root" to="fuzz"/></graph>"#;
        std::fs::write(folder.path().join("graphs/default/fuzz.xml"), graph).expect("a file");
        std::fs::write(folder.path().join("nodes/root.xml"), "<kickstart/>").expect("a file");
        folder
    };
}

libfuzzer_sys::fuzz_target!(|data: (&str, &str)| {
    let (text, value) = data;
    FOLDER.with(|folder| {
        std::fs::write(folder.path().join("nodes/fuzz.xml"), text).expect("a file");
        let Ok(configuration) = Configuration::open(&[folder.path()]) else { return };
        let named = [("graph", "default"), ("os", "linux"), ("arch", "x86_64"), ("hostname", value)];
        let attributes: BTreeMap<String, String> = named.map(|(name, value)| (name.into(), value.into())).into();
        let evals = Evals::off();
        let request =
            CompileRequest { root: "root", attributes: &attributes, generator: "kgen", rolls: None, evals: &evals };
        let _ = configuration.compile(&request);
    });
});
