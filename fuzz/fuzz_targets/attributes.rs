//! A host's attributes on their way into the profile's XML and out again: whatever a value holds, it either is refused
//! or arrives as it was.
#![no_main]

use rocks::graph::{CompileRequest, Configuration, Evals};
use rocks::profile::Profile;
use std::collections::BTreeMap;

thread_local! {
    static CONFIGURATION: Configuration = {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::create_dir_all(folder.path().join("graphs/default")).expect("a folder");
        std::fs::create_dir_all(folder.path().join("nodes")).expect("a folder");
        let graph = r#"<graph><edge from="root" to="text"/></graph>"#;
        std::fs::write(folder.path().join("graphs/default/fuzz.xml"), graph).expect("a file");
        std::fs::write(folder.path().join("nodes/root.xml"), "<kickstart/>").expect("a file");
        let node = r#"<kickstart><post name="&motto;">&motto;</post></kickstart>"#;
        std::fs::write(folder.path().join("nodes/text.xml"), node).expect("a file");
        Configuration::open(&[folder.path()]).expect("three good files")
    };
}

libfuzzer_sys::fuzz_target!(|value: &str| {
    CONFIGURATION.with(|configuration| {
        let named = [("graph", "default"), ("os", "linux"), ("arch", "x86_64"), ("hostname", "compute"), ("motto", value)];
        let attributes: BTreeMap<String, String> = named.map(|(name, value)| (name.into(), value.into())).into();
        let evals = Evals::off();
        let request =
            CompileRequest { root: "root", attributes: &attributes, generator: "kgen", rolls: None, evals: &evals };
        let Ok(compiled) = configuration.compile(&request) else { return };
        let read = Profile::from_xml(&compiled.profile.to_xml()).expect("our own XML");
        assert_eq!(read.attribute("motto"), Some(value));
        let post = read.elements.iter().find(|element| element.name.as_ref() == "post").expect("it is in a node file");
        assert_eq!((post.text().as_str(), post.attribute("name")), (value, Some(value)));
    });
});
