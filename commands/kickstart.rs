//! `rocks kickstart`.

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui;
use anyhow::Context as _;
use rocks::cluster::Release;
use rocks::kickstart::{Renderer, TEMPLATE_BYTES_MAX};
use rocks::profile::Profile;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Turn a profile into a Kickstart file
#[derive(clap::Args)]
#[command(after_help = "Example: rocks compile-graph compute-0-0 | rocks kickstart > ks.cfg")]
pub(crate) struct Args {
    /// The profile (XML, as compile-graph prints it); '-' is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    profile: String,
    /// The release of the installer: rocks7, rhel7, rhel8, rhel9, rhel10, fedora
    /// [default: the profile's attribute kickstart_release, else rhel9]
    #[arg(long)]
    release: Option<Release>,
}

/// How long a site's own templates may take to render one profile.
const RENDERING_TIME_MAX: Duration = Duration::from_secs(30);

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let (name, text) = read(&args.profile)?;
    let invalid = |error: String| Failure::new(Kind::Invalid, format!("{name}: {error}"));
    let profile = Profile::from_xml(&text).map_err(|error| invalid(error.to_string()))?;
    let release = match args.release {
        Some(release) => release,
        None => release_of(&profile)?,
    };
    let renderer = renderer(&context.cluster().join("templates"), Some(RENDERING_TIME_MAX))?;
    let kickstart = renderer.render(&profile, release);
    ui::print(&kickstart.map_err(|error| Failure::new(Kind::Invalid, error.to_string()))?)
}

/// The release a profile is for: its attribute `kickstart_release`, EL 9 where it has none.
pub(crate) fn release_of(profile: &Profile) -> anyhow::Result<Release> {
    let Some(text) = profile.attribute("kickstart_release") else { return Ok(Release::Rhel9) };
    let problem = |error| Failure::new(Kind::Invalid, format!("attribute 'kickstart_release': {error}"));
    Ok(Release::parse(text).map_err(problem)?)
}

/// Our templates, with the files of a folder in place of those of the same name, which may not take all memory nor more
/// than this time.
pub(crate) fn renderer(folder: &Path, time_max: Option<Duration>) -> anyhow::Result<Renderer> {
    let overrides = overrides(folder)?;
    if !overrides.is_empty() {
        crate::memory::watch(time_max);
    }
    Renderer::new(&overrides).map_err(|error| Failure::new(Kind::Invalid, error.to_string()).into())
}

/// The templates in a folder by file name; none where there is no folder.
fn overrides(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let reading = || format!("read templates of '{}'", folder.display());
    let mut found = BTreeMap::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        entries => entries.with_context(reading)?,
    };
    for entry in entries {
        let path = entry.with_context(reading)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".j2")) else {
            continue;
        };
        let problem = |what: &str| Failure::new(Kind::Invalid, format!("{}: {what}", path.display()));
        // What is there and cannot be taken would silently be ours.
        let metadata = std::fs::metadata(&path).map_err(|error| problem(&error.to_string()))?;
        if !metadata.is_file() {
            return Err(problem("is no regular file").into());
        }
        if metadata.len() > TEMPLATE_BYTES_MAX as u64 {
            return Err(problem(&format!("is larger than {} MB", TEMPLATE_BYTES_MAX >> 20)).into());
        }
        let bytes = std::fs::read(&path).with_context(reading)?;
        let text = String::from_utf8(bytes).map_err(|_| problem("is not UTF-8 text"))?;
        found.insert(name.to_owned(), text);
    }
    Ok(found)
}

/// A text and the name it goes by in messages; '-' is standard input.
pub(crate) fn read(file: &str) -> anyhow::Result<(String, String)> {
    let name = if file == "-" { "standard input" } else { file }.to_owned();
    let bytes = match ui::read_bytes(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::new(Kind::NotFound, format!("no file '{file}'")).into());
        }
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            return Err(Failure::new(Kind::Invalid, format!("{name}: {error}")).into());
        }
        bytes => bytes.with_context(|| format!("read '{name}'"))?,
    };
    let problem = |_| Failure::new(Kind::Invalid, format!("{name}: is not UTF-8 text"));
    Ok((name.clone(), String::from_utf8(bytes).map_err(problem)?))
}
