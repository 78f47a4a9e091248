//! Profile in, Kickstart out: the sections of a profile poured into the Jinja templates.
//!
//! The templates of `templates/` are compiled in; a site replaces one by giving another text under its name. An
//! unknown name in a template is an error, never an empty string.

use super::bounds::{self, Rendered};
use super::judge::Conditions;
use super::kept::{Elements, Kept};
use super::modern::modernise;
use super::script::Dialect;
use super::section::{Command, Placed, Sections, rocks7_accepts};
use super::trace::{Ink, Marks, Plain, TracedLine};
use super::{KickstartError, grammar::Grammar};
use crate::cluster::Release;
use crate::profile::Profile;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, context};
use std::collections::BTreeMap;

/// The templates we ship that stage 2 uses: file name and text.
const TEMPLATES: [(&str, &str); 7] = [
    ("kickstart.cfg.j2", include_str!("../../templates/kickstart.cfg.j2")),
    ("kickstart-head.cfg.j2", include_str!("../../templates/kickstart-head.cfg.j2")),
    ("kickstart-packages.cfg.j2", include_str!("../../templates/kickstart-packages.cfg.j2")),
    ("kickstart-scripts.cfg.j2", include_str!("../../templates/kickstart-scripts.cfg.j2")),
    ("kickstart-rocks7.cfg.j2", include_str!("../../templates/kickstart-rocks7.cfg.j2")),
    ("bootstrap.ks.j2", include_str!("../../templates/bootstrap.ks.j2")),
    ("dnf.conf.j2", include_str!("../../templates/dnf.conf.j2")),
];

/// The file name of the template that everything of a Kickstart comes from.
const KICKSTART: &str = "kickstart.cfg.j2";
/// The file name of the template of the Kickstart that a machine first gets.
const BOOTSTRAP: &str = "bootstrap.ks.j2";

/// Turns profiles into Kickstart files. Made once, used for any number of profiles, from any thread.
#[derive(Debug)]
pub struct Renderer {
    templates: Environment<'static>,
    conditions: Conditions,
    kept: Kept,
}

/// What the frontend fills the first Kickstart of a machine with, before the machine is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// Where the frontend listens (`http://10.1.1.1:8080`), without a slash at its end.
    pub frontend: String,
    /// Where the machine's proxy listens (`127.0.0.1:7180`).
    pub proxy: String,
    /// Further arguments of `rocks fetch`, each a word of the shell already.
    pub arguments: Vec<String>,
}

impl Renderer {
    /// Compiles our templates, and `overrides` (file name to text) in place of those of the same name.
    pub fn new(overrides: &BTreeMap<String, String>) -> Result<Self, KickstartError> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
        templates.set_syntax(syntax.expect("the delimiters are the usual ones"));
        templates.set_auto_escape_callback(|_| AutoEscape::None);
        bounds::set(&mut templates);
        for (name, text) in TEMPLATES {
            if !overrides.contains_key(name) {
                templates.add_template(name, text).map_err(|error| template_error(name, text, &error))?;
            }
        }
        for (name, text) in overrides {
            bounds::check_size(name, text)?;
            let added = templates.add_template_owned(name.clone(), text.clone());
            added.map_err(|error| template_error(name, text, &error))?;
        }
        Ok(Self { templates, conditions: Conditions::default(), kept: Kept::default() })
    }

    /// The Kickstart file of a profile, for this release of the installer.
    pub fn render(&self, profile: &Profile, release: Release) -> Result<String, KickstartError> {
        self.pour(profile, release, &mut Plain)
    }

    /// The same, each line with what of the profile it was made of.
    pub fn trace(&self, profile: &Profile, release: Release) -> Result<Vec<TracedLine>, KickstartError> {
        let mut marks = Marks::default();
        let text = self.pour(profile, release, &mut marks)?;
        Ok(marks.read(&text, profile))
    }

    fn pour(&self, profile: &Profile, release: Release, ink: &mut dyn Ink) -> Result<String, KickstartError> {
        let old = release == Release::Rocks7;
        let mut sections = {
            let kept = self.kept.elements();
            match old {
                true => Sections::read(profile, Dialect::Rocks7, &rocks7_accepts, &self.conditions, &kept)?,
                false => {
                    let grammar = Grammar::of(release);
                    let accepts = move |name: &str| {
                        rocks7_accepts(name)
                            || grammar.command(name).is_some()
                            || !Grammar::known_in(name, None).is_empty()
                    };
                    Sections::read(profile, Dialect::Modern, &accepts, &self.conditions, &kept)?
                }
            }
        };
        self.kept.add(std::mem::take(&mut sections.fresh));
        let modern = if old { None } else { Some(modernise(&sections.commands, release)) };
        let mut changes = modern.as_ref().map(|modern| modern.changes.clone()).unwrap_or_default();
        if sections.without_rcs > 0 {
            changes.push("files are not put under RCS, nor copied to /var/rocks".to_owned());
        }
        if !old && sections.post.iter().any(|(script, _)| script.is_log_record) {
            sections.post.retain(|(script, _)| !script.is_log_record);
            changes.push("records of each node's begin and end left out: every script has its own log".to_owned());
        }
        let order: Vec<Value> = sections.order.iter().map(|origin| super::context::node(origin)).collect();
        let commands: Vec<(String, usize)> = match modern {
            Some(modern) => modern.lines,
            None => sections.commands.iter().map(|command| (old_line(command), command.maker)).collect(),
        };
        ink.know(&sections.makers);
        let commands: Vec<String> = commands.into_iter().map(|(line, maker)| ink.write_line(line, maker)).collect();
        let packages: Vec<String> = sections.packages.into_iter().map(|line| ink.write_package(line)).collect();
        let mut scripts = |scripts: &[Placed]| -> Vec<Value> {
            (1..).zip(scripts).map(|(number, (script, maker))| ink.write_script(script, number, *maker)).collect()
        };
        let (pre, post) = (scripts(&sections.pre), scripts(&sections.post));
        self.fill(
            KICKSTART,
            context! {
                release => release.as_str(),
                attributes => super::context::attributes(profile),
                order,
                debug => sections.debug,
                commands,
                changes,
                packages,
                pre,
                post,
            },
        )
    }

    /// The Kickstart file that a machine first gets: it fetches `rocks`, has it fetch the machine's own, and includes
    /// that.
    pub fn bootstrap(&self, bootstrap: &Bootstrap) -> Result<String, KickstartError> {
        let Bootstrap { frontend, proxy, arguments } = bootstrap;
        self.fill(BOOTSTRAP, context! { frontend, proxy, arguments => arguments.clone() })
    }

    fn fill(&self, name: &str, values: Value) -> Result<String, KickstartError> {
        let template = self.templates.get_template(name).expect("our templates are added first");
        let mut rendered = Rendered::default();
        if let Err(error) = template.render_captured_to(values, &mut rendered) {
            let name = innermost(&error).name().unwrap_or(name).to_owned();
            let source = self.templates.get_template(&name).map(|t| t.source().to_owned()).unwrap_or_default();
            return Err(match rendered.is_full {
                true => KickstartError::Template {
                    template: name,
                    line: None,
                    problem: format!("makes a text larger than {} MB", bounds::RENDERED_BYTES_MAX >> 20),
                },
                false => template_error(&name, &source, &error),
            });
        }
        Ok(rendered.into_text())
    }
}

/// The lines of `%packages` that a profile makes: what its distribution's closure is given.
pub fn package_lines(profile: &Profile) -> Result<Vec<String>, KickstartError> {
    let conditions = Conditions::default();
    let sections = Sections::read(profile, Dialect::Modern, &|_| false, &conditions, &Elements::default())?;
    Ok(sections.packages.iter().flat_map(|line| line.lines()).map(str::to_owned).collect())
}

/// The `%packages` lines of a Kickstart file, each section's head among them: what a site's own templates make of them.
pub fn packages_sections(text: &str) -> Vec<&str> {
    let mut inside = false;
    let is_one = |line: &&str| {
        let first = line.split_whitespace().next().unwrap_or_default();
        match first {
            "%packages" => inside = true,
            "%end" => inside = false,
            _ => {}
        }
        inside
    };
    text.lines().filter(is_one).collect()
}

fn old_line(command: &Command) -> String {
    format!("{} {}", command.name, command.text).trim_end().to_owned()
}

fn innermost(error: &Error) -> &Error {
    let mut error = error;
    while let Some(source) = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Error>()) {
        error = source;
    }
    error
}

fn template_error(name: &str, source: &str, error: &Error) -> KickstartError {
    let inner = innermost(error);
    let line = inner.line().and_then(|line| u32::try_from(line).ok());
    let expression = inner.range().and_then(|range| source.get(range)).map(str::trim).filter(|text| !text.is_empty());
    let problem = match (inner.kind(), expression) {
        (ErrorKind::UndefinedError, Some(expression)) => format!("'{expression}' is not defined"),
        (ErrorKind::UndefinedError, None) => "a name that is not defined".to_owned(),
        (ErrorKind::OutOfFuel, _) => bounds::out_of_steps(),
        (ErrorKind::TemplateNotFound, _) => inner.detail().unwrap_or("includes an unknown template").to_owned(),
        (kind, _) => match inner.detail() {
            Some(detail) => format!("{kind}: {detail}"),
            None => kind.to_string(),
        },
    };
    let problem = problem.split_whitespace().collect::<Vec<_>>().join(" ");
    KickstartError::Template { template: inner.name().unwrap_or(name).to_owned(), line, problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;
    use std::process::Command;

    /// A profile with one `<post>` in it.
    fn profile(post: &str) -> Profile {
        let text = format!(
            "<kickstart attrs=\"{{}}\">\n<post roll=\"r\" file=\"./nodes/n.xml\">{post}</post>\n\
             <main roll=\"r\" file=\"./nodes/n.xml\"><lang>C</lang></main>\n</kickstart>\n"
        );
        Profile::from_xml(&text).expect("well formed")
    }

    fn render(profile: &Profile, release: Release) -> String {
        Renderer::new(&BTreeMap::new()).and_then(|renderer| renderer.render(profile, release)).expect("it renders")
    }

    /// Runs the first `%post` of a Kickstart as the installer does: lines up to one that begins with `%end`, ends of
    /// lines unified.
    fn install(kickstart: &str) {
        let text = kickstart.replace("\r\n", "\n").replace('\r', "\n");
        let body = text.lines().skip_while(|line| !line.starts_with("%post")).skip(1);
        let script: String =
            body.take_while(|line| !line.trim_start().starts_with("%end")).flat_map(|l| [l, "\n"]).collect();
        let done = Command::new("bash").arg("-c").arg(script).output().expect("bash runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn escape(text: &str) -> String {
        let mut out = String::new();
        crate::profile::xml::escape_text(text, &mut out);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn values_arrive_in_the_installed_file_unchanged(
            value in "([ -~\n\t]|[\u{80}-\u{2fff}]|[\u{e000}-\u{fffd}]|[\u{10000}-\u{10ffff}]|\u{feff}|\u{202e}|\\]\\]>|\\{\\{ x \\}\\}|\\{% if %\\}|\\{#|&amp;|%include /x|\n\n|\r|ROCKS-KS-POST\n|EOF|\n%end\n|\n%post\n|\r\n|'|\"|\\\\|\\$\\(false\\)|`|&|<){0,12}",
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("conf/value");
            let post = format!("<file name=\"{}\">\nvalue: {}\nEOF\n</file>", file.display(), escape(&value));
            let crossed = Profile::from_xml(&profile(&post).to_xml()).expect("it was a profile");
            install(&render(&crossed, Release::Rhel9));
            let installed = std::fs::read_to_string(Path::new(&file)).expect("it was written");
            prop_assert_eq!(installed, format!("value: {value}\nEOF\n"));
        }
    }

    #[test]
    fn a_script_that_a_section_cannot_carry_arrives_all_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x");
        let post = format!("cat &gt; {} &lt;&lt; HERE\n%end\n$((1 + 1))\nHERE\n", file.display());
        install(&render(&profile(&post), Release::Rhel10));
        assert_eq!(std::fs::read_to_string(file).expect("it was written"), "%end\n2\n");
    }

    #[test]
    fn commands_that_a_release_knows_are_kept_and_others_dropped() {
        let text = "<kickstart attrs=\"{}\"><main roll=\"r\" file=\"./nodes/n.xml\"><selinux>--enforcing</selinux>\
                    <timesource>--ntp-disable</timesource><nonsense>x</nonsense><lang>C</lang></main></kickstart>";
        let profile = Profile::from_xml(text).expect("well formed");
        let commands = |release| {
            let text = render(&profile, release);
            text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())).map(str::to_owned).collect()
        };
        let (old, new): (Vec<String>, Vec<String>) = (commands(Release::Rocks7), commands(Release::Rhel9));
        assert_eq!(old, ["lang C"]);
        assert_eq!(new, ["selinux --enforcing", "timesource --ntp-disable", "lang C"]);
    }

    #[test]
    fn names_of_files_are_words_of_the_shell() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a b/it's; touch x");
        let profile = profile(&format!("<file name=\"{}\" perms=\"0600\">text</file>", file.display()));
        install(&render(&profile, Release::Rhel9));
        assert_eq!(std::fs::read_to_string(file).expect("it was written"), "text\n");
    }

    #[test]
    fn expanded_files_are_expanded_by_the_shell() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x");
        let post = format!("value=7\n<file name=\"{}\" vars=\"expanded\">$value \\$value\nEOF</file>", file.display());
        install(&render(&profile(&post), Release::Rhel8));
        assert_eq!(std::fs::read_to_string(file).expect("it was written"), "7 $value\nEOF\n");
    }

    #[test]
    fn the_lines_of_packages_come_with_their_head() {
        let text = "lang C\n%packages --nocore\n@x\n%end\n%post\nx\n%end\n%packages\ny\n%end\n";
        assert_eq!(packages_sections(text), ["%packages --nocore", "@x", "%packages", "y"]);
    }

    #[test]
    fn every_script_has_a_log_of_its_own() {
        let text = "<kickstart attrs=\"{}\"><pre roll=\"r\" file=\"./nodes/a.xml\">a</pre>\
                    <post roll=\"r\" file=\"./nodes/b.xml\">b</post>\
                    <post arg=\"--nochroot\" interpreter=\"/usr/bin/python3\" roll=\"r\" file=\"./nodes/b.xml\">c</post></kickstart>";
        let kickstart = render(&Profile::from_xml(text).expect("well formed"), Release::Rhel9);
        let heads: Vec<&str> =
            kickstart.lines().filter(|line| line.starts_with("%p") && line.contains("--log")).collect();
        assert_eq!(
            heads,
            [
                "%pre --interpreter=/bin/bash --log=/tmp/pre-001-a.log",
                "%post --interpreter=/bin/bash --log=/var/log/rocks/post-001-b.log",
                "%post --interpreter=/usr/bin/python3 --log=/mnt/sysimage/var/log/rocks/post-002-b.log --nochroot",
            ]
        );
    }

    #[test]
    fn errors_of_templates_name_template_and_line() {
        let wrong = |name: &str, text: &str| {
            let overrides = BTreeMap::from([(name.to_owned(), text.to_owned())]);
            let rendered =
                Renderer::new(&overrides).and_then(|renderer| renderer.render(&profile("x"), Release::Rhel9));
            rendered.expect_err("it is wrong").to_string()
        };
        let unclosed = wrong("kickstart.cfg.j2", "a\n{% if x %}\n");
        assert!(unclosed.starts_with("templates/kickstart.cfg.j2:") && !unclosed.contains('\n'), "{unclosed}");
        assert_eq!(
            wrong("kickstart-head.cfg.j2", "# {{ release }}\n# {{ attributes.nosuch }}\n"),
            "templates/kickstart-head.cfg.j2:2: 'attributes.nosuch' is not defined"
        );
        assert!(wrong("kickstart.cfg.j2", "{% include 'nosuch.j2' %}").contains("nosuch.j2"));
    }

    #[test]
    fn the_bootstrap_starts_rocks_and_includes_what_it_writes() {
        let bootstrap = Bootstrap {
            frontend: "http://10.1.1.1:8080".to_owned(),
            proxy: "127.0.0.1:7180".to_owned(),
            arguments: vec!["--rate".to_owned(), "1gbit".to_owned()],
        };
        let text =
            Renderer::new(&BTreeMap::new()).and_then(|renderer| renderer.bootstrap(&bootstrap)).expect("it renders");
        assert!(
            text.contains("--frontend \"$frontend\" --proxy 127.0.0.1:7180 --kickstart /tmp/ks.cfg --rate 1gbit \\\n"),
            "{text}"
        );
        assert!(text.contains("\n%include /tmp/ks.cfg\n") && text.contains("timeout=300\n"), "{text}");
        assert!(text.ends_with("/rocks/installed\n%end\n"), "the last script says that it is installed: {text}");
        for release in [Release::Rhel8, Release::Rhel9, Release::Rhel10] {
            let check = crate::kickstart::Check {
                release,
                shelf: None,
                scripts: None,
                memo: &crate::kickstart::Memo::default(),
            };
            assert_eq!(check.run("bootstrap.ks", &text), [], "{release}");
        }
    }
}
