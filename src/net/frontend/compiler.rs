//! From a host to its profile and its install set: joins what lies side by side (store, graph, kickstart's package
//! list, a distribution's closure), and keeps what was made for as long as nothing it follows from has changed.

use super::boot;
use crate::cluster::{Appliance, Boot, Distribution, Host, HostName, InstallSet, Release};
use crate::distribution::{DistributionError, INDEX_BLOB, InstallSets, PackageRequest};
use crate::graph::{CompileRequest, Configuration, Evals};
use crate::kickstart;
use crate::net::NetError;
use crate::profile::{Manifest, ManifestDistribution, Profile};
use crate::store::{Reader, Store, StoreError};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Profiles kept; beyond, all are made anew.
const PROFILES_MAX: usize = 16_384;

/// What the store knows of a host that is to install: one consistent state.
#[derive(Debug, Clone)]
pub struct HostFacts {
    /// The host.
    pub host: Host,
    /// What kind of machine it is.
    pub appliance: Appliance,
    /// The values its profile is compiled with.
    pub attributes: BTreeMap<String, String>,
    /// What it installs.
    pub distribution: Option<Distribution>,
    /// How its installation is.
    pub boot: Boot,
    /// Rolls whose scripts may run.
    pub trusted_rolls: BTreeSet<String>,
    /// Rises with every write that can change a profile.
    pub generation: u64,
}

impl HostFacts {
    /// Reads them.
    pub fn read(reader: &Reader, host: Host) -> Result<Self, StoreError> {
        let appliance = reader.appliance(&host.appliance)?;
        Ok(Self {
            attributes: reader.attributes_for(&host)?,
            distribution: reader.distribution_of(&appliance)?,
            boot: reader.boot(&host.name)?,
            trusted_rolls: reader.rolls()?.into_iter().filter(|roll| roll.trusted).map(|roll| roll.name).collect(),
            generation: reader.facts_generation()?,
            appliance,
            host,
        })
    }
}

/// A compiled profile.
#[derive(Debug)]
pub struct HostProfile {
    /// As it is sent.
    pub xml: Bytes,
    /// What its closure is asked for.
    packages: PackageRequest,
}

/// Profiles and install sets, made once for as long as nothing they follow from has changed.
pub struct Compiler {
    cluster: PathBuf,
    configuration: Mutex<Option<Arc<Loaded>>>,
    profiles: Mutex<Profiles>,
    sets: InstallSets,
}

/// The configuration as it is now.
struct Loaded {
    configuration: Configuration,
    /// With the rolls that may run scripts.
    evals: Mutex<Option<(BTreeSet<String>, Arc<Evals>)>>,
}

#[derive(Default)]
struct Profiles {
    /// What the profiles that are kept follow from, beside the host: the store and the configuration.
    of: (u64, u64),
    by_host: HashMap<HostName, Arc<HostProfile>>,
}

impl Compiler {
    /// Compiles with the shipped configuration, overlaid by the cluster's own.
    pub fn new(cluster: &Path) -> Self {
        Self {
            cluster: cluster.to_owned(),
            configuration: Mutex::default(),
            profiles: Mutex::default(),
            sets: InstallSets::new(),
        }
    }

    /// The configuration, read again where a file of it has changed.
    fn loaded(&self) -> Result<Arc<Loaded>, NetError> {
        let mut loaded = self.configuration.lock().expect("nobody panics while holding the configuration");
        if let Some(loaded) = loaded.as_ref().filter(|loaded| loaded.configuration.is_current()) {
            return Ok(Arc::clone(loaded));
        }
        let configuration = Configuration::of_cluster(&self.cluster).map_err(said)?;
        let fresh = Arc::new(Loaded { configuration, evals: Mutex::default() });
        *loaded = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// The profile of a host.
    pub fn profile(&self, facts: &HostFacts) -> Result<Arc<HostProfile>, NetError> {
        let loaded = self.loaded()?;
        let of = (facts.generation, loaded.configuration.fingerprint());
        {
            let mut profiles = self.profiles.lock().expect("nobody panics while holding the profiles");
            if profiles.of != of || profiles.by_host.len() >= PROFILES_MAX {
                *profiles = Profiles { of, by_host: HashMap::new() };
            }
            if let Some(profile) = profiles.by_host.get(&facts.host.name) {
                return Ok(Arc::clone(profile));
            }
        }
        let profile = Arc::new(compile(&loaded, facts)?);
        let mut profiles = self.profiles.lock().expect("nobody panics while holding the profiles");
        if profiles.of == of {
            profiles.by_host.insert(facts.host.name.clone(), Arc::clone(&profile));
        }
        Ok(profile)
    }

    /// What the host is told beside its profile.
    pub fn manifest(&self, store: &Store, facts: &HostFacts, profile: &HostProfile) -> Result<Manifest, NetError> {
        let release = facts.attributes.get("kickstart_release").map_or("rhel9", String::as_str);
        let templates = boot::overrides(&self.cluster)?;
        let packages = packages(profile, release, &templates)?;
        let distribution = match &facts.distribution {
            None => None,
            Some(distribution) => Some(ManifestDistribution {
                name: distribution.name.to_string(),
                info_hash: distribution.info_hash.to_string(),
                metainfo_path: format!("/install/metainfo/{}.torrent", distribution.name),
                tree_path: format!("{}{}/", super::routes::TREES, distribution.name),
                install_set: self.install_set(store, distribution, packages.clone())?.hrefs.clone(),
            }),
        };
        Ok(Manifest {
            host: facts.host.name.to_string(),
            release: release.to_owned(),
            rack: facts.host.rack,
            distribution,
            templates,
            token: None,
            key: None,
            networks: store.read(|reader| reader.networks())?.iter().map(|n| n.subnet.to_string()).collect(),
        })
    }

    fn install_set(
        &self,
        store: &Store,
        distribution: &Distribution,
        packages: PackageRequest,
    ) -> Result<Arc<InstallSet>, NetError> {
        let request = packages.with_installer_defaults(distribution.release, distribution.arch);
        self.sets.get(distribution.info_hash, &request, || {
            let bytes = store.read(|reader| reader.blob(&distribution.name, INDEX_BLOB))?;
            bytes.ok_or_else(|| NetError::Said(format!("the store has no package index of '{}'", distribution.name)))
        })
    }
}

/// What a profile asks for; where the site has templates of its own for it, what they make of it.
fn packages(
    profile: &HostProfile,
    release: &str,
    templates: &BTreeMap<String, String>,
) -> Result<PackageRequest, NetError> {
    if !templates.keys().any(|name| name == "kickstart.cfg.j2" || name == "kickstart-packages.cfg.j2") {
        return Ok(profile.packages.clone());
    }
    let release = Release::parse(release).map_err(said)?;
    let whole = Profile::from_xml(&String::from_utf8_lossy(&profile.xml)).map_err(said)?;
    let renderer = kickstart::Renderer::new(templates).map_err(said)?;
    let text = renderer.render(&whole, release).map_err(said)?;
    Ok(PackageRequest::from_lines(kickstart::packages_sections(&text)))
}

fn compile(loaded: &Loaded, facts: &HostFacts) -> Result<HostProfile, NetError> {
    let configuration = &loaded.configuration;
    let evals = {
        let mut kept = loaded.evals.lock().expect("nobody panics while holding the evals");
        match &*kept {
            Some((rolls, evals)) if *rolls == facts.trusted_rolls => Arc::clone(evals),
            _ => {
                let folder = configuration.tree().working_folder().unwrap_or(Path::new("/"));
                let evals = Arc::new(Evals::trusting(folder, facts.trusted_rolls.clone()));
                *kept = Some((facts.trusted_rolls.clone(), Arc::clone(&evals)));
                evals
            }
        }
    };
    let request = CompileRequest {
        root: &facts.appliance.root,
        attributes: &facts.attributes,
        generator: "kgen",
        rolls: None,
        evals: &evals,
    };
    let compiled = configuration.compile(&request).map_err(said)?;
    let lines = kickstart::package_lines(&compiled.profile).map_err(said)?;
    let packages = PackageRequest::from_lines(lines.iter().map(String::as_str));
    Ok(HostProfile { xml: compiled.profile.to_xml().into(), packages })
}

/// What another room says, as we pass it on.
fn said(error: impl std::fmt::Display) -> NetError {
    NetError::Said(error.to_string())
}

impl From<DistributionError> for NetError {
    fn from(error: DistributionError) -> Self {
        said(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Roll;
    use crate::net::fixture::Fixture;

    #[test]
    fn a_trusted_roll_and_an_edited_file_count_at_once() {
        let fixture = Fixture::new();
        let compiler = Compiler::new(fixture.folder.path());
        let served = || {
            let facts = fixture.store.read(|r| HostFacts::read(r, r.hosts()?.remove(0))).expect("a host");
            String::from_utf8(compiler.profile(&facts).expect("compiles").xml.to_vec()).expect("text")
        };
        assert!(served().contains("first "));
        let node = "<kickstart roll=\"site\"><post>second <eval>echo made on $((1 + 1))</eval></post></kickstart>";
        fixture.write("graphs/nodes/base.xml", node);
        let untrusted = served();
        assert!(untrusted.contains("second ") && !untrusted.contains("made on"), "{untrusted}");
        let trust = |trusted| {
            let roll = Roll { name: "site".to_owned(), trusted };
            fixture.store.write("trust", |w| w.set_roll(&roll)).expect("written");
        };
        trust(true);
        assert!(served().contains("second made on 2"));
        trust(false);
        assert!(!served().contains("made on"));
        fixture.write("graphs/nodes/base.xml", "<kickstart><post>third time</post></kickstart>");
        assert!(served().contains("third time"));
    }

    #[test]
    fn a_sites_own_template_says_what_is_asked_for() {
        let fixture = Fixture::new();
        let compiler = Compiler::new(fixture.folder.path());
        let facts = fixture.store.read(|r| HostFacts::read(r, r.hosts()?.remove(0))).expect("a host");
        let profile = compiler.profile(&facts).expect("compiles");
        let asked = |templates: &[(&str, &str)]| {
            let templates = templates.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
            packages(&profile, "rhel9", &templates).expect("rendered")
        };
        assert_eq!(asked(&[]), profile.packages);
        let own = "%packages --nocore --exclude-weakdeps\n{% for line in packages %}{{ line }}\n{% endfor %}of-the-site\n%end\n";
        let request = asked(&[("kickstart-packages.cfg.j2", own)]);
        assert!(request.without_core && !request.weak_dependencies);
        assert_eq!(request.names.len(), profile.packages.names.len() + 1);
    }
}
