//! Writes `repodata/` for a folder of packages, in the form createrepo_c gives it: primary, filelists, other and comps,
//! each in gzip under the name of its checksum, and repomd.xml that lists them.

use quick_xml::escape::escape;
use rayon::prelude::*;
use rpm::{DependencyFlags, FileType};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A group of the comps file; every package is mandatory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What stands after `@` in a package list.
    pub id: String,
    /// The names of its packages.
    pub packages: Vec<String>,
}

/// Why the metadata could not be written.
#[derive(Debug, thiserror::Error)]
pub enum RepodataError {
    /// A file cannot be read or written.
    #[error("'{}': {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A package's header cannot be read.
    #[error("'{href}': {error}")]
    Header {
        /// The package's file.
        href: String,
        /// What the reader says.
        error: rpm::Error,
    },
}

/// What one package adds to each of the three lists.
struct Entry {
    primary: String,
    filelists: String,
    other: String,
    bytes: u64,
}

/// Writes the metadata of the packages with these names relative to `folder`; gives the bytes of all packages.
pub fn write(folder: &Path, hrefs: &[String], groups: &[Group], revision_secs: u64) -> Result<u64, RepodataError> {
    let entries = hrefs.par_iter().map(|href| describe(folder, href)).collect::<Result<Vec<Entry>, _>>()?;
    let list = |tag: &str, namespace: &str, part: fn(&Entry) -> &str| {
        let extra = if tag == "metadata" { " xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\"" } else { "" };
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{tag} xmlns=\"http://linux.duke.edu/metadata/{namespace}\"{extra} packages=\"{}\">\n",
            entries.len()
        );
        entries.iter().for_each(|entry| xml.push_str(part(entry)));
        write!(xml, "</{tag}>").expect("a String takes all");
        xml
    };
    let target = folder.join("repodata");
    std::fs::create_dir_all(&target).map_err(|error| RepodataError::File { path: target.clone(), error })?;
    let mut repomd = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\" xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\">\n  <revision>{revision_secs}</revision>\n"
    );
    for (kind, file, xml) in [
        ("primary", "primary.xml.gz", list("metadata", "common", |entry| &entry.primary)),
        ("filelists", "filelists.xml.gz", list("filelists", "filelists", |entry| &entry.filelists)),
        ("other", "other.xml.gz", list("otherdata", "other", |entry| &entry.other)),
        ("group", "comps.xml", comps(groups)),
        ("group_gz", "comps.xml.gz", comps(groups)),
    ] {
        repomd.push_str(&write_list(&target, kind, file, &xml, revision_secs)?);
    }
    repomd.push_str("</repomd>\n");
    save(&target.join("repomd.xml"), repomd.as_bytes())?;
    Ok(entries.iter().map(|entry| entry.bytes).sum())
}

/// Writes one list and gives its entry in repomd.xml.
fn write_list(target: &Path, kind: &str, file: &str, xml: &str, revision_secs: u64) -> Result<String, RepodataError> {
    let compressed = file.ends_with(".gz");
    let bytes = if compressed {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(xml.as_bytes()).and_then(|()| encoder.finish()).expect("a Vec takes all")
    } else {
        xml.as_bytes().to_vec()
    };
    let sum = hex(&Sha256::digest(&bytes));
    let name = format!("{sum}-{file}");
    save(&target.join(&name), &bytes)?;
    let mut entry = format!("  <data type=\"{kind}\">\n    <checksum type=\"sha256\">{sum}</checksum>\n");
    if compressed {
        let open = hex(&Sha256::digest(xml.as_bytes()));
        writeln!(entry, "    <open-checksum type=\"sha256\">{open}</open-checksum>").expect("a String takes all");
    }
    write!(
        entry,
        "    <location href=\"repodata/{name}\"/>\n    <timestamp>{revision_secs}</timestamp>\n    <size>{}</size>\n",
        bytes.len()
    )
    .expect("a String takes all");
    if compressed {
        writeln!(entry, "    <open-size>{}</open-size>", xml.len()).expect("a String takes all");
    }
    entry.push_str("  </data>\n");
    Ok(entry)
}

fn save(path: &Path, bytes: &[u8]) -> Result<(), RepodataError> {
    std::fs::write(path, bytes).map_err(|error| RepodataError::File { path: path.to_owned(), error })
}

fn comps(groups: &[Group]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<comps>\n");
    for Group { id, packages } in groups {
        let id = escape(id);
        write!(
            xml,
            "  <group>\n    <id>{id}</id>\n    <name>{id}</name>\n    <description/>\n    <default>true</default>\n    <uservisible>true</uservisible>\n    <packagelist>\n"
        )
        .expect("a String takes all");
        for package in packages {
            writeln!(xml, "      <packagereq type=\"mandatory\">{}</packagereq>", escape(package))
                .expect("a String takes all");
        }
        xml.push_str("    </packagelist>\n  </group>\n");
    }
    xml.push_str("</comps>\n");
    xml
}

/// Reads one package and describes it.
fn describe(folder: &Path, href: &str) -> Result<Entry, RepodataError> {
    let path = folder.join(href);
    let fail = |error| RepodataError::File { path: path.clone(), error };
    let bytes = std::fs::read(&path).map_err(fail)?;
    let modified = std::fs::metadata(&path).and_then(|metadata| metadata.modified()).map_err(fail)?;
    let modified_secs = modified.duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let header = rpm::PackageMetadata::parse(&mut bytes.as_slice())
        .map_err(|error| RepodataError::Header { href: href.to_owned(), error })?;
    entry(&header, href, &bytes, modified_secs).map_err(|error| RepodataError::Header { href: href.to_owned(), error })
}

fn entry(header: &rpm::PackageMetadata, href: &str, bytes: &[u8], modified_secs: u64) -> Result<Entry, rpm::Error> {
    let sum = hex(&Sha256::digest(bytes));
    let (name, arch) = (escape(header.get_name()?), escape(header.get_arch()?));
    let (version, release) = (escape(header.get_version()?), escape(header.get_release()?));
    let version =
        format!("<version epoch=\"{}\" ver=\"{version}\" rel=\"{release}\"/>", header.get_epoch().unwrap_or(0));
    let text = |value: Result<&str, rpm::Error>| escape(value.unwrap_or_default()).into_owned();
    let offsets = header.get_package_segment_offsets();
    let archive_bytes =
        header.signature.get_entry_data_as_u32(rpm::IndexSignatureTag::RPMSIGTAG_PAYLOADSIZE).unwrap_or(0);
    let files = header.get_file_entries()?;

    let mut primary = format!(
        "<package type=\"rpm\">\n  <name>{name}</name>\n  <arch>{arch}</arch>\n  {version}\n  <checksum type=\"sha256\" pkgid=\"YES\">{sum}</checksum>\n  <summary>{}</summary>\n  <description>{}</description>\n  <packager>{}</packager>\n  <url>{}</url>\n  <time file=\"{modified_secs}\" build=\"{}\"/>\n  <size package=\"{}\" installed=\"{}\" archive=\"{archive_bytes}\"/>\n  <location href=\"{}\"/>\n  <format>\n    <rpm:license>{}</rpm:license>\n    <rpm:vendor>{}</rpm:vendor>\n    <rpm:group>{}</rpm:group>\n    <rpm:buildhost>{}</rpm:buildhost>\n    <rpm:sourcerpm>{}</rpm:sourcerpm>\n    <rpm:header-range start=\"{}\" end=\"{}\"/>\n",
        text(header.get_summary()),
        text(header.get_description()),
        text(header.get_packager()),
        text(header.get_url()),
        header.get_build_time().unwrap_or(0),
        bytes.len(),
        header.get_installed_size()?,
        escape(href),
        text(header.get_license()),
        text(header.get_vendor()),
        text(header.get_group()),
        text(header.get_build_host()),
        text(header.get_source_rpm()),
        offsets.header,
        offsets.payload,
    );
    for (tag, dependencies) in [
        ("provides", header.get_provides()?),
        ("requires", header.get_requires()?),
        ("conflicts", header.get_conflicts()?),
        ("obsoletes", header.get_obsoletes()?),
        ("suggests", header.get_suggests()?),
        ("enhances", header.get_enhances()?),
        ("recommends", header.get_recommends()?),
        ("supplements", header.get_supplements()?),
    ] {
        push_dependencies(&mut primary, tag, &dependencies);
    }
    let mut filelists = format!("<package pkgid=\"{sum}\" name=\"{name}\" arch=\"{arch}\">\n  {version}\n");
    let other = format!("{filelists}</package>\n");
    for file in &files {
        let path = file.path();
        let path = path.to_string_lossy();
        let line = match file.mode().file_type() {
            FileType::Dir => format!("<file type=\"dir\">{}</file>\n", escape(&*path)),
            _ => format!("<file>{}</file>\n", escape(&*path)),
        };
        // The short list of createrepo: configuration, programs, and sendmail.
        if path.starts_with("/etc/") || path.contains("bin/") || path == "/usr/lib/sendmail" {
            primary.push_str("    ");
            primary.push_str(&line);
        }
        filelists.push_str("  ");
        filelists.push_str(&line);
    }
    primary.push_str("  </format>\n</package>\n");
    filelists.push_str("</package>\n");
    Ok(Entry { primary, filelists, other, bytes: bytes.len() as u64 })
}

fn push_dependencies(xml: &mut String, tag: &str, dependencies: &[rpm::Dependency]) {
    let listed: Vec<&rpm::Dependency> =
        dependencies.iter().filter(|dependency| !dependency.flags.contains(DependencyFlags::RPMLIB)).collect();
    if listed.is_empty() {
        return;
    }
    writeln!(xml, "    <rpm:{tag}>").expect("a String takes all");
    for dependency in listed {
        write!(xml, "      <rpm:entry name=\"{}\"", escape(&dependency.name)).expect("a String takes all");
        let flags = dependency.flags;
        let relation = match (
            flags.contains(DependencyFlags::LESS),
            flags.contains(DependencyFlags::GREATER),
            flags.contains(DependencyFlags::EQUAL),
        ) {
            (true, _, true) => "LE",
            (true, _, false) => "LT",
            (_, true, true) => "GE",
            (_, true, false) => "GT",
            (_, _, true) => "EQ",
            _ => "",
        };
        if !relation.is_empty() {
            let (epoch, rest) = dependency.version.split_once(':').unwrap_or(("0", &dependency.version));
            let (version, release) = match rest.split_once('-') {
                Some((version, release)) => (version, Some(release)),
                None => (rest, None),
            };
            write!(xml, " flags=\"{relation}\" epoch=\"{}\" ver=\"{}\"", escape(epoch), escape(version))
                .expect("a String takes all");
            if let Some(release) = release {
                write!(xml, " rel=\"{}\"", escape(release)).expect("a String takes all");
            }
        }
        if tag == "requires" && flags.intersects(DependencyFlags::SCRIPT_PRE | DependencyFlags::SCRIPT_POST) {
            xml.push_str(" pre=\"1\"");
        }
        xml.push_str("/>\n");
    }
    writeln!(xml, "    </rpm:{tag}>").expect("a String takes all");
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}
