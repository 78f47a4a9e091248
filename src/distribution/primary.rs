//! `primary.xml` and `filelists.xml`: the packages, what they need and what they bring.

use super::DistributionError;
use super::compression::unpack;
use super::index::Entry;
use super::repomd::MetadataFile;
use super::xml::{self, Attributes, Node};
use std::collections::HashSet;
use std::path::Path;

/// A distribution has at most this many packages.
pub const PACKAGES_MAX: usize = 500_000;
/// All packages together have at most this many dependencies and files.
const ITEMS_MAX: usize = 50_000_000;

/// Reads the packed bytes of primary.xml.
pub(super) fn parse_primary(path: &Path, bytes: &[u8], file: &MetadataFile) -> Result<Vec<Entry>, DistributionError> {
    let reader = unpack(bytes, file.open_bytes_max()).map_err(DistributionError::file(path))?;
    let mut primary = Primary::default();
    xml::read(path, reader, &mut |node| primary.node(node))?;
    Ok(primary.entries)
}

/// A list of primary.xml that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Provides,
    Requires,
    Conflicts,
    Obsoletes,
    Suggests,
    Enhances,
    Recommends,
    Supplements,
}

#[derive(Default)]
struct Primary {
    entries: Vec<Entry>,
    open: Option<Entry>,
    list: Option<List>,
    items: usize,
}

impl Primary {
    fn node(&mut self, node: Node<'_>) -> Result<(), String> {
        match node {
            Node::Open("package", _) => self.open = Some(Entry::default()),
            Node::Close("package", _) => self.close()?,
            Node::Open(name, attributes) => self.begin(name, &attributes)?,
            Node::Close(name, text) => self.end(name, text)?,
        }
        Ok(())
    }

    fn begin(&mut self, name: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        let Some(entry) = &mut self.open else { return Ok(()) };
        let package = &mut entry.package;
        let value = |name: &str| attributes.get(name).unwrap_or_default().into_owned();
        match name {
            "version" => {
                package.epoch = number(&value("epoch"), "epoch")? as u32;
                package.version = value("ver");
                package.release = value("rel");
            }
            "checksum" => entry.checksum_kind = value("type"),
            "size" => package.size_bytes = number(&value("package"), "package size")?,
            "location" => {
                if attributes.get("xml:base").is_some() {
                    return Err(format!("package '{}' lies outside the tree (xml:base)", package.name));
                }
                package.href = value("href");
            }
            "provides" => self.list = Some(List::Provides),
            "requires" => self.list = Some(List::Requires),
            "conflicts" => self.list = Some(List::Conflicts),
            "obsoletes" => self.list = Some(List::Obsoletes),
            "suggests" => self.list = Some(List::Suggests),
            "enhances" => self.list = Some(List::Enhances),
            "recommends" => self.list = Some(List::Recommends),
            "supplements" => self.list = Some(List::Supplements),
            "entry" => {
                let Some(list) = self.list else { return Ok(()) };
                count(&mut self.items)?;
                let text = dependency_text(value("name"), attributes);
                let entries = match list {
                    List::Provides => &mut entry.provides,
                    List::Requires if text.starts_with("rpmlib(") => return Ok(()),
                    List::Requires => &mut entry.requires,
                    List::Conflicts => &mut entry.conflicts,
                    List::Obsoletes => &mut entry.obsoletes,
                    List::Suggests => &mut entry.suggests,
                    List::Enhances => &mut entry.enhances,
                    List::Recommends => &mut entry.recommends,
                    List::Supplements => &mut entry.supplements,
                };
                entries.push(text);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str, text: &str) -> Result<(), String> {
        let Some(entry) = &mut self.open else { return Ok(()) };
        match name {
            // Only the package's own name: nothing else in primary.xml is called so at this place.
            "name" => text.clone_into(&mut entry.package.name),
            "arch" => entry.package.arch = text.to_owned(),
            "checksum" => {
                entry.checksum = text.trim().to_ascii_lowercase();
                if entry.checksum_kind == "sha256" {
                    entry.package.sha256.clone_from(&entry.checksum);
                }
            }
            "file" => {
                count(&mut self.items)?;
                entry.files.push(text.to_owned());
            }
            "provides" | "requires" | "conflicts" | "obsoletes" | "suggests" | "enhances" | "recommends"
            | "supplements" => self.list = None,
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let Some(entry) = self.open.take() else { return Ok(()) };
        let package = &entry.package;
        if package.name.is_empty() || package.href.is_empty() || package.arch.is_empty() {
            return Err("a package has no name, no architecture or no location".into());
        }
        package.check_href().map_err(|error| error.to_string())?;
        if self.entries.len() == PACKAGES_MAX {
            return Err(format!("more than {PACKAGES_MAX} packages"));
        }
        self.entries.push(entry);
        Ok(())
    }
}

fn count(items: &mut usize) -> Result<(), String> {
    *items += 1;
    if *items > ITEMS_MAX { Err(format!("more than {ITEMS_MAX} dependencies and files")) } else { Ok(()) }
}

fn number(text: &str, what: &str) -> Result<u64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| format!("'{text}' is no {what}"))
}

/// `NAME`, `NAME >= EPOCH:VERSION-RELEASE`, or a rich dependency as it stands.
fn dependency_text(name: String, attributes: &Attributes<'_>) -> String {
    let sign = match attributes.get("flags").as_deref() {
        Some("EQ") => "=",
        Some("LT") => "<",
        Some("LE") => "<=",
        Some("GT") => ">",
        Some("GE") => ">=",
        _ => return name,
    };
    let part = |name: &str| attributes.get(name).filter(|value| !value.is_empty());
    let mut text = format!("{name} {sign} ");
    if let Some(epoch) = part("epoch").filter(|epoch| epoch != "0") {
        text.push_str(&epoch);
        text.push(':');
    }
    text.push_str(&part("ver").unwrap_or_default());
    if let Some(release) = part("rel") {
        text.push('-');
        text.push_str(&release);
    }
    text
}

/// Reads the packed bytes of filelists.xml; gives the files that are `wanted`, with the checksums of the packages
/// that have them.
pub(super) fn parse_filelists(
    path: &Path,
    bytes: &[u8],
    file: &MetadataFile,
    wanted: &HashSet<&str>,
) -> Result<Vec<(String, String)>, DistributionError> {
    let reader = unpack(bytes, file.open_bytes_max()).map_err(DistributionError::file(path))?;
    let mut found = Vec::new();
    let mut package = String::new();
    xml::read(path, reader, &mut |node| {
        match node {
            Node::Open("package", attributes) => {
                package = attributes.get("pkgid").unwrap_or_default().to_ascii_lowercase();
            }
            Node::Close("file", text) if wanted.contains(text) => {
                if found.len() == ITEMS_MAX {
                    return Err(format!("more than {ITEMS_MAX} files"));
                }
                found.push((package.clone(), text.to_owned()));
            }
            Node::Open(..) | Node::Close(..) => {}
        }
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PRIMARY: &str = r#"<metadata xmlns:rpm="r"><package type="rpm"><name>a</name><arch>x86_64</arch>
        <version epoch="1" ver="2" rel="3"/><checksum type="sha256" pkgid="YES">AB</checksum>
        <size package="10" installed="20"/><location href="p/a.rpm"/><format>
        <rpm:provides><rpm:entry name="a" flags="EQ" epoch="1" ver="2" rel="3"/></rpm:provides>
        <rpm:requires><rpm:entry name="b" flags="GE" epoch="0" ver="1"/><rpm:entry name="rpmlib(X)" flags="LE" ver="1"/>
        <rpm:entry name="(c if d)"/></rpm:requires><file>/etc/a &amp; b</file></format></package></metadata>"#;

    fn parse(xml: &str) -> Result<Vec<Entry>, DistributionError> {
        parse_primary(Path::new("primary.xml"), xml.as_bytes(), &MetadataFile::default())
    }

    #[test]
    fn a_package_is_read_with_its_dependencies() {
        let entries = parse(PRIMARY).expect("well-formed");
        let [entry] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!(entry.package.nevra(), "a-1:2-3.x86_64");
        assert_eq!((entry.package.size_bytes, entry.package.sha256.as_str()), (10, "ab"));
        assert_eq!(entry.provides, ["a = 1:2-3"]);
        assert_eq!(entry.requires, ["b >= 1", "(c if d)"]);
        assert_eq!(entry.files, ["/etc/a & b"]);
    }

    #[test]
    fn a_package_that_would_leave_the_tree_is_refused() {
        for href in ["/etc/passwd", "../a.rpm", "p/../../a.rpm", "p//a.rpm"] {
            let error = parse(&PRIMARY.replace("p/a.rpm", href)).expect_err("refused").to_string();
            assert!(error.contains("leaves the tree"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn spoiled_metadata_is_an_error_or_packages_never_a_panic(at in 0usize..PRIMARY.len(), byte in 32u8..127) {
            let mut bytes = PRIMARY.as_bytes().to_vec();
            bytes[at] = byte;
            let text = String::from_utf8(bytes).expect("ASCII");
            let _ = parse(&text);
            let _ = parse(&text[..at]);
            let _ = parse_filelists(Path::new("x"), text.as_bytes(), &MetadataFile::default(), &HashSet::new());
        }
    }
}
