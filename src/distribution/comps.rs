//! `comps.xml`: groups of packages and environments of groups.

use super::DistributionError;
use super::xml::{self, Node};
use serde::{Deserialize, Serialize};
use std::io::BufRead;
use std::path::Path;

/// A comps file has at most this many groups, environments and packages in them, together.
const ITEMS_MAX: usize = 1_000_000;

/// Groups and environments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comps {
    /// The groups: what `@name` asks for.
    pub groups: Vec<Group>,
    /// The environments: what `@^name` asks for.
    pub environments: Vec<Environment>,
}

/// A group of packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What stands after `@`.
    pub id: String,
    /// Its name for people; `@NAME` is understood too.
    pub name: String,
    /// Its packages.
    pub packages: Vec<GroupPackage>,
}

/// A package of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPackage {
    /// Its name.
    pub name: String,
    /// When it comes with the group.
    pub kind: GroupPackageKind,
}

/// When a package comes with its group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupPackageKind {
    /// Always.
    Mandatory,
    /// Unless only mandatory packages are asked for.
    Default,
    /// Only when asked for.
    Optional,
    /// With this other package.
    Conditional(String),
}

/// An environment: a set of groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// What stands after `@^`.
    pub id: String,
    /// Its name for people; `@^NAME` is understood too.
    pub name: String,
    /// The groups that it always has.
    pub groups: Vec<String>,
}

impl Comps {
    /// Reads unpacked comps.xml.
    pub(super) fn parse(path: &Path, reader: impl BufRead) -> Result<Self, DistributionError> {
        let mut parser = Parser::default();
        xml::read(path, reader, &mut |node| parser.node(node))?;
        Ok(parser.comps)
    }

    /// A group by its id, else by its name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        let by_id = self.groups.iter().find(|group| group.id == name);
        by_id.or_else(|| self.groups.iter().find(|group| group.name == name))
    }

    /// An environment by its id, else by its name.
    pub fn environment(&self, name: &str) -> Option<&Environment> {
        let by_id = self.environments.iter().find(|environment| environment.id == name);
        by_id.or_else(|| self.environments.iter().find(|environment| environment.name == name))
    }
}

#[derive(Default)]
struct Parser {
    comps: Comps,
    group: Option<Group>,
    environment: Option<Environment>,
    kind: Option<GroupPackageKind>,
    in_group_list: bool,
    translated: bool,
    items: usize,
}

impl Parser {
    fn node(&mut self, node: Node<'_>) -> Result<(), String> {
        match node {
            Node::Open("group", _) => self.group = Some(Group::default()),
            Node::Open("environment", _) => self.environment = Some(Environment::default()),
            Node::Open("grouplist", _) => self.in_group_list = true,
            Node::Close("grouplist", _) => self.in_group_list = false,
            Node::Open("name", attributes) => self.translated = attributes.get("xml:lang").is_some(),
            Node::Open("packagereq", attributes) => {
                let value = |name: &str| attributes.get(name).unwrap_or_default().into_owned();
                self.kind = Some(match value("type").as_str() {
                    "default" => GroupPackageKind::Default,
                    "optional" => GroupPackageKind::Optional,
                    "conditional" => GroupPackageKind::Conditional(value("requires")),
                    _ => GroupPackageKind::Mandatory,
                });
            }
            Node::Close(name, text) => self.close(name, text.trim())?,
            Node::Open(..) => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str, text: &str) -> Result<(), String> {
        match (name, &mut self.group, &mut self.environment) {
            ("group", group, _) => self.comps.groups.extend(group.take()),
            ("environment", _, environment) => self.comps.environments.extend(environment.take()),
            ("id", Some(group), _) => group.id = text.to_owned(),
            ("id", None, Some(environment)) => environment.id = text.to_owned(),
            ("name", Some(group), _) if !self.translated => group.name = text.to_owned(),
            ("name", None, Some(environment)) if !self.translated => environment.name = text.to_owned(),
            ("packagereq", Some(group), _) => {
                let kind = self.kind.take().unwrap_or(GroupPackageKind::Mandatory);
                group.packages.push(GroupPackage { name: text.to_owned(), kind });
            }
            ("groupid", None, Some(environment)) if self.in_group_list => environment.groups.push(text.to_owned()),
            _ => return Ok(()),
        }
        self.items += 1;
        if self.items > ITEMS_MAX { Err(format!("more than {ITEMS_MAX} groups and packages")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMPS: &str = r#"<comps><group><id>core</id><name>Core</name><name xml:lang="de">Kern</name><packagelist>
        <packagereq type="mandatory">bash</packagereq><packagereq type="optional">zsh</packagereq>
        <packagereq type="conditional" requires="x">x-lang</packagereq><packagereq>plain</packagereq>
        </packagelist></group><environment><id>minimal</id><name>Minimal</name><grouplist><groupid>core</groupid>
        </grouplist><optionlist><groupid default="true">guest</groupid></optionlist></environment></comps>"#;

    #[test]
    fn groups_and_environments_are_read() {
        let comps = Comps::parse(Path::new("comps.xml"), COMPS.as_bytes()).expect("well-formed");
        let group = comps.group("Core").expect("by name");
        assert_eq!(group.id, "core");
        let kinds: Vec<_> = group.packages.iter().map(|package| (package.name.as_str(), &package.kind)).collect();
        assert_eq!(
            kinds,
            [
                ("bash", &GroupPackageKind::Mandatory),
                ("zsh", &GroupPackageKind::Optional),
                ("x-lang", &GroupPackageKind::Conditional("x".into())),
                ("plain", &GroupPackageKind::Mandatory),
            ]
        );
        assert_eq!(comps.environment("minimal").expect("by id").groups, ["core"]);
    }

    proptest! {
        #[test]
        fn spoiled_comps_are_an_error_or_groups_never_a_panic(at in 0usize..COMPS.len(), byte in 32u8..127) {
            let mut bytes = COMPS.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = Comps::parse(Path::new("comps.xml"), bytes.as_slice());
        }
    }
}
