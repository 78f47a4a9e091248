//! `rocks check`.

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui::{self, Format};
use rayon::prelude::*;
use rocks::cluster::Release;
use rocks::kickstart::{Check, Scripts};
use rocks::profile::{Finding, Severity};

/// Find what would fail at install time
#[derive(clap::Args)]
#[command(after_help = "Example: rocks check ks.cfg --release rhel9")]
pub(crate) struct Args {
    #[arg(value_name = "FILE")]
    targets: Vec<String>,
    /// The release of the installer
    #[arg(long)]
    release: Option<Release>,
    /// How to print: table or json
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(_context: &Context, args: Args) -> anyhow::Result<()> {
    let release = args.release.unwrap_or(Release::Rhel9);
    let scripts = Scripts::new();
    let check = Check { release, shelf: None, scripts: Some(&scripts) };
    let texts = args.targets.iter().map(|file| Ok((file.clone(), ui::read_input(file)?))).collect::<anyhow::Result<Vec<_>>>()?;
    let findings: Vec<Finding> = texts.par_iter().flat_map(|(name, text)| check.run(name, text)).collect();
    match args.format {
        Format::Json => ui::json(&findings.iter().map(|f| serde_json::json!({"file": f.file, "line": f.line, "severity": f.severity.as_str(), "code": f.code, "message": f.message})).collect::<Vec<_>>())?,
        Format::Table => {
            for finding in &findings {
                ui::print(&format!("{finding}\n"))?;
            }
        }
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    if errors > 0 {
        return Err(Failure::new(Kind::Invalid, format!("{errors} errors")).into());
    }
    Ok(())
}
