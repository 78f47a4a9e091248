//! From a host of the cluster to its Kickstart, for the commands that look at many.

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::kickstart::{release_of, renderer};
use rocks::cluster::{Host, HostAttributes, HostName, NodeSet, Release};
use rocks::graph::{CompileRequest, Compiled, Configuration, Evals, LintRequest};
use rocks::kickstart::{Renderer, TracedLine};
use rocks::profile::{Finding, Profile};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Everything that Kickstart files are made of, beside the hosts: parsed once, shared by threads.
pub(crate) struct Kitchen {
    configuration: Configuration,
    renderer: Renderer,
    evals: Evals,
}

/// A host as stage 1 needs it.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) name: HostName,
    pub(crate) root: String,
    pub(crate) attributes: HostAttributes,
}

/// The Kickstart of a host.
pub(crate) struct Cooked {
    pub(crate) text: String,
    pub(crate) release: Release,
}

impl Kitchen {
    /// The cluster's own configuration and templates over ours.
    pub(crate) fn of_cluster(context: &Context) -> anyhow::Result<Self> {
        Self::with(context, None, None)
    }

    /// The same with another configuration or other templates.
    pub(crate) fn with(context: &Context, graphs: Option<&Path>, templates: Option<&Path>) -> anyhow::Result<Self> {
        Self::of(context, crate::compile_graph::configuration(context, graphs)?, templates)
    }

    /// The same, the other configuration named as if it were the cluster's own already.
    pub(crate) fn in_place(context: &Context, graphs: Option<&Path>, templates: Option<&Path>) -> anyhow::Result<Self> {
        let configuration = match graphs {
            Some(folder) => Configuration::open_in_place(folder)?,
            None => Configuration::of_cluster(context.cluster())?,
        };
        Self::of(context, configuration, templates)
    }

    fn of(context: &Context, configuration: Configuration, templates: Option<&Path>) -> anyhow::Result<Self> {
        let folder: PathBuf = templates.map_or_else(|| context.cluster().join("templates"), Path::to_owned);
        if templates.is_some() && !folder.is_dir() {
            return Err(Failure::new(Kind::NotFound, format!("no folder '{}'", folder.display())).into());
        }
        let renderer = renderer(&folder, None)?;
        let rolls = context.store()?.read(|r| r.rolls())?;
        let trusted: BTreeSet<String> = rolls.into_iter().filter(|roll| roll.trusted).map(|roll| roll.name).collect();
        let evals = Evals::trusting(configuration.tree().working_folder().unwrap_or(Path::new("/")), trusted);
        Ok(Self { configuration, renderer, evals })
    }

    /// The hosts of these sets, all where there is none.
    pub(crate) fn hosts(&self, context: &Context, sets: &[NodeSet]) -> anyhow::Result<Vec<Guest>> {
        Ok(context.store()?.read(|r| {
            let roots: BTreeMap<_, _> = r.appliances()?.into_iter().map(|kind| (kind.name, kind.root)).collect();
            let hosts = r.hosts_in(sets)?;
            let attributes = r.attributes_for_each(&hosts)?;
            let guest = |(host, attributes): (Host, HostAttributes)| Guest {
                root: roots.get(&host.appliance).cloned().unwrap_or_default(),
                attributes,
                name: host.name,
            };
            Ok(hosts.into_iter().zip(attributes).map(guest).collect())
        })?)
    }

    /// What is wrong with the graph and node files, as the cluster's appliances and all these hosts use them.
    pub(crate) fn lint(&self, context: &Context, hosts: &[Guest]) -> anyhow::Result<Vec<Finding>> {
        let roots = context.store()?.read(|r| r.appliances())?.into_iter().map(|appliance| appliance.root);
        let attributes: Vec<_> = hosts.iter().map(|host| &host.attributes).collect();
        Ok(self.configuration.lint(&LintRequest { roots: &roots.collect::<Vec<_>>(), hosts: &attributes }))
    }

    /// The profile of a host.
    pub(crate) fn compile(&self, host: &Guest) -> anyhow::Result<Compiled> {
        let attributes = host.attributes.to_map();
        Ok(self.configuration.compile(&CompileRequest {
            root: &host.root,
            attributes: &attributes,
            generator: "kgen",
            rolls: None,
            evals: &self.evals,
        })?)
    }

    /// The lines of a profile's Kickstart, each with what it was made of.
    pub(crate) fn trace(&self, profile: &Profile, release: Option<Release>) -> anyhow::Result<Vec<TracedLine>> {
        let release = release.map_or_else(|| release_of(profile), Ok)?;
        let lines = self.renderer.trace(profile, release);
        Ok(lines.map_err(|error| Failure::new(Kind::Invalid, error.to_string()))?)
    }

    /// The configuration it cooks with.
    pub(crate) fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The Kickstart of a host, and what stage 1 noticed on the way.
    pub(crate) fn cook(&self, host: &Guest, release: Option<Release>) -> anyhow::Result<(Cooked, Vec<Finding>)> {
        let compiled = self.compile(host)?;
        let release = release.map_or_else(|| release_of(&compiled.profile), Ok)?;
        let text = self.renderer.render(&compiled.profile, release);
        let text = text.map_err(|error| Failure::new(Kind::Invalid, error.to_string()))?;
        Ok((Cooked { text, release }, compiled.warnings))
    }
}
