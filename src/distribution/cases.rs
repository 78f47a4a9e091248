//! The cases of `testdata/distribution/closure`: small repositories, and what dnf installs from them. The format is told
//! there; `.ci/clients/dnf-closure` asks the real dnf about the same files.

use super::{Comps, Entry, Environment, Evr, Group, GroupPackage, GroupPackageKind, Index, PackageRequest};
use crate::cluster::{Arch, Package};

#[derive(Default)]
struct Case {
    entries: Vec<Entry>,
    comps: Comps,
    asks: Vec<(Vec<String>, Vec<String>)>,
}

fn entry(words: &[&str]) -> Entry {
    let (name, evr, arch) = (words[0], Evr::parse(words[1]), words.get(2).copied().unwrap_or("noarch"));
    let release = evr.release.as_deref().expect("cases tell releases").to_owned();
    let package = Package {
        name: name.into(),
        epoch: evr.epoch,
        version: evr.version.to_string(),
        href: format!("{name}-{}-{release}.{arch}", evr.version),
        release,
        arch: arch.into(),
        ..Package::default()
    };
    let isa = match arch {
        "x86_64" => "x86-64",
        "i686" => "x86-32",
        _ => "other",
    };
    let provides = vec![format!("{name} = {}", words[1]), format!("{name}({isa}) = {}", words[1])];
    Entry { package, provides, ..Entry::default() }
}

fn read(text: &str) -> Case {
    let mut case = Case::default();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let rest = &words[1..];
        let owned = || rest.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let last = case.entries.last_mut();
        let push = |list: fn(&mut Entry) -> &mut Vec<String>| {
            list(last.expect("a package stands before its dependencies")).push(rest.join(" "));
        };
        match words[0] {
            "package" => case.entries.push(entry(rest)),
            "requires" => push(|entry| &mut entry.requires),
            "provides" => push(|entry| &mut entry.provides),
            "recommends" => push(|entry| &mut entry.recommends),
            "suggests" => push(|entry| &mut entry.suggests),
            "supplements" => push(|entry| &mut entry.supplements),
            "enhances" => push(|entry| &mut entry.enhances),
            "obsoletes" => push(|entry| &mut entry.obsoletes),
            "conflicts" => push(|entry| &mut entry.conflicts),
            "file" => push(|entry| &mut entry.files),
            "group" => {
                let packages = rest[2..].iter().map(|word| {
                    let (name, other) = word.split_once('=').unwrap_or((word, ""));
                    let kind = match rest[1] {
                        "mandatory" => GroupPackageKind::Mandatory,
                        "default" => GroupPackageKind::Default,
                        "optional" => GroupPackageKind::Optional,
                        _ => GroupPackageKind::Conditional(other.into()),
                    };
                    GroupPackage { name: name.into(), kind }
                });
                let id = rest[0].to_owned();
                match case.comps.groups.iter_mut().find(|group| group.id == id) {
                    Some(group) => group.packages.extend(packages),
                    None => case.comps.groups.push(Group { name: id.clone(), id, packages: packages.collect() }),
                }
            }
            "environment" => {
                let groups = owned()[1..].to_vec();
                case.comps.environments.push(Environment { id: rest[0].into(), name: rest[0].into(), groups });
            }
            "install" => case.asks.push((owned(), Vec::new())),
            "get" => case.asks.last_mut().expect("'install' stands before 'get'").1 = owned(),
            other => panic!("unknown word '{other}'"),
        }
    }
    case
}

/// Whether a case's word names a package's file: `NAME`, `NAME-EVR` or `NAME-EVR.ARCH`.
fn names(word: &str, href: &str) -> bool {
    let without_arch = href.rsplit_once('.').map_or(href, |(rest, _)| rest);
    let name = without_arch.rsplitn(3, '-').nth(2).unwrap_or(without_arch);
    [href, without_arch, name].contains(&word)
}

#[test]
fn every_case_installs_what_dnf_installs() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/distribution/closure");
    let mut asked = 0;
    let mut wrong = String::new();
    for file in std::fs::read_dir(folder).expect("the cases are there") {
        let path = file.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let case = read(&std::fs::read_to_string(&path).expect("readable"));
        let index = Index::new(Arch::X86_64, case.entries, case.comps);
        let index = Index::from_bytes(&index.to_bytes()).expect("what was written is read");
        for (lines, expected) in case.asks {
            asked += 1;
            let mut request =
                PackageRequest::from_lines(lines.iter().map(String::as_str).filter(|line| !line.starts_with("--")));
            request.weak_dependencies = !lines.iter().any(|line| line == "--exclude-weakdeps");
            let found = index.closure(&request).hrefs;
            let all = expected.iter().all(|word| found.iter().any(|href| names(word, href)));
            if !all || expected.len() != found.len() {
                wrong += &format!("{}: install {lines:?}: {expected:?}, not {found:?}\n", path.display());
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(asked > 60, "{asked} package lists");
}

#[test]
fn what_the_distribution_does_not_have_is_told() {
    let case = read("package a 1-1\ngroup g mandatory a\n");
    let index = Index::new(Arch::X86_64, case.entries, case.comps);
    let set = index.closure(&PackageRequest::from_lines(["a", "b", "@g", "@h", "@^e", "-c"]));
    assert_eq!(set.hrefs, ["a-1-1.noarch"]);
    assert_eq!(set.unknown, ["@^e", "@h", "b"]);
}
