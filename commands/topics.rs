//! The front page of `rocks --help`: every command under its topic, as an administrator meets them.

use crate::ui;
use clap::Command;
use std::fmt::Write;

/// Topics in the order of a cluster's life, with their commands. A test holds that each command has one topic.
const TOPICS: [(&str, &[&str]); 7] = [
    ("Machines", &["add-host", "list-host", "set-host", "remove-host", "add-interface", "remove-interface"]),
    (
        "Kinds of machines, networks, attributes",
        &[
            "add-appliance",
            "list-appliance",
            "remove-appliance",
            "add-network",
            "list-network",
            "remove-network",
            "set-attribute",
            "list-attribute",
            "remove-attribute",
        ],
    ),
    ("Packages", &["add-distribution", "list-distribution", "remove-distribution", "trust-roll"]),
    ("Configuration of a machine", &["check", "explain", "diff-host", "list-graph", "compile-graph", "kickstart"]),
    ("Installing", &["set-boot", "status", "report-dhcp", "serve", "track", "fetch"]),
    ("The cluster database", &["log", "export", "import"]),
    ("Trying it out", &["demo", "simulate"]),
];

const EXAMPLES: &str = "\
A first cluster:
  rocks add-host compute-0-0 --mac 52:54:00:12:34:56 --ip 10.1.255.254
  rocks add-distribution el9 /srv/el9 --release rhel9
  rocks check
  rocks serve --listen 10.1.1.1:80 &  rocks track --listen 10.1.1.1:6969 &
  rocks report-dhcp > /etc/dnsmasq.d/rocks.conf

Verbs may be written in words: 'rocks add host' is 'rocks add-host'.
More on one command: rocks help COMMAND.";

/// Gives the program its front page.
pub(crate) fn with_front_page(command: Command) -> Command {
    let mut text = String::new();
    for (topic, verbs) in TOPICS {
        let _ = writeln!(text, "\n{topic}:");
        for verb in verbs {
            let about = command.find_subcommand(verb).and_then(Command::get_about).map(ToString::to_string);
            // An explanation after a colon is for the command's own page.
            let about = about.as_deref().unwrap_or("").split(':').next().unwrap_or("");
            let _ = writeln!(text, "  {} {about}", ui::literal(&format!("{verb:<20}")));
        }
    }
    let page = format!("{{about}}\n\nUsage: rocks [OPTIONS] <COMMAND>\n{text}\nOptions:\n{{options}}{{after-help}}");
    command.help_template(page).after_help(EXAMPLES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_one_topic_and_help_that_is_an_order() {
        let command = crate::cli();
        let mut listed: Vec<&str> = TOPICS.iter().flat_map(|(_, verbs)| verbs.iter().copied()).collect();
        let mut there: Vec<&str> =
            command.get_subcommands().filter(|c| !c.is_hide_set()).map(Command::get_name).collect();
        listed.sort_unstable();
        there.sort_unstable();
        assert_eq!(listed, there);
        for command in command.get_subcommands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && !about.ends_with('.'), "{}: {about}", command.get_name());
        }
    }
}
