//! Golden cases of `check`: `testdata/kickstart-check/NAME.RELEASE.ks` and, beside each, its findings, one a line.
//! `ROCKS_BLESS=1 cargo test kickstart::` writes the findings anew; look at the difference.

use super::{Check, Scripts};
use crate::cluster::Release;
use std::path::Path;

#[test]
fn findings_are_those_of_the_golden_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kickstart-check");
    let mut cases: Vec<_> =
        std::fs::read_dir(folder).expect("the cases").map(|entry| entry.expect("a case").path()).collect();
    cases.retain(|path| path.extension().is_some_and(|end| end == "ks"));
    cases.sort();
    assert!(cases.len() >= 4);
    let scripts = Scripts::new();
    for case in cases {
        let name = case.file_stem().and_then(|name| name.to_str()).expect("UTF-8");
        let release = Release::parse(name.rsplit('.').next().expect("NAME.RELEASE")).expect("a release");
        let text = std::fs::read_to_string(&case).expect("a case");
        let check = Check { release, shelf: None, scripts: Some(&scripts) };
        let found: String = check
            .run("ks", &text)
            .iter()
            .map(|f| format!("{}: {}: {} [{}]\n", f.line.unwrap_or(0), f.severity.as_str(), f.message, f.code))
            .collect();
        let golden = case.with_extension("findings");
        if std::env::var_os("ROCKS_BLESS").is_some() {
            std::fs::write(&golden, &found).expect("written");
        }
        assert_eq!(found, std::fs::read_to_string(&golden).unwrap_or_default(), "{}", case.display());
    }
}

#[test]
fn a_password_is_never_shown() {
    let check = Check { release: Release::Rhel9, shelf: None, scripts: None };
    for line in [
        "rootpw --iscrypted secret",
        "rootpw secret x",
        "user --name=a --password=$6$secret",
        "sshpw --username=r --iscrypted secret",
    ] {
        let findings = check.run("ks", line);
        assert!(!findings.is_empty(), "{line}");
        for finding in findings {
            assert!(!finding.shown.as_deref().unwrap_or_default().contains("secret"), "{finding}");
        }
    }
}
