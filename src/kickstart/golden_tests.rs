//! Golden cases of stage 2 and of `check`. `ROCKS_BLESS=1 cargo test kickstart::` writes the expected files anew; look
//! at the difference.

use super::{Check, Memo, Renderer, Scripts};
use crate::cluster::Release;
use crate::profile::Profile;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The cases `NAME.RELEASE.END` of a folder of `testdata`, each with its release.
fn cases(folder: &str, end: &str) -> Vec<(PathBuf, Release)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
    let mut cases: Vec<_> =
        std::fs::read_dir(folder).expect("the cases").map(|entry| entry.expect("a case").path()).collect();
    cases.retain(|path| path.extension().is_some_and(|other| other == end));
    cases.sort();
    assert!(cases.len() >= 4);
    let release = |case: &Path| {
        let name = case.file_stem().and_then(|name| name.to_str()).expect("UTF-8");
        Release::parse(name.rsplit('.').next().expect("NAME.RELEASE")).expect("a release")
    };
    cases.into_iter().map(|case| (case.clone(), release(&case))).collect()
}

fn assert_golden(made: &str, expected: &Path) {
    if std::env::var_os("ROCKS_BLESS").is_some() {
        std::fs::write(expected, made).expect("written");
    }
    assert_eq!(made, std::fs::read_to_string(expected).unwrap_or_default(), "{}", expected.display());
}

/// `testdata/kickstart/NAME.RELEASE.xml` becomes `NAME.RELEASE.cfg`.
#[test]
fn profiles_become_the_kickstart_files_of_the_golden_cases() {
    let renderer = Renderer::new(&BTreeMap::new()).expect("our own templates");
    for (case, release) in cases("kickstart", "xml") {
        let profile = Profile::from_xml(&std::fs::read_to_string(&case).expect("a case")).expect("a profile");
        assert_golden(&renderer.render(&profile, release).expect("renders"), &case.with_extension("cfg"));
    }
}

/// `testdata/kickstart-check/NAME.RELEASE.ks` has the findings of `NAME.RELEASE.findings`, one a line.
#[test]
fn findings_are_those_of_the_golden_cases() {
    let scripts = Scripts::new();
    for (case, release) in cases("kickstart-check", "ks") {
        let text = std::fs::read_to_string(&case).expect("a case");
        let check = Check { release, shelf: None, scripts: Some(&scripts), memo: &crate::kickstart::Memo::default() };
        let found: String = check
            .run("ks", &text)
            .iter()
            .map(|f| {
                let (line, column) = (f.line.unwrap_or(0), f.column.unwrap_or(0));
                format!("{line}:{column}: {}: {} [{}]\n", f.severity.as_str(), f.message, f.code)
            })
            .collect();
        assert_golden(&found, &case.with_extension("findings"));
    }
}

#[test]
fn a_password_is_never_shown() {
    let check = Check { release: Release::Rhel9, shelf: None, scripts: None, memo: &crate::kickstart::Memo::default() };
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

proptest::proptest! {
    #[test]
    fn findings_stand_in_lines_that_are_there(
        text in "(%(end|post|packages|include /x)|nosuch|lang x|'|[\r\n\u{b}\u{c}\u{1c}\u{85}\u{2028} #]){0,30}",
    ) {
        let lines = text.lines().count().max(1);
        for release in Release::ALL {
            let memo = crate::kickstart::Memo::default();
            for finding in (Check { release, shelf: None, scripts: None, memo: &memo }).run("ks.cfg", &text) {
                proptest::prop_assert!(finding.line.is_some_and(|line| line >= 1 && line as usize <= lines), "{}", finding);
            }
        }
    }
}

#[test]
fn a_file_has_so_many_findings_at_most() {
    let memo = Memo::default();
    let check = Check { release: Release::Rhel9, shelf: None, scripts: None, memo: &memo };
    let found = check.run("ks.cfg", &"nosuch\n".repeat(super::check::FINDINGS_MAX + 10));
    assert_eq!(found.len(), super::check::FINDINGS_MAX + 1);
    assert_eq!(found.iter().filter(|finding| finding.code == "more").count(), 1);
}
