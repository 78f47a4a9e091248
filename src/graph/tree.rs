//! The files of a configuration: layers of folders over the configuration we ship, overlaid file by file.
//!
//! Two layouts are taken. A folder that has `graphs/` is laid out as the original lays a built distribution:
//! `graphs/NAME/*.xml`, then node files in `nodes`, `../nodes`, `site-nodes`, `../site-nodes`, and `include/`. Any other
//! folder has them side by side: `NAME/*.xml`, `nodes/`, `site-nodes/`, `include/`; so a cluster keeps the site's own.
//!
//! Invariant: a name is looked up in listings made when the tree was opened, so no name out of an XML file ever
//! becomes a path; only includes do, and those are held inside `include/`.

use super::built_in;
use super::error::{GraphError, Place};
use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The largest file of a configuration that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 16 << 20;
/// The most files of one folder that are looked at.
pub const FILES_PER_FOLDER_MAX: usize = 100_000;
/// How deep folders under `include/` may stand in each other.
const INCLUDE_DEPTH_MAX: usize = 16;

/// A file of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name as an administrator knows it, and as the profile tells it (`./nodes/base.xml`).
    pub shown: Arc<str>,
    origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    File(PathBuf),
    BuiltIn(&'static str),
}

impl Source {
    /// Whether it is one that we ship.
    pub fn is_built_in(&self) -> bool {
        matches!(self.origin, Origin::BuiltIn(_))
    }

    /// The text of the file.
    pub fn read(&self) -> Result<Arc<str>, GraphError> {
        let path = match &self.origin {
            Origin::BuiltIn(text) => return Ok((*text).into()),
            Origin::File(path) => path,
        };
        let bytes = read_file(path).map_err(|error| self.unreadable(&error))?;
        String::from_utf8(bytes).map(Into::into).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            let (line, column) = crate::profile::xml::line_and_column(&before, before.len());
            let what = "is not UTF-8 here (convert the file with iconv, whatever encoding it declares)".to_owned();
            GraphError::Malformed { place: Place { file: self.shown.clone(), line, column }, what }
        })
    }

    fn unreadable(&self, error: &io::Error) -> GraphError {
        GraphError::Unreadable { path: self.shown.to_string(), why: error.to_string() }
    }
}

/// A folder of the configuration, with what stands where in it.
#[derive(Debug, Clone)]
struct Folder {
    base: PathBuf,
    graphs: PathBuf,
    graphs_shown: String,
    /// In the order in which they are looked through.
    nodes: Vec<(PathBuf, String)>,
    include: PathBuf,
}

impl Folder {
    /// A folder given by hand: paths are shown as the original shows them, or as those of a cluster that it stands for.
    fn of_build(base: &Path, in_place: bool) -> Self {
        let graphs = base.join("graphs");
        let nodes = |names: &[&str]| {
            let shown = |name: &&str| {
                let shown = match name.strip_prefix("../") {
                    _ if in_place => format!("graphs/{}/", name.trim_start_matches("../")),
                    Some(_) => format!("{name}/"),
                    None => format!("./{name}/"),
                };
                (base.join(name), shown)
            };
            names.iter().map(shown).collect::<Vec<_>>()
        };
        let include = base.join("include");
        if graphs.is_dir() {
            let mut nodes = nodes(&["nodes", "../nodes", "site-nodes", "../site-nodes"]);
            for name in ["nodes", "site-nodes"] {
                let shown = if in_place { format!("graphs/{name}/") } else { format!("./graphs/{name}/") };
                nodes.push((graphs.join(name), shown));
            }
            let include = if include.is_dir() { include } else { graphs.join("include") };
            return Self { base: base.to_owned(), graphs, graphs_shown: "graphs/".to_owned(), nodes, include };
        }
        let nodes = nodes(&["nodes", "site-nodes"]);
        let graphs_shown = if in_place { "graphs/".to_owned() } else { String::new() };
        Self { base: base.to_owned(), graphs: base.to_owned(), graphs_shown, nodes, include }
    }

    /// The `graphs/` folder of a cluster.
    fn of_cluster(cluster: &Path) -> Self {
        let base = cluster.join("graphs");
        let nodes = ["nodes", "site-nodes"].map(|name| (base.join(name), format!("graphs/{name}/"))).to_vec();
        let include = base.join("include");
        Self { graphs: base.clone(), graphs_shown: "graphs/".to_owned(), nodes, include, base }
    }
}

/// All files of a configuration.
#[derive(Debug)]
pub struct Tree {
    folders: Vec<Folder>,
    built_in: bool,
    /// Node files by file name (`base.xml`), with those that are hidden by the first.
    nodes: BTreeMap<String, Vec<Source>>,
}

impl Tree {
    /// A configuration in folders alone, the first hiding the later.
    pub fn open(bases: &[&Path]) -> Result<Self, GraphError> {
        bases.iter().try_for_each(|base| must_be_folder(base))?;
        Self::list(bases.iter().map(|base| Folder::of_build(base, false)).collect(), false)
    }

    /// A configuration in a folder that stands for a cluster's own: its files are shown as those would be, so that what
    /// is made of both differs in nothing but what they say.
    pub fn open_in_place(base: &Path) -> Result<Self, GraphError> {
        must_be_folder(base)?;
        Self::list(vec![Folder::of_build(base, true)], false)
    }

    /// The configuration of a cluster: its own `graphs/` (which need not be there) over the one we ship.
    pub fn of_cluster(cluster: &Path) -> Result<Self, GraphError> {
        Self::list(vec![Folder::of_cluster(cluster)], true)
    }

    fn list(folders: Vec<Folder>, built_in: bool) -> Result<Self, GraphError> {
        let mut nodes: BTreeMap<String, Vec<Source>> = BTreeMap::new();
        for (folder, shown) in folders.iter().flat_map(|folder| &folder.nodes) {
            for name in xml_files(folder)? {
                let origin = Origin::File(folder.join(&name));
                let shown = format!("{shown}{name}").into();
                nodes.entry(name).or_default().push(Source { shown, origin });
            }
        }
        if built_in {
            for (path, text) in built_in::FILES {
                if let Some(name) = path.strip_prefix("nodes/") {
                    let shown = format!("graphs/{path}").into();
                    nodes.entry(name.to_owned()).or_default().push(Source { shown, origin: Origin::BuiltIn(text) });
                }
            }
        }
        Ok(Self { folders, built_in, nodes })
    }

    /// Where this configuration lives, for messages.
    pub fn shown(&self) -> String {
        self.folders.first().map_or_else(String::new, |folder| folder.graphs.display().to_string())
    }

    /// Where scripts run: the first folder, if it is there.
    pub fn working_folder(&self) -> Option<&Path> {
        self.folders.first().map(|folder| folder.base.as_path()).filter(|base| base.is_dir())
    }

    /// A node file by its file name (`base.xml`).
    pub fn node(&self, file_name: &str) -> Option<&Source> {
        self.nodes.get(file_name).and_then(|sources| sources.first())
    }

    /// All node files by file name, each with those that it hides.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &[Source])> {
        self.nodes.iter().map(|(name, sources)| (name.as_str(), sources.as_slice()))
    }

    /// The names of all graphs.
    pub fn graphs(&self) -> Result<Vec<String>, GraphError> {
        let mut names = Vec::new();
        for folder in &self.folders {
            let apart = folder.graphs == folder.base;
            for name in names_in(&folder.graphs)? {
                let ours = ["nodes", "site-nodes", "include"].contains(&name.as_str());
                let is_graph = !(apart && ours) && folder.graphs.join(&name).is_dir();
                if is_graph && !xml_files(&folder.graphs.join(&name))?.is_empty() {
                    names.push(name);
                }
            }
        }
        if self.built_in {
            let folders = built_in::FILES.iter().filter_map(|(path, _)| path.split_once('/'));
            names.extend(
                folders.map(|(folder, _)| folder.to_owned()).filter(|f| !["nodes", "include"].contains(&f.as_str())),
            );
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The files of a graph, sorted by file name, a site's hiding ours of the same name; none where there is no such
    /// graph.
    pub fn graph(&self, graph: &str) -> Result<Option<Vec<Source>>, GraphError> {
        if graph.is_empty() || graph.contains(['/', '\0']) || graph == "." || graph == ".." {
            return Ok(None);
        }
        let mut found = false;
        let mut files: BTreeMap<String, Source> = BTreeMap::new();
        for folder in &self.folders {
            let path = folder.graphs.join(graph);
            found |= path.is_dir();
            for name in xml_files(&path)? {
                let shown = format!("{}{graph}/{name}", folder.graphs_shown).into();
                let origin = Origin::File(path.join(&name));
                files.entry(name).or_insert(Source { shown, origin });
            }
        }
        if self.built_in {
            for (path, text) in built_in::FILES {
                if let Some(name) = path.strip_prefix(graph).and_then(|rest| rest.strip_prefix('/')) {
                    found = true;
                    let shown = format!("graphs/{path}").into();
                    files.entry(name.to_owned()).or_insert(Source { shown, origin: Origin::BuiltIn(text) });
                }
            }
        }
        Ok(found.then(|| files.into_values().collect()))
    }

    /// The content of a file under `include/`; none where there is no such file. A path that leaves `include/`, by
    /// itself or through a link, is an error.
    pub fn include(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        let relative = Path::new(path);
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if path.contains('\0') || !relative.components().all(plain) {
            return Err(format!("'{path}' leaves the folder 'include'"));
        }
        for folder in &self.folders {
            if let Some(bytes) = read_inside(&folder.include, relative, path)? {
                return Ok(Some(bytes));
            }
        }
        let built_in = self.built_in.then(|| format!("include/{path}"));
        let file = built_in.and_then(|path| built_in::FILES.iter().find(|(known, _)| *known == path));
        Ok(file.map(|(_, text)| text.as_bytes().to_vec()))
    }

    /// The content of a file named by `<copy src=>` or `<file include=>`, relative to the configuration's folder; none
    /// where there is no such file.
    pub fn read_relative(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        if let Some(inside) = path.strip_prefix("include/").or_else(|| path.strip_prefix("./include/")) {
            return self.include(inside);
        }
        let relative = Path::new(path);
        if path.contains('\0')
            || !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(format!("'{path}' leaves the folder of the configuration"));
        }
        for folder in &self.folders {
            if let Some(bytes) = read_inside(&folder.base, relative, path)? {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// Changes whenever a file of the configuration does: names, sizes, times of change and inodes, hashed.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for folder in &self.folders {
            let graphs = names_in(&folder.graphs).unwrap_or_default();
            for path in graphs.iter().map(|name| folder.graphs.join(name)) {
                hash_files(&path, 0, &mut hasher);
            }
            for (path, _) in &folder.nodes {
                hash_files(path, 0, &mut hasher);
            }
            hash_files(&folder.include, INCLUDE_DEPTH_MAX, &mut hasher);
        }
        hasher.finish()
    }
}

fn must_be_folder(base: &Path) -> Result<(), GraphError> {
    let unreadable = |why: String| GraphError::Unreadable { path: base.display().to_string(), why };
    match fs::metadata(base) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(unreadable("is no folder".to_owned())),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// Reads a file outside of the configuration, for rolls that are trusted; none where there is no such file.
pub(super) fn read_anywhere(path: &str) -> Result<Option<Vec<u8>>, String> {
    match read_file(Path::new(path)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("'{path}' cannot be read: {error}")),
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("is no regular file"));
    }
    let mut bytes = Vec::with_capacity(metadata.len().min(FILE_BYTES_MAX) as usize);
    fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("is larger than {} MB", FILE_BYTES_MAX >> 20)));
    }
    Ok(bytes)
}

/// Reads `folder/relative` if it is there and really inside the folder.
fn read_inside(folder: &Path, relative: &Path, shown: &str) -> Result<Option<Vec<u8>>, String> {
    let path = folder.join(relative);
    let resolved = match fs::canonicalize(&path) {
        Ok(resolved) => resolved,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("'{shown}' cannot be read: {error}")),
    };
    let inside = fs::canonicalize(folder).is_ok_and(|folder| resolved.starts_with(folder));
    if !inside {
        return Err(format!("'{shown}' is a link that leaves the configuration"));
    }
    read_file(&resolved).map(Some).map_err(|error| format!("'{shown}' cannot be read: {error}"))
}

/// The names in a folder, sorted; nothing where there is none.
fn names_in(folder: &Path) -> Result<Vec<String>, GraphError> {
    let unreadable =
        |error: io::Error| GraphError::Unreadable { path: folder.display().to_string(), why: error.to_string() };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(vec![]);
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        if names.len() == FILES_PER_FOLDER_MAX {
            return Err(unreadable(io::Error::other(format!("has more than {FILES_PER_FOLDER_MAX} files"))));
        }
        if let Ok(name) = entry.map_err(unreadable)?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The XML files of a folder, sorted by name. Broken links are among them, so that reading them tells.
fn xml_files(folder: &Path) -> Result<Vec<String>, GraphError> {
    let mut names = names_in(folder)?;
    names.retain(|name| {
        let is_xml = name.len() > 4 && name.ends_with(".xml");
        is_xml && !fs::metadata(folder.join(name)).is_ok_and(|metadata| metadata.is_dir())
    });
    Ok(names)
}

fn hash_files(folder: &Path, deeper: usize, hasher: &mut DefaultHasher) {
    for name in names_in(folder).unwrap_or_default() {
        let path = folder.join(&name);
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_dir() {
            if deeper > 0 {
                hash_files(&path, deeper - 1, hasher);
            }
            continue;
        }
        (path, metadata.len(), metadata.modified().ok()).hash(hasher);
        #[cfg(unix)]
        std::os::unix::fs::MetadataExt::ino(&metadata).hash(hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: impl AsRef<[u8]>) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    #[test]
    fn the_first_folder_hides_the_later_file_by_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let base = folder.path();
        write(&base.join("graphs/default/b.xml"), "<graph/>");
        write(&base.join("graphs/default/a.xml"), "<graph/>");
        write(&base.join("graphs/default/readme"), "");
        write(&base.join("nodes/x.xml"), "first");
        write(&base.join("site-nodes/x.xml"), "hidden");
        write(&base.join("site-nodes/extend-x.xml"), "");
        let tree = Tree::open(&[base]).expect("opened");
        let files = tree.graph("default").expect("listed").expect("there");
        assert_eq!(
            files.iter().map(|f| f.shown.as_ref()).collect::<Vec<_>>(),
            ["graphs/default/a.xml", "graphs/default/b.xml"]
        );
        assert_eq!(tree.node("x.xml").expect("x").shown.as_ref(), "./nodes/x.xml");
        assert_eq!(tree.node("x.xml").expect("x").read().as_deref(), Ok("first"));
        assert_eq!(tree.node("extend-x.xml").expect("x").shown.as_ref(), "./site-nodes/extend-x.xml");
        assert_eq!(tree.graph("../default"), Ok(None));
        assert_eq!(tree.graphs(), Ok(vec!["default".to_owned()]));
    }

    #[test]
    fn an_edited_file_changes_the_fingerprint() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("nodes/x.xml");
        write(&folder.path().join("default/g.xml"), "");
        write(&file, "1");
        let tree = Tree::open(&[folder.path()]).expect("opened");
        let before = tree.fingerprint();
        assert_eq!(tree.fingerprint(), before);
        write(&file, "12");
        assert_ne!(tree.fingerprint(), before);
        write(&folder.path().join("nodes/y.xml"), "");
        write(&file, "1");
        assert_ne!(tree.fingerprint(), before);
    }

    #[test]
    fn includes_stay_inside() {
        let folder = tempfile::tempdir().expect("a folder");
        let base = folder.path();
        write(&base.join("default/g.xml"), "");
        write(&base.join("include/a/b.txt"), "inside");
        write(&base.join("secret"), "outside");
        let tree = Tree::open(&[base]).expect("opened");
        assert_eq!(tree.include("a/b.txt"), Ok(Some(b"inside".to_vec())));
        assert_eq!(tree.include("none"), Ok(None));
        for path in ["../secret", "a/../../secret", "/etc/passwd", "a\0b"] {
            assert!(tree.include(path).is_err_and(|what| what.contains("leaves")), "{path}");
        }
        std::os::unix::fs::symlink("../secret", base.join("include/link")).expect("linked");
        assert!(tree.include("link").is_err_and(|what| what.contains("link")));
        std::os::unix::fs::symlink("loop", base.join("include/loop")).expect("linked");
        assert!(tree.include("loop").is_err());
        assert!(tree.include("a").is_err_and(|what| what.contains("no regular file")));
    }

    #[test]
    fn what_is_not_utf_8_is_told_with_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        write(&folder.path().join("nodes/x.xml"), b"<kickstart>\nGr\xfc");
        let tree = Tree::open(&[folder.path()]).expect("opened");
        let error = tree.node("x.xml").expect("x").read().expect_err("latin-1");
        assert!(error.to_string().starts_with("./nodes/x.xml:2:3: is not UTF-8"), "{error}");
    }
}
