//! What a `%packages` section asks for.

use crate::cluster::{Arch, Release};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What a `%packages` section asks for: the input of [`super::Index::closure`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageRequest {
    /// Names, patterns with `*`, `?` and `[...]`, `name.arch`, `name-version`, or what a package provides.
    pub names: Vec<String>,
    /// Groups, without their `@`.
    pub groups: Vec<String>,
    /// Environments, without their `@^`.
    pub environments: Vec<String>,
    /// Names and patterns that must not be installed, without their `-`.
    pub excluded: Vec<String>,
    /// Groups that must not be installed, without their `-@`.
    pub excluded_groups: Vec<String>,
    /// Groups of which the optional packages come too (`@x --optional`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub optional_groups: Vec<String>,
    /// Groups of which only the mandatory packages come (`@x --nodefaults`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mandatory_groups: Vec<String>,
    /// Whether the group `core` stays out unless it is named (`--nocore`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_core: bool,
    /// Packages that are installed where the distribution has them and nobody misses elsewhere.
    pub implicit: Vec<String>,
    /// Whether recommended packages come too (not with `--exclude-weakdeps`).
    pub weak_dependencies: bool,
}

impl Default for PackageRequest {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            groups: Vec::new(),
            environments: Vec::new(),
            excluded: Vec::new(),
            excluded_groups: Vec::new(),
            optional_groups: Vec::new(),
            mandatory_groups: Vec::new(),
            without_core: false,
            implicit: Vec::new(),
            weak_dependencies: true,
        }
    }
}

impl PackageRequest {
    /// Sorts the lines of a `%packages` section into what they ask for.
    pub fn from_lines<'l>(lines: impl IntoIterator<Item = &'l str>) -> Self {
        let mut request = Self::default();
        for line in lines {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(options) = line.strip_prefix("%packages") {
                request.take_options(options);
                continue;
            }
            if let Some((group, options)) = line.strip_prefix('@').and_then(|line| line.split_once(" --")) {
                let group = group.trim().to_owned();
                match options.trim() {
                    "optional" => request.optional_groups.push(group),
                    "nodefaults" => request.mandatory_groups.push(group),
                    _ => {}
                }
            }
            let (list, name) = if let Some(name) = line.strip_prefix("-@") {
                (&mut request.excluded_groups, name)
            } else if let Some(name) = line.strip_prefix('-') {
                (&mut request.excluded, name)
            } else if let Some(name) = line.strip_prefix("@^") {
                (&mut request.environments, name)
            } else if let Some(name) = line.strip_prefix('@') {
                (&mut request.groups, name)
            } else {
                (&mut request.names, line)
            };
            let name = name.split(" --").next().unwrap_or_default().trim();
            if !name.is_empty() && !list.iter().any(|there| there == name) {
                list.push(name.to_owned());
            }
        }
        request
    }

    /// Takes the options of a `%packages` line.
    fn take_options(&mut self, options: &str) {
        for option in options.split_whitespace() {
            match option {
                "--nocore" => self.without_core = true,
                "--exclude-weakdeps" | "--excludeWeakdeps" => self.weak_dependencies = false,
                _ => {}
            }
        }
    }

    /// Adds what the Red Hat installer adds by itself: the group `core` (unless `-@core` or `--nocore`), a kernel, a boot loader,
    /// the tools of the file systems it makes.
    pub fn with_installer_defaults(mut self, _release: Release, arch: Arch) -> Self {
        let core = "core".to_owned();
        if !self.without_core && !self.excluded_groups.contains(&core) && !self.groups.contains(&core) {
            self.groups.push(core);
        }
        let boot: &[&str] = match arch {
            Arch::X86_64 => &["grub2-pc", "grub2-efi-x64", "shim-x64"],
            Arch::Aarch64 => &["grub2-efi-aa64", "shim-aa64"],
        };
        let always =
            ["kernel", "grub2-tools", "efibootmgr", "dosfstools", "e2fsprogs", "xfsprogs", "lvm2", "authselect"];
        for name in always.iter().chain(boot) {
            if !self.names.iter().any(|there| there == name) {
                self.implicit.push((*name).to_owned());
            }
        }
        self
    }

    /// Names the request: equal requests have equal fingerprints.
    pub fn fingerprint(&self) -> [u8; 32] {
        let json = serde_json::to_vec(self).expect("plain values are JSON");
        Sha256::digest(json).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_a_request() {
        let request = PackageRequest::from_lines([
            "@^minimal",
            " @core",
            "bash",
            "lib*",
            "-sendmail",
            "-@guest",
            "# note",
            "",
            "bash",
            "@x --nodefaults",
        ]);
        assert_eq!(request.environments, ["minimal"]);
        assert_eq!(request.groups, ["core", "x"]);
        assert_eq!(request.names, ["bash", "lib*"]);
        assert_eq!(request.excluded, ["sendmail"]);
        assert_eq!(request.excluded_groups, ["guest"]);
        assert!(request.weak_dependencies);
        assert_eq!((&request.mandatory_groups[..], &request.optional_groups[..]), (&["x".to_owned()][..], &[][..]));
        let request = PackageRequest::from_lines(["%packages --nocore --excludeWeakdeps", "@a b --optional"]);
        assert_eq!(
            (&request.groups[..], &request.optional_groups[..]),
            (&["a b".to_owned()][..], &["a b".to_owned()][..])
        );
        assert!(request.without_core && !request.weak_dependencies && request.names.is_empty());
        let request = request.with_installer_defaults(Release::Rhel9, Arch::X86_64);
        assert_eq!(request.groups, ["a b"]);
    }

    #[test]
    fn the_installer_adds_the_core_group_unless_told_not_to() {
        let add = |line| PackageRequest::from_lines([line]).with_installer_defaults(Release::Rhel9, Arch::X86_64);
        assert_eq!(add("bash").groups, ["core"]);
        assert!(add("-@core").groups.is_empty());
        assert!(add("bash").implicit.iter().any(|name| name == "kernel"));
        assert_ne!(add("bash").fingerprint(), add("dash").fingerprint());
        assert_eq!(add("bash").fingerprint(), add("bash").fingerprint());
    }
}
