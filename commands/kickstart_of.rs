//! From a host of the cluster to its Kickstart, for the commands that look at many.

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::kickstart::{overrides, release_of};
use rocks::cluster::{HostName, NodeSet, Release};
use rocks::graph::{CompileRequest, Configuration, Evals, LintRequest};
use rocks::kickstart::Renderer;
use rocks::profile::Finding;
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
    pub(crate) attributes: BTreeMap<String, String>,
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
        let configuration = crate::compile_graph::configuration(context, graphs)?;
        let folder: PathBuf = templates.map_or_else(|| context.cluster().join("templates"), Path::to_owned);
        if templates.is_some() && !folder.is_dir() {
            return Err(Failure::new(Kind::NotFound, format!("no folder '{}'", folder.display())).into());
        }
        let renderer =
            Renderer::new(&overrides(&folder)?).map_err(|error| Failure::new(Kind::Invalid, error.to_string()))?;
        let rolls = context.store()?.read(|r| r.rolls())?;
        let trusted: BTreeSet<String> = rolls.into_iter().filter(|roll| roll.trusted).map(|roll| roll.name).collect();
        let evals = Evals::trusting(configuration.tree().working_folder().unwrap_or(Path::new("/")), trusted);
        Ok(Self { configuration, renderer, evals })
    }

    /// The hosts of these sets, all where there is none.
    pub(crate) fn hosts(&self, context: &Context, sets: &[NodeSet]) -> anyhow::Result<Vec<Guest>> {
        Ok(context.store()?.read(|r| {
            let guest = |host| {
                let host: rocks::cluster::Host = host;
                Ok(Guest {
                    root: r.appliance(&host.appliance)?.root,
                    attributes: r.attributes_for(&host)?,
                    name: host.name,
                })
            };
            r.hosts_in(sets)?.into_iter().map(guest).collect()
        })?)
    }

    /// What is wrong with the graph and node files, as the cluster's appliances and all these hosts use them.
    pub(crate) fn lint(&self, context: &Context, hosts: &[Guest]) -> anyhow::Result<Vec<Finding>> {
        let roots = context.store()?.read(|r| r.appliances())?.into_iter().map(|appliance| appliance.root);
        let attributes: Vec<_> = hosts.iter().map(|host| &host.attributes).collect();
        Ok(self.configuration.lint(&LintRequest { roots: &roots.collect::<Vec<_>>(), hosts: &attributes }))
    }

    /// The Kickstart of a host, and what stage 1 noticed on the way.
    pub(crate) fn cook(&self, host: &Guest, release: Option<Release>) -> anyhow::Result<(Cooked, Vec<Finding>)> {
        let compiled = self.configuration.compile(&CompileRequest {
            root: &host.root,
            attributes: &host.attributes,
            generator: "kgen",
            rolls: None,
            evals: &self.evals,
        })?;
        let release = release.map_or_else(|| release_of(&compiled.profile), Ok)?;
        let text = self.renderer.render(&compiled.profile, release);
        let text = text.map_err(|error| Failure::new(Kind::Invalid, error.to_string()))?;
        Ok((Cooked { text, release }, compiled.warnings))
    }
}
