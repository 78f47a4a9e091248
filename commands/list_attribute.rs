//! `rocks list-attribute`.

use crate::args::{FormatArgs, ScopeArgs};
use crate::context::Context;
use crate::ui;
use rocks::cluster::{NodeSet, ResolvedAttribute, Source};
use serde::Serialize;

/// List attributes: all that are set, or what some hosts see and where each value comes from
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks list-attribute
  rocks list-attribute compute-0-0
  rocks list-attribute --appliance login --format json")]
pub(crate) struct Args {
    /// Hosts whose view is listed, as node sets
    #[arg(value_name = "HOSTS", conflicts_with_all = ["host", "appliance", "os"])]
    hosts: Vec<NodeSet>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// An attribute as it is listed.
#[derive(Serialize)]
struct Listed {
    /// Whose view it is part of; none where all that are set are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    name: String,
    value: String,
    /// Where the value comes from.
    scope: String,
    /// The wider values that it hides, the nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hides: Vec<Hidden>,
}

#[derive(Serialize)]
struct Hidden {
    scope: String,
    value: String,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let listed: Vec<Listed> = context.store()?.read(|r| {
        let mut listed = Vec::new();
        if !args.hosts.is_empty() {
            for host in r.hosts_in(&args.hosts)? {
                let name = host.name.to_string();
                listed.extend(r.resolve(&host)?.into_iter().map(|a| seen(Some(name.clone()), a)));
            }
        } else if args.scope.is_given() {
            let scopes = args.scope.scopes(r)?;
            for scope in &scopes {
                let whose = (scopes.len() > 1).then(|| scope.to_string());
                listed.extend(r.resolve_scope(scope)?.into_iter().map(|a| seen(whose.clone(), a)));
            }
        } else {
            listed.extend(r.attributes()?.into_iter().map(|a| Listed {
                host: None,
                name: a.name.into(),
                value: a.value,
                scope: a.scope.to_string(),
                hides: Vec::new(),
            }));
        }
        Ok(listed)
    })?;
    let several = listed.iter().any(|l| l.host != listed[0].host);
    let headings = ["HOST", "NAME", "VALUE", "FROM", "HIDES"];
    ui::list(args.format.format, &listed, &headings[usize::from(!several)..], || {
        listed.iter().map(|l| row(l)[usize::from(!several)..].to_vec()).collect()
    })
}

fn seen(host: Option<String>, attribute: ResolvedAttribute) -> Listed {
    let hidden = |(source, value): (Source, String)| Hidden { scope: source.to_string(), value };
    Listed {
        host,
        name: attribute.name.into(),
        value: attribute.value,
        scope: attribute.source.to_string(),
        hides: attribute.hidden.into_iter().map(hidden).collect(),
    }
}

fn row(listed: &Listed) -> [String; 5] {
    let hides: Vec<String> = listed.hides.iter().map(|h| format!("{} ({})", shown(&h.value), h.scope)).collect();
    let host = listed.host.clone().unwrap_or_default();
    [host, listed.name.clone(), shown(&listed.value), listed.scope.clone(), hides.join(", ")]
}

/// A value in one line: line breaks and other control characters as escapes.
fn shown(value: &str) -> String {
    value.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}
