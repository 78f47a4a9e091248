//! Arguments that several commands share.

use crate::error::{Failure, Kind};
use crate::ui::Format;
use rocks::cluster::{AttributeName, HostName, NodeSet, Scope, fold};
use rocks::store::{Reader, StoreError};

/// How a listing is printed.
#[derive(clap::Args)]
pub(crate) struct FormatArgs {
    /// How the listing is printed
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

/// How far an attribute reaches.
#[derive(clap::Args)]
#[group(multiple = false)]
pub(crate) struct ScopeArgs {
    /// For these hosts only, as a node set
    #[arg(long, value_name = "HOSTS")]
    host: Option<NodeSet>,
    /// For the hosts of this appliance
    #[arg(long, value_name = "APPLIANCE")]
    appliance: Option<String>,
    /// For the hosts of this operating system
    #[arg(long, value_name = "OS")]
    os: Option<String>,
}

impl ScopeArgs {
    /// The scopes: one, or one for each host. Global where no option was given.
    pub(crate) fn scopes(&self, r: &Reader) -> Result<Vec<Scope>, StoreError> {
        Ok(match (&self.host, &self.appliance, &self.os) {
            (Some(hosts), _, _) => {
                let hosts = r.hosts_in(std::slice::from_ref(hosts))?;
                hosts.into_iter().map(|host| Scope::Host(host.name)).collect()
            }
            (None, Some(appliance), _) => vec![Scope::Appliance(r.appliance(appliance)?.name)],
            (None, None, Some(os)) => vec![Scope::Os(os.clone())],
            (None, None, None) => vec![Scope::Global],
        })
    }

    /// Whether a scope was named.
    pub(crate) fn is_given(&self) -> bool {
        self.host.is_some() || self.appliance.is_some() || self.os.is_some()
    }

    /// The scope in words, for the journal.
    pub(crate) fn sentence(&self) -> String {
        match (&self.host, &self.appliance, &self.os) {
            (Some(hosts), _, _) => format!("host {hosts}"),
            (None, Some(appliance), _) => format!("appliance {appliance}"),
            (None, None, Some(os)) => format!("os {os}"),
            (None, None, None) => "global".to_owned(),
        }
    }
}

/// Reads `NAME=VALUE`.
pub(crate) fn assignment(text: &str) -> Result<(AttributeName, String), anyhow::Error> {
    let Some((name, value)) = text.split_once('=') else {
        anyhow::bail!(Failure::new(Kind::Invalid, format!("attribute '{text}' has no value")).hint("write NAME=VALUE"));
    };
    Ok((AttributeName::parse(name)?, value.to_owned()))
}

/// Host names in few letters, for people.
pub(crate) fn folded<'a>(names: impl IntoIterator<Item = &'a HostName>) -> String {
    /// A sentence of the journal stays readable.
    const LETTERS_MAX: usize = 200;
    let names: Vec<HostName> = names.into_iter().cloned().collect();
    let folded = fold(&names);
    if folded.len() <= LETTERS_MAX { folded } else { format!("{} hosts", names.len()) }
}

/// Node sets as typed, for the journal.
pub(crate) fn sets(sets: &[NodeSet]) -> String {
    sets.iter().map(NodeSet::as_str).collect::<Vec<_>>().join(" ")
}

/// `1 host`, `2 hosts`.
pub(crate) fn count(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
