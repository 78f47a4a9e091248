//! `rocks generate`.

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui;
use clap::Command;
use clap_complete::Shell;
use std::path::{Path, PathBuf};

/// Write the man pages and the shell completions into a folder
#[derive(clap::Args)]
#[command(after_help = "Example:\n  rocks generate .")]
pub(crate) struct Args {
    /// The folder that gets man/ and completions/
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn run(_context: &Context, args: Args) -> anyhow::Result<()> {
    for (name, text) in files() {
        let path = args.folder.join(name);
        write(&path, &text)
            .map_err(|error| Failure::new(Kind::Failed, format!("cannot write '{}': {error}", path.display())))?;
    }
    ui::note(&format!("wrote man/ and completions/ in '{}'", args.folder.display()));
    Ok(())
}

fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::write(path, text)
}

/// Every generated file by its name in the folder.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut command = crate::cli().disable_help_subcommand(true);
    command.build();
    let mut files = Vec::new();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let name = match shell {
            Shell::Zsh => "_rocks".to_owned(),
            shell => format!("rocks.{shell}"),
        };
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command.clone(), "rocks", &mut text);
        files.push((format!("completions/{name}"), text));
    }
    // A front page for the terminal is not one for the manual: there the sections are the manual's own.
    let manual = command.clone().help_template("{all-args}");
    files.push(("man/rocks.1".to_owned(), page(&manual, "rocks")));
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let name = format!("rocks-{}", sub.get_name());
        files.push((format!("man/{name}.1"), page(sub, &name)));
    }
    files
}

fn page(command: &Command, name: &str) -> Vec<u8> {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let command = command.clone().display_name(name.to_owned()).version(env!("CARGO_PKG_VERSION"));
    let has_commands = command.has_subcommands();
    // A date would differ with each build.
    let title = format!("{} {}", "rocks", env!("CARGO_PKG_VERSION"));
    let man = clap_mangen::Man::new(command).title(name.to_uppercase()).date("").source(title).manual("Rocks");
    let mut page = Vec::new();
    let written = man
        .render_title(&mut page)
        .and_then(|()| man.render_name_section(&mut page))
        .and_then(|()| man.render_synopsis_section(&mut page))
        .and_then(|()| man.render_description_section(&mut page))
        .and_then(|()| man.render_options_section(&mut page))
        .and_then(|()| if has_commands { man.render_subcommands_section(&mut page) } else { Ok(()) });
    written.expect("a vector takes every byte");
    page.extend(examples(&after).into_bytes());
    page
}

/// What stands after a command's options, as a section without filling (man(7)).
fn examples(after: &str) -> String {
    let Some((_, text)) = after.split_once(":\n") else { return String::new() };
    let mut section = ".SH EXAMPLES\n.nf\n".to_owned();
    for line in text.lines() {
        let line = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
        // A line that begins with a full stop would be an order to the formatter.
        section.push_str(if line.starts_with('.') { "\\&" } else { "" });
        section.push_str(&line);
        section.push('\n');
    }
    section + ".fi\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checked_in_pages_are_those_of_the_commands() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut expected = std::collections::BTreeSet::new();
        for (name, text) in files() {
            let there = std::fs::read(top.join(&name)).unwrap_or_default();
            assert!(there == text, "{name} is not what the commands say: cargo run generate .");
            expected.insert(name);
        }
        for folder in ["man", "completions"] {
            for entry in std::fs::read_dir(top.join(folder)).unwrap() {
                let name = format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy());
                assert!(expected.contains(&name), "{name} is of no command: remove it");
            }
        }
    }
}
