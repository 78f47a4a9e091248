//! Makes a distribution of real RPM packages: correct headers, digests, dependencies and payloads that do not compress,
//! so that sizes on the wire are real. The same description gives the same bytes on every machine.

use super::repodata::{self, Group, RepodataError};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// The most packages a distribution of ours has.
const PACKAGES_MAX: usize = 20_000;
/// The moment all packages are built at (seconds since 1970): makes them reproducible.
const BUILD_TIME_SECS: u32 = 1_700_000_000;
/// What a package weighs beside its payload: lead, signature, header.
const PACKAGE_OVERHEAD_BYTES: u64 = 3_200;
/// The appliances that have packages of their own.
pub const APPLIANCES: [&str; 3] = ["compute", "login", "nas"];
/// Of all packages, one in so many belongs to a single appliance; the rest belongs to all of them, so that the union
/// of the sets stays within 5 % of the largest.
const OWN_PACKAGE_EVERY: usize = 24;

/// What a distribution is to be like.
#[derive(Debug, Clone)]
pub struct DistributionSpec {
    /// How many bytes its packages have together, about (within 5 %).
    pub bytes: u64,
    /// How many packages it has, beside those that `also` names.
    pub packages: usize,
    /// Gives the payloads; the same value gives the same packages.
    pub seed_value: u64,
    /// The architecture of its packages.
    pub arch: crate::cluster::Arch,
    /// Small packages that must be there by name, members of the group `core`: what node files ask for.
    pub also: Vec<String>,
}

impl Default for DistributionSpec {
    fn default() -> Self {
        Self { bytes: 32 << 20, packages: 120, seed_value: 1, arch: crate::cluster::Arch::X86_64, also: Vec::new() }
    }
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeDistribution {
    /// The package files relative to the folder, sorted.
    pub hrefs: Vec<String>,
    /// Their bytes together.
    pub bytes: u64,
}

/// Why a distribution could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// More packages than there is room for, or none.
    #[error("a distribution has 1 to {PACKAGES_MAX} packages, not {0}")]
    Count(usize),
    /// The package builder refuses.
    #[error("package '{name}': {error}")]
    Build {
        /// The package.
        name: String,
        /// What the builder says.
        error: rpm::Error,
    },
    /// A file cannot be written.
    #[error("'{}': {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The metadata cannot be written.
    #[error(transparent)]
    Repodata(#[from] RepodataError),
}

/// One package to make.
struct Plan {
    name: String,
    arch: String,
    payload_bytes: u64,
    seed_value: u64,
    requires: Vec<rpm::Dependency>,
    provides: Vec<rpm::Dependency>,
}

/// Makes a distribution in a folder: `Packages/*.rpm` and `repodata/`, with the groups `core` (what `also` names and a
/// few more), `base` (everything shared) and one for each of [`APPLIANCES`] (all of `base`, and its own).
pub fn make_distribution(folder: &Path, spec: &DistributionSpec) -> Result<MadeDistribution, PackagesError> {
    let count = spec.packages + spec.also.len();
    if spec.packages == 0 || count > PACKAGES_MAX {
        return Err(PackagesError::Count(count));
    }
    let packages = folder.join("Packages");
    std::fs::create_dir_all(&packages).map_err(|error| PackagesError::Write { path: packages.clone(), error })?;
    let (plans, groups) = plan(spec);
    let mut hrefs = plans
        .par_iter()
        .map(|plan| {
            let fail = |error| PackagesError::Build { name: plan.name.clone(), error };
            let package = build(plan).map_err(fail)?;
            let href = format!("Packages/{}", package.canonical_filename().map_err(fail)?);
            let path = folder.join(&href);
            package.write_file(&path).map_err(fail)?;
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(BUILD_TIME_SECS.into());
            std::fs::File::options()
                .append(true)
                .open(&path)
                .and_then(|file| file.set_modified(time))
                .map_err(|error| PackagesError::Write { path, error })?;
            Ok(href)
        })
        .collect::<Result<Vec<String>, PackagesError>>()?;
    hrefs.sort();
    let bytes = repodata::write(folder, &hrefs, &groups, BUILD_TIME_SECS.into())?;
    Ok(MadeDistribution { hrefs, bytes })
}

/// Decides names, sizes, dependencies and groups.
fn plan(spec: &DistributionSpec) -> (Vec<Plan>, Vec<Group>) {
    let mut random = Random(spec.seed_value);
    let arch = spec.arch.as_str();
    // Sizes spread as in real distributions: most packages are small, a few have most of the bytes.
    let mut weights: Vec<f64> = (0..spec.packages).map(|_| (random.fraction() * 4.5).exp()).collect();
    let overhead = PACKAGE_OVERHEAD_BYTES * (spec.packages + spec.also.len()) as u64;
    let payload = spec.bytes.saturating_sub(overhead) as f64;
    // Own packages must be small beside the whole, whatever the dice say.
    let is_own = |index: usize| index % OWN_PACKAGE_EVERY == OWN_PACKAGE_EVERY - 1;
    let sum: f64 = weights.iter().sum();
    let own_limit = 0.04 * sum / (spec.packages as f64 / OWN_PACKAGE_EVERY as f64).max(1.0);
    for (_, weight) in weights.iter_mut().enumerate().filter(|(index, _)| is_own(*index)) {
        *weight = weight.min(own_limit);
    }
    let sum: f64 = weights.iter().sum();

    let mut plans = Vec::with_capacity(spec.packages + spec.also.len());
    let mut groups: Vec<Group> = ["core", "base"]
        .into_iter()
        .chain(APPLIANCES)
        .map(|id| Group { id: id.into(), packages: Vec::new() })
        .collect();
    let mut shared: Vec<usize> = Vec::new();
    for (index, weight) in weights.iter().enumerate() {
        let own = is_own(index).then(|| (index / OWN_PACKAGE_EVERY) % APPLIANCES.len());
        let share = payload * weight / sum;
        let name = match own {
            Some(appliance) => format!("{}-tools-{index:04}", APPLIANCES[appliance]),
            None => format!("{}-{index:04}", WORDS[index % WORDS.len()]),
        };
        let mut requires = Vec::new();
        if let Some(&other) = shared.get((random.next() % (shared.len() as u64 + 1)) as usize) {
            requires.push(match index % 3 {
                0 => rpm::Dependency::any(format!("lib{}.so.1()(64bit)", shared_name(other))),
                1 => rpm::Dependency::greater_eq(shared_name(other), "1.0"),
                _ => rpm::Dependency::any(format!("/usr/bin/{}", shared_name(other))),
            });
        }
        match own {
            Some(appliance) => groups[2 + appliance].packages.push(name.clone()),
            None => {
                // Some packages are in no group: they come in as dependencies only.
                if index % 4 != 3 || index + 1 == spec.packages {
                    groups[1].packages.push(name.clone());
                }
                shared.push(index);
            }
        }
        plans.push(Plan {
            provides: vec![rpm::Dependency::any(format!("lib{name}.so.1()(64bit)"))],
            arch: if index % 10 == 9 { "noarch".into() } else { arch.into() },
            payload_bytes: share as u64,
            seed_value: random.next(),
            name,
            requires,
        });
    }
    let made: std::collections::BTreeSet<String> = plans.iter().map(|plan| plan.name.clone()).collect();
    let also: std::collections::BTreeSet<&String> = spec.also.iter().filter(|name| !made.contains(*name)).collect();
    for name in also {
        groups[0].packages.push(name.clone());
        plans.push(Plan {
            name: name.clone(),
            arch: arch.into(),
            payload_bytes: 512,
            seed_value: random.next(),
            requires: Vec::new(),
            provides: Vec::new(),
        });
    }
    if let Some(first) = shared.first() {
        groups[0].packages.push(shared_name(*first));
    }
    let base = groups[1].packages.clone();
    for group in &mut groups[2..] {
        group.packages.extend(base.iter().cloned());
    }
    (plans, groups)
}

/// What shared packages are called after.
const WORDS: [&str; 12] =
    ["basalt", "gneiss", "granite", "marble", "quartz", "slate", "chert", "schist", "flint", "agate", "jasper", "tuff"];

fn shared_name(index: usize) -> String {
    format!("{}-{index:04}", WORDS[index % WORDS.len()])
}

/// Builds one package.
fn build(plan: &Plan) -> Result<rpm::Package, rpm::Error> {
    let config = rpm::BuildConfig::default()
        .source_date(BUILD_TIME_SECS)
        .compression(rpm::CompressionWithLevel::Gzip(0))
        .reserved_space(None);
    let mut builder =
        rpm::PackageBuilder::new(&plan.name, "1.0", "MIT", &plan.arch, "A package to install and measure");
    builder
        .using_config(config)
        .release("1.rocks")
        .description("Made for a demonstration: its payload is random.")
        .vendor("rocks")
        .build_host("localhost")
        .cookie("rocks 1");
    let mut random = Random(plan.seed_value);
    let mut content = vec![0; plan.payload_bytes as usize];
    for chunk in content.chunks_mut(8) {
        chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
    }
    let script = format!("#!/bin/sh\necho {}\n", plan.name);
    builder.with_file_contents(script, rpm::FileOptions::new(format!("/usr/bin/{}", plan.name)).permissions(0o755))?;
    builder.with_file_contents(content, rpm::FileOptions::new(format!("/usr/share/rocks-demo/{}.bin", plan.name)))?;
    for dependency in &plan.provides {
        builder.provides(dependency.clone());
    }
    for dependency in &plan.requires {
        builder.requires(dependency.clone());
    }
    builder.build()
}

/// A small generator of pseudo-random numbers (SplitMix64): the same seed value gives the same sequence.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> DistributionSpec {
        DistributionSpec { bytes: 1 << 20, packages: 30, also: vec!["chrony".into()], ..DistributionSpec::default() }
    }

    #[test]
    fn the_same_description_gives_the_same_bytes_of_the_size_asked_for() {
        let (one, two) = (tempfile::tempdir().expect("tempdir"), tempfile::tempdir().expect("tempdir"));
        let made = make_distribution(one.path(), &small()).expect("made");
        assert_eq!(made, make_distribution(two.path(), &small()).expect("made"));
        assert_eq!(made.hrefs.len(), 31);
        assert!((made.bytes as f64 / (1 << 20) as f64 - 1.0).abs() < 0.05, "{} bytes", made.bytes);
        for name in made.hrefs.iter().map(String::as_str).chain(["repodata/repomd.xml"]) {
            let bytes = |folder: &tempfile::TempDir| std::fs::read(folder.path().join(name)).expect("readable");
            assert!(bytes(&one) == bytes(&two), "{name} differs");
        }
    }

    #[test]
    fn every_package_has_right_digests() {
        let folder = tempfile::tempdir().expect("tempdir");
        for href in make_distribution(folder.path(), &small()).expect("made").hrefs {
            rpm::Package::open(folder.path().join(href)).expect("a package").verify_digests().expect("right digests");
        }
    }

    /// Real tools look at what we make: `.ci/dnf-closure` runs this test with the folder in the environment.
    #[test]
    #[ignore = "writes to the folder in ROCKS_DISTRIBUTION_FOLDER, as .ci/dnf-closure asks"]
    fn a_distribution_for_real_tools() {
        let folder = std::env::var_os("ROCKS_DISTRIBUTION_FOLDER").expect("ROCKS_DISTRIBUTION_FOLDER is set");
        make_distribution(Path::new(&folder), &DistributionSpec::default()).expect("made");
    }
}
