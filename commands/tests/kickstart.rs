//! `kickstart`.

use super::check::shipped;

#[test]
fn a_profile_becomes_a_kickstart_for_each_release() {
    let cluster = shipped();
    let profile = cluster.rocks("compile-graph compute-0-0").ok();
    let of = |release: &str| cluster.run_with_input(&["kickstart", "--release", release], &profile).ok();
    assert!(of("rhel9").contains("\npart / --fstype=xfs"), "{}", of("rhel9"));
    assert!(of("rocks7").contains("/RCS/") && of("rocks7").contains("/var/rocks/"));
    for modern in ["rhel8", "rhel9", "rhel10", "fedora"] {
        let text = of(modern);
        assert!(!text.contains("/RCS/") && text.contains("\n#   files are not put under RCS"), "{text}");
    }
    cluster.run_with_input(&["kickstart", "--release", "rhel3"], &profile).fails(4);
    cluster.run_with_input(&["kickstart"], "<kickstart").fails(4);
}

#[test]
fn a_site_template_with_an_unknown_name_is_one_line_with_its_place() {
    let cluster = shipped();
    let templates = cluster.path().join("templates");
    std::fs::create_dir_all(&templates).expect("a folder");
    std::fs::write(templates.join("kickstart-head.cfg.j2"), "#\n# {{ attributes.nosuch }}\n").expect("written");
    let profile = cluster.rocks("compile-graph compute-0-0").ok();
    let error = cluster.run_with_input(&["kickstart"], &profile).fails(4);
    assert_eq!(error.trim_end(), "rocks: templates/kickstart-head.cfg.j2:2: 'attributes.nosuch' is not defined");
}
