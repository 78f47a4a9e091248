//! Names of files in a metainfo, checked where they are read.

/// The longest part between two slashes (Linux: NAME_MAX).
const COMPONENT_BYTES_MAX: usize = 255;
/// The longest path (below Linux' PATH_MAX, with room for the folder it is put in).
const PATH_BYTES_MAX: usize = 3072;

/// Why a path is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path '{path}' {why}")]
pub struct PathError {
    /// The path, as far as it can be shown.
    pub path: String,
    /// The end of the sentence ("has a '..'").
    pub why: &'static str,
}

/// A relative path that cannot leave the folder it is put in: UTF-8 parts joined by `/`, none of them empty, `.`,
/// `..`, or with a NUL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TorrentPath(Box<str>);

impl TorrentPath {
    /// Checks a path with slashes, such as `Packages/b/bash-5.1.8-9.el9.x86_64.rpm`.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        Self::from_components(text.split('/').map(str::as_bytes))
    }

    /// Checks the parts of a path, as a metainfo lists them.
    pub fn from_components<'a>(components: impl Iterator<Item = &'a [u8]> + Clone) -> Result<Self, PathError> {
        let bad = |why| {
            let parts: Vec<_> = components.clone().map(|part| part.escape_ascii().to_string()).collect();
            let mut path = parts.join("/");
            path.truncate(200);
            Err(PathError { path, why })
        };
        let mut text = String::new();
        for component in components.clone() {
            let Ok(part) = std::str::from_utf8(component) else { return bad("is not UTF-8") };
            match part {
                "" if text.is_empty() => return bad("is empty or absolute"),
                "" => return bad("has an empty part"),
                "." | ".." => return bad("has a '.' or '..'"),
                _ if part.contains(['/', '\0']) => return bad("has a slash or a NUL in a part"),
                _ if part.len() > COMPONENT_BYTES_MAX => return bad("has a part of more than 255 bytes"),
                _ if text.len() + 1 + part.len() > PATH_BYTES_MAX => return bad("is longer than 3072 bytes"),
                _ => {}
            }
            if !text.is_empty() {
                text.push('/');
            }
            text.push_str(part);
        }
        if text.is_empty() {
            return bad("is empty or absolute");
        }
        Ok(Self(text.into_boxed_str()))
    }

    /// The path, with slashes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl std::fmt::Display for TorrentPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}
impl std::ops::Deref for TorrentPath {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}
impl AsRef<std::path::Path> for TorrentPath {
    fn as_ref(&self) -> &std::path::Path {
        std::path::Path::new(&*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_that_could_leave_the_folder_are_refused() {
        for text in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/..", "a\0b", &"x".repeat(256)] {
            assert!(TorrentPath::parse(text).is_err(), "{text:?}");
        }
        assert!(TorrentPath::parse(&"abc/".repeat(1000)).is_err());
        assert!(TorrentPath::from_components([&b"a/b"[..]].into_iter()).is_err());
        assert!(TorrentPath::from_components([&b"a\xff"[..]].into_iter()).is_err());
        assert!(TorrentPath::from_components(std::iter::empty()).is_err());
        let path = TorrentPath::parse("Packages/b/bash.rpm").expect("a plain path");
        assert_eq!(path.components().collect::<Vec<_>>(), ["Packages", "b", "bash.rpm"]);
    }

    proptest! {
        #[test]
        fn what_is_taken_stays_inside(text in "[a./\\\\]{0,12}") {
            if let Ok(path) = TorrentPath::parse(&text) {
                prop_assert!(std::path::Path::new(path.as_str()).components().all(|c| matches!(c, std::path::Component::Normal(_))));
                prop_assert_eq!(path.as_str(), text);
            }
        }
    }
}
