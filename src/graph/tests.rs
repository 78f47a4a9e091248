//! Golden cases: a folder of `testdata/graph/compile` is a configuration, attributes and what becomes of them
//! (`profile.xml` with `warnings.txt`, or `error.txt`). `ROCKS_BLESS=1` writes what is expected.

use super::eval::{EvalRunner, Outcome, Script};
use super::{CompileRequest, Compiled, Configuration, Evals, GraphError, PROFILE_BYTES_MAX};
use crate::profile::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX, Profile, xml};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

fn compile(
    configuration: &Configuration,
    attributes: &BTreeMap<String, String>,
    evals: &Evals,
) -> Result<Compiled, GraphError> {
    configuration.compile(&CompileRequest { root: "a", attributes, generator: "kgen", rolls: None, evals })
}

/// No script is run in these cases, but includes are made.
struct NoScripts;
impl EvalRunner for NoScripts {
    fn run(&self, _script: &Script, _environment: &BTreeMap<String, String>) -> Result<Outcome, String> {
        Err("no script runs here".to_owned())
    }
}

fn compare(file: &Path, found: Option<String>) {
    let expected = std::fs::read_to_string(file).ok();
    if std::env::var_os("ROCKS_BLESS").is_some() {
        match &found {
            Some(text) => std::fs::write(file, text).expect("written"),
            None => expected.iter().for_each(|_| std::fs::remove_file(file).expect("removed")),
        }
        return;
    }
    assert_eq!(found, expected, "{}", file.display());
}

#[test]
fn cases_compile_as_told() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/graph/compile");
    let mut seen = 0;
    for case in std::fs::read_dir(cases).expect("cases").flatten().map(|case| case.path()) {
        let text = std::fs::read_to_string(case.join("attributes.json")).expect("attributes");
        let attributes: BTreeMap<String, String> = serde_json::from_str(&text).expect("JSON");
        let configuration = Configuration::open(&[&case]).expect("opened");
        let evals = Evals::with_runner(Box::new(NoScripts), None);
        let (profile, warnings, error) = match compile(&configuration, &attributes, &evals) {
            Ok(compiled) => {
                let xml = compiled.profile.to_xml();
                let read = Profile::from_xml(&xml).expect("readable");
                assert_eq!(read.attributes, compiled.profile.attributes, "{}", case.display());
                let warnings: String = compiled.warnings.iter().map(|warning| format!("{warning}\n")).collect();
                (Some(xml), Some(warnings).filter(|warnings| !warnings.is_empty()), None)
            }
            Err(error) => (None, None, Some(format!("{error}\n"))),
        };
        compare(&case.join("profile.xml"), profile);
        compare(&case.join("warnings.txt"), warnings);
        compare(&case.join("error.txt"), error);
        seen += 1;
    }
    assert!(seen > 10, "{seen} cases");
}

#[test]
fn scripts_are_put_in_where_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path();
    for (path, text) in [
        ("default/g.xml", "<graph><edge from='a' to='b'/></graph>"),
        (
            "nodes/a.xml",
            "<kickstart roll='r'><post><eval>echo \"&lt;&host;&gt;\"</eval></post><eval mode='xml'>echo '&lt;package>x&lt;/package>'</eval>\
             <post>[<eval>exit 3</eval>]</post></kickstart>",
        ),
        ("nodes/b.xml", "<kickstart/>"),
    ] {
        let path = base.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    let configuration = Configuration::open(&[base]).expect("opened");
    let attributes = |value: &str| BTreeMap::from([("host".to_owned(), value.to_owned())]);
    let texts = |compiled: &Compiled| -> Vec<String> {
        let logs = |element: &&std::sync::Arc<crate::profile::Element>| !element.text().contains("post section");
        compiled.profile.elements.iter().filter(logs).map(|element| element.text()).collect()
    };
    let run = compile(&configuration, &attributes("n"), &Evals::run(base)).expect("ran");
    assert_eq!(texts(&run), ["<n>\n", "x", "[]"]);
    assert!(run.warnings[0].message.contains("exit status 3"), "{}", run.warnings[0]);
    let off = compile(&configuration, &attributes("$x"), &Evals::off()).expect("off");
    assert_eq!(texts(&off)[0], "echo \"<$x>\"");
    let untrusted = compile(&configuration, &attributes("$x"), &Evals::trusting(base, ["other".to_owned()].into()))
        .expect("left out");
    assert_eq!((texts(&untrusted)[0].as_str(), untrusted.warnings.len()), ("", 3));
    let error = compile(&configuration, &attributes("$x"), &Evals::run(base)).expect_err("refused");
    assert!(matches!(&error, GraphError::ShellValue { name, character: '$', .. } if name == "host"), "{error}");
    // The command line of a shell is one as well.
    let node = "<kickstart roll='r'><post><eval shell='cat &host;'/></post></kickstart>";
    std::fs::write(base.join("nodes/a.xml"), node).expect("written");
    let configuration = Configuration::open(&[base]).expect("opened");
    let ran = compile(&configuration, &attributes("/dev/null"), &Evals::run(base)).expect("ran");
    assert_eq!(texts(&ran), [""]);
    let error = compile(&configuration, &attributes("/dev/null; id"), &Evals::run(base)).expect_err("refused");
    assert!(matches!(&error, GraphError::ShellValue { name, character: ';', .. } if name == "host"), "{error}");
}

#[test]
fn files_of_the_frontend_are_for_trusted_rolls_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path();
    std::fs::create_dir_all(base.join("default")).expect("made");
    std::fs::create_dir_all(base.join("nodes")).expect("made");
    let secret = base.join("secret").display().to_string();
    let node = format!(
        "<kickstart roll='r'><post><copy src='{secret}' dst='/x'/></post>\
         <post><file name='/y' include='{secret}'/></post><post><copy src='nodes/b.xml'/></post></kickstart>"
    );
    for (path, text) in [
        ("default/g.xml", "<graph><edge from='a' to='b'/></graph>"),
        ("nodes/a.xml", &node),
        ("nodes/b.xml", "<kickstart/>"),
        ("secret", "hidden"),
    ] {
        std::fs::write(base.join(path), text).expect("written");
    }
    let configuration = Configuration::open(&[base]).expect("opened");
    let made = |evals: &Evals| {
        let compiled = compile(&configuration, &BTreeMap::new(), evals).expect("compiled");
        (compiled.profile.to_xml(), compiled.warnings.iter().filter(|w| w.code == "untrusted-read").count())
    };
    let (trusted, warnings) = made(&Evals::run(base));
    assert!(trusted.contains("aGlkZGVu") && trusted.contains(">hidden<") && warnings == 0, "{trusted}");
    let (untrusted, warnings) = made(&Evals::trusting(base, ["other".to_owned()].into()));
    assert!(!untrusted.contains("aGlkZGVu") && !untrusted.contains("hidden") && warnings == 2, "{untrusted}");
    // What lies inside of the configuration is no secret.
    assert!(untrusted.contains("PGtpY2tzdGFydC8+"), "{untrusted}");
}

#[test]
fn large_values_and_many_uses_end_in_bounds() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path();
    std::fs::create_dir_all(base.join("default")).expect("made");
    std::fs::create_dir_all(base.join("nodes")).expect("made");
    std::fs::write(base.join("default/g.xml"), "<graph><edge from='a' to='a'/></graph>").expect("written");
    std::fs::write(base.join("nodes/a.xml"), format!("<kickstart><post>{}</post></kickstart>", "&v;".repeat(200)))
        .expect("written");
    let configuration = Configuration::open(&[base]).expect("opened");
    let value = |bytes: usize| BTreeMap::from([("v".to_owned(), "x".repeat(bytes))]);
    assert!(compile(&configuration, &value(1 << 10), &Evals::off()).is_ok());
    let large = ATTRIBUTE_BYTES_MAX;
    assert!(matches!(compile(&configuration, &value(large), &Evals::off()), Err(GraphError::TooLarge { .. })));
    // What each `&` becomes as XML counts.
    let ampersands = BTreeMap::from([("v".to_owned(), "&".repeat(PROFILE_BYTES_MAX / 200 / 4))]);
    assert!(matches!(compile(&configuration, &ampersands, &Evals::off()), Err(GraphError::TooLarge { .. })));
    let error = compile(&configuration, &value(large + 1), &Evals::off()).expect_err("no attribute is as long");
    assert_eq!(error.to_string(), "attribute 'v' has a value of 524289 bytes: a profile carries at most 524288");
    let many = (0..=ATTRIBUTES_MAX).map(|n| (format!("a{n}"), String::new())).collect();
    let heavy = (0..=ATTRIBUTES_BYTES_MAX / large).map(|n| (format!("a{n}"), "x".repeat(large))).collect();
    for attributes in [many, heavy] {
        let error = compile(&configuration, &attributes, &Evals::off());
        assert!(matches!(error, Err(GraphError::ManyAttributes { .. })));
    }
}

#[test]
fn a_root_without_a_file_is_told_at_an_edge_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path();
    std::fs::create_dir_all(base.join("default")).expect("made");
    std::fs::write(base.join("default/g.xml"), "<graph>\n <edge from='a' to='b'/></graph>").expect("written");
    let configuration = Configuration::open(&[base]).expect("opened");
    let error = compile(&configuration, &BTreeMap::new(), &Evals::off()).expect_err("there is no node file");
    assert!(error.to_string().starts_with("default/g.xml:2:2: cannot find node 'a'"), "{error}");
}

proptest! {
    #[test]
    fn any_value_reaches_stage_2_unchanged(value in any::<String>()) {
        let value: String = value.chars().filter(|c| xml::is_xml_character(*c)).collect();
        let nowhere = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/graph/compile/values-unchanged");
        let configuration = Configuration::open(&[&nowhere]).expect("opened");
        let attributes = BTreeMap::from([("name".to_owned(), value.clone())]);
        let compiled = compile(&configuration, &attributes, &Evals::off()).expect("compiled");
        let read = Profile::from_xml(&compiled.profile.to_xml()).expect("readable");
        prop_assert_eq!(read.attribute("name"), Some(value.as_str()));
        let said = read.elements.iter().any(|element| element.text() == format!("{value}\nC:\\new"));
        prop_assert!(said);
    }
}
