//! The house's rules that a program can hold: who may use whom, where things may stand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Who may use whom: a room, and the rooms whose `crate::ROOM` may stand in it. `commands` and `demo` start where the
/// library ends and are not listed.
const MAY_USE: [(&str, &[&str]); 15] = [
    ("torrent", &[]),
    ("profile", &[]),
    ("cluster", &["torrent"]),
    ("wire", &["torrent"]),
    ("trust", &[]),
    ("draw", &[]),
    ("cache", &["torrent"]),
    ("store", &["cluster", "torrent"]),
    ("distribution", &["cluster", "torrent"]),
    ("graph", &["cluster", "profile"]),
    ("kickstart", &["cluster", "profile"]),
    ("tracker", &["cluster", "wire", "torrent"]),
    ("swarm", &["wire", "torrent"]),
    ("simulate", &["cluster", "torrent", "wire", "tracker", "swarm", "draw"]),
    (
        "net",
        &[
            "cluster",
            "torrent",
            "profile",
            "wire",
            "trust",
            "cache",
            "store",
            "distribution",
            "graph",
            "kickstart",
            "tracker",
            "swarm",
            "draw",
        ],
    ),
];

/// Rooms whose time, bytes and chance come in as arguments.
const SANS_IO: [&str; 7] = ["torrent", "wire", "tracker", "swarm", "graph", "kickstart", "trust"];

/// A file has at most this many lines; before that, look for the noun that wants its own.
const LINES_MAX: usize = 600;

/// One file of ours, with what it says outside comments and, up to its tests, its code.
struct Source {
    /// Its name from the top of the project.
    name: String,
    /// The room it stands in; the first folder's name where it is not in the library.
    room: String,
    text: String,
    /// How many lines stand before its tests.
    code_lines: usize,
}

impl Source {
    /// The lines of code before the tests, numbered from 1, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().take(self.code_lines).enumerate();
        lines.map(|(i, line)| (i + 1, line.split("//").next().unwrap_or_default()))
    }
}

fn sources() -> Vec<Source> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["src", "commands", "benches", "fuzz/fuzz_targets"] {
        collect(&top.join(folder), &mut paths);
    }
    paths.sort();
    let source = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(top).unwrap().to_string_lossy().into_owned();
        let room = match name.strip_prefix("src/") {
            Some(rest) => rest.split(['/', '.']).next().unwrap_or_default().to_owned(),
            None => name.split('/').next().unwrap_or_default().to_owned(),
        };
        let is_test = name.contains("/tests/") || name.ends_with("/tests.rs");
        let tests_at = text.lines().position(|line| line.trim() == "#[cfg(test)]");
        let code_lines = if is_test { 0 } else { tests_at.unwrap_or(usize::MAX) };
        Source { name, room, text, code_lines }
    };
    paths.into_iter().map(source).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Fails with all complaints at once.
#[track_caller]
fn hold(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// The rooms that a line of code names: `crate::ROOM`, or each of `crate::{ROOM, ROOM}`.
fn rooms_named(line: &str) -> Vec<&str> {
    let mut rooms = Vec::new();
    for (at, found) in line.match_indices("crate::") {
        let rest = &line[at + found.len()..];
        let name = |text: &str| text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
        match rest.strip_prefix('{') {
            None => rooms.push(&rest[..name(rest)]),
            Some(group) => {
                let mut depth = 0;
                let mut begins = true;
                for (i, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => begins = true,
                        c if begins && c.is_alphabetic() => {
                            rooms.push(&group[i..][..name(&group[i..])]);
                            begins = false;
                        }
                        _ => {}
                    }
                    if depth < 0 {
                        break;
                    }
                }
            }
        }
    }
    rooms
}

#[test]
fn rooms_use_only_what_the_table_allows() {
    let table: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| source.name.starts_with("src/")) {
        let Some(allowed) = table.get(source.room.as_str()) else {
            if !matches!(source.room.as_str(), "lib" | "demo") {
                complaints.push(format!("{}: room {} is not in the table", source.name, source.room));
            }
            continue;
        };
        for (number, line) in source.code() {
            for used in rooms_named(line) {
                let is_room = table.contains_key(used) || used == "demo";
                if is_room && used != source.room && !allowed.contains(&used) {
                    complaints.push(format!("{}:{number}: {} may not use {used}", source.name, source.room));
                }
            }
        }
    }
    hold(&complaints);
}

#[test]
fn each_thing_stands_in_its_room() {
    /// A text, the rooms or files it may stand in, and what to say of it elsewhere.
    const PLACES: [(&str, &[&str], &str); 9] = [
        ("redb::", &["store"], "only store knows redb"),
        ("tokio::", &["net"], "only net has tasks"),
        ("ureq::", &["net"], "only net speaks HTTP"),
        ("clap::", &["commands"], "only commands knows clap"),
        ("anyhow::", &["commands"], "only commands knows anyhow"),
        ("indicatif::", &["commands"], "only commands draws bars"),
        ("println!", &["commands/ui.rs"], "only ui.rs prints"),
        ("stdout().lock()", &["commands/ui.rs"], "only ui.rs prints"),
        ("dbg!", &[], "a remainder of a search for a defect"),
    ];
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|s| s.name.starts_with("src/") || s.name.starts_with("commands/")) {
        for (number, line) in source.code() {
            for (text, rooms, why) in PLACES {
                if line.contains(text) && !rooms.iter().any(|room| *room == source.room || *room == source.name) {
                    complaints.push(format!("{}:{number}: {text} {why}", source.name));
                }
            }
        }
    }
    hold(&complaints);
}

#[test]
fn the_pure_rooms_have_no_clock_no_socket_and_no_dice() {
    const FORBIDDEN: [(&str, &str); 9] = [
        ("Instant::now", "a clock"),
        ("SystemTime", "a clock"),
        ("Timestamp::now", "a clock"),
        ("Zoned::now", "a clock"),
        ("TcpStream", "a socket"),
        ("TcpListener", "a socket"),
        ("UdpSocket", "a socket"),
        ("getrandom", "dice"),
        ("thread_rng", "dice"),
    ];
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|s| s.name.starts_with("src/") && SANS_IO.contains(&s.room.as_str())) {
        for (number, line) in source.code() {
            for (text, what) in FORBIDDEN {
                if line.contains(text) {
                    complaints.push(format!("{}:{number}: {} has {what}: {text}", source.name, source.room));
                }
            }
        }
    }
    hold(&complaints);
}

#[test]
fn files_are_finished_opened_by_their_purpose_and_not_long() {
    // Written in halves, so that this file does not accuse itself.
    let unfinished = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    let mut complaints = Vec::new();
    for Source { name, text, .. } in &sources() {
        for (i, line) in text.lines().enumerate() {
            if let Some(word) = unfinished.iter().find(|word| line.contains(**word)) {
                complaints.push(format!("{name}:{}: {word}", i + 1));
            }
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            complaints.push(format!("{name}: {lines} lines: look for the noun that wants its own file"));
        }
        let opens = text.lines().find(|line| !line.starts_with("#!")).unwrap_or_default();
        // Tests in a file of their own belong to the file that names them.
        if !opens.starts_with("//!") && !name.ends_with("/tests.rs") {
            complaints.push(format!("{name}:1: a file opens with what it is for"));
        }
    }
    hold(&complaints);
}

/// Every test by the name that `cargo test` knows it by.
fn tests() -> Vec<String> {
    let mut names = Vec::new();
    for source in sources() {
        let Some(path) = source.name.strip_prefix("src/").or(source.name.strip_prefix("commands/tests/")) else {
            continue;
        };
        let path = path.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
        let is_inside = source.text.contains("#[cfg(test)]\nmod tests {");
        let path = if is_inside { path + "::tests" } else { path };
        let lines = source.text.lines().map(str::trim_start);
        let is_test = |line: &str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let mut comes = false;
        for line in lines {
            let named =
                line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ").and_then(|rest| rest.split_once('('));
            if let (true, Some((name, _))) = (comes, named) {
                names.push(format!("{path}::{name}"));
                comes = false;
            }
            comes |= is_test(line);
        }
    }
    names
}

/// A sentence of `SECURITY.md` is worth the test behind it: `cargo test` with a name that stands there runs one.
#[test]
fn every_test_that_the_security_document_names_is_there() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md")).unwrap();
    let named: Vec<&str> = text.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect();
    assert!(named.len() > 30, "{named:?}");
    let tests = tests();
    let is_there = |name: &str| tests.iter().any(|test| test.contains(name));
    let missing = named.into_iter().filter(|name| !is_there(name)).map(|name| format!("SECURITY.md: no test '{name}'"));
    hold(&missing.collect::<Vec<_>>());
}

#[test]
fn the_table_is_read_right() {
    assert_eq!(rooms_named("use crate::store::{Store, StoreError};"), ["store"]);
    assert_eq!(
        rooms_named("use crate::{cluster::{Host, Network}, graph, torrent::InfoHash};"),
        ["cluster", "graph", "torrent"]
    );
    assert_eq!(rooms_named("let x = crate::wire::decode(crate::draw::f());"), ["wire", "draw"]);
    assert_eq!(rooms_named("pub(crate) fn f() {}"), [""; 0]);
}
