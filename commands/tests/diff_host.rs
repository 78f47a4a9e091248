//! `diff-host`.

use super::check::shipped;

#[test]
fn hosts_that_change_alike_are_shown_once() {
    let cluster = shipped();
    let differences =
        cluster.rocks("diff-host compute-0-0 login-0-0 --attr timezone=Europe/Berlin --format json").json();
    assert_eq!(differences.as_array().map(Vec::len), Some(1), "{differences}");
    assert_eq!(differences[0]["hosts"], serde_json::json!(["compute-0-0", "login-0-0"]));
    let text = differences[0]["difference"].as_str().expect("a text");
    assert!(text.contains("\n-timezone UTC --utc\n+timezone Europe/Berlin --utc\n"), "{text}");
}

#[test]
fn templates_and_files_kept_from_before_are_compared() {
    let cluster = shipped();
    let templates = cluster.scratch().join("templates");
    std::fs::create_dir(&templates).expect("a folder");
    std::fs::write(templates.join("kickstart-head.cfg.j2"), "# ours\n").expect("written");
    let changed = cluster.rocks(&format!("diff-host compute-0-0 --templates {}", templates.display())).ok();
    assert!(changed.contains("\n+# ours\n"), "{changed}");
    let before = cluster.rocks("compile-graph compute-0-0").ok();
    let before = cluster.run_with_input(&["kickstart"], &before).ok();
    assert_eq!(cluster.run_with_input(&["diff-host", "compute-0-0", "--against", "-"], &before).ok(), "");
    cluster.rocks("diff-host compute-0-0").fails(2);
}

#[test]
fn another_folder_with_the_same_files_is_no_difference() {
    let cluster = shipped();
    let project = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (folded, beside) = (project.to_owned(), project.join("graphs"));
    // As the original lays it: graphs/NAME/, and nodes/ beside it.
    let laid = cluster.scratch().join("build");
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        std::fs::create_dir_all(to).expect("a folder");
        for file in std::fs::read_dir(from).expect("a folder").flatten() {
            std::fs::copy(file.path(), to.join(file.file_name())).expect("copied");
        }
    };
    copy(&project.join("graphs/default"), &laid.join("graphs/default"));
    copy(&project.join("graphs/nodes"), &laid.join("nodes"));
    for folder in [folded, beside, laid] {
        for release in ["rocks7", "rhel9"] {
            let other = cluster.rocks(&format!("set-attribute kickstart_release {release}"));
            other.ok();
            let difference = cluster.rocks(&format!("diff-host compute-0-0 --graphs {}", folder.display())).ok();
            assert_eq!(difference, "", "{} {release}", folder.display());
        }
    }
}
