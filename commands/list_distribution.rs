//! `rocks list-distribution`.

use crate::args::FormatArgs;
use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui::{self, Format};
use rocks::cluster::{ByteSize, Distribution, DistributionName};
use rocks::distribution::{INDEX_BLOB, Index, PackageRequest};

/// List distributions, or the packages that a package list installs from one
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks list-distribution
  rocks list-distribution el9 --install @core --install openssh-server --install=-postfix")]
pub(crate) struct Args {
    /// Only this one
    name: Option<DistributionName>,
    /// Print the packages that this line of %packages installs with all they need: a name, a pattern, @group,
    /// @^environment, -name, -@group; may be given several times
    #[arg(long, value_name = "LINE", requires = "name", allow_hyphen_values = true)]
    install: Vec<String>,
    /// With --install: leave out packages that are only recommended
    #[arg(long, requires = "install")]
    exclude_weakdeps: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let Args { name, install, exclude_weakdeps, format } = args;
    let (distributions, default) = context.store()?.read(|r| {
        let distributions = match &name {
            Some(name) => vec![r.distribution(name)?],
            None => r.distributions()?,
        };
        Ok((distributions, r.default_distribution()?.map(|distribution| distribution.name)))
    })?;
    if let (Some(name), false) = (&name, install.is_empty()) {
        let mut request = PackageRequest::from_lines(install.iter().map(String::as_str));
        request.weak_dependencies = !exclude_weakdeps;
        return print_set(context, name, &request, format.format);
    }
    let row = |d: &Distribution| {
        let mark = if default.as_ref() == Some(&d.name) { "default" } else { "" };
        vec![
            d.name.to_string(),
            d.release.to_string(),
            d.arch.to_string(),
            d.packages.to_string(),
            ByteSize::from_bytes(d.bytes).to_string(),
            d.serial.to_string(),
            mark.to_owned(),
            d.path.display().to_string(),
        ]
    };
    let headings = ["NAME", "RELEASE", "ARCH", "PACKAGES", "SIZE", "SERIAL", "", "PATH"];
    ui::list(format.format, &distributions, &headings, || distributions.iter().map(row).collect())
}

/// Prints the files of an install set, one a line, or the set as JSON.
fn print_set(
    context: &Context,
    name: &DistributionName,
    request: &PackageRequest,
    format: Format,
) -> anyhow::Result<()> {
    let bytes = context.store()?.read(|r| r.blob(name, INDEX_BLOB))?.ok_or_else(|| {
        Failure::new(Kind::Failed, format!("distribution '{name}' was never published"))
            .hint(format!("publish it with: rocks add-distribution {name} PATH"))
    })?;
    let set = Index::from_bytes(&bytes)?.closure(request);
    for word in &set.unknown {
        ui::note(&format!("distribution '{name}' has no '{word}'"));
    }
    match format {
        Format::Json => ui::json(&set),
        Format::Table => ui::print(&set.hrefs.iter().map(|href| format!("{href}\n")).collect::<String>()),
    }
}
