//! What the program says of itself.

use crate::Cluster;

#[test]
fn help_is_data_and_a_mistake_is_not() {
    let cluster = Cluster::new();
    let help = cluster.rocks("--help").ok();
    for verb in ["add-host", "list-attribute", "set-boot", "serve", "demo"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(verb)), "{verb} is missing:\n{help}");
    }
    assert!(!help.contains('\u{1b}'), "no colours where stdout is no terminal");
    assert!(cluster.rocks("help add host").ok().contains("Examples:"));
    assert!(cluster.rocks("add host --help").ok().contains("--mac"));
    assert!(cluster.rocks("--version").ok().starts_with("rocks "));
    for (line, said) in [
        ("", "Usage: rocks"),
        ("lsit-host", "hint: did you mean 'rocks list-host'?"),
        ("list hots", "hint: did you mean 'rocks list-host'?"),
        ("add", "hint: there are add-appliance"),
        ("frobnicate", "hint: see them all with: rocks --help"),
    ] {
        let error = cluster.rocks(line).fails(2);
        assert!(error.contains(said), "{line}: {error}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_program_quietly() {
    let cluster = Cluster::new();
    cluster.rocks("add-host compute-[0-9]-[0-99]").ok();
    let mut child = cluster
        .command(&["export"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let outcome = crate::Outcome::of(child);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
}
