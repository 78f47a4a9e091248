//! The `rocks` program: words into calls, results into words. One file a subcommand.

mod args;
mod attributes_file;
mod context;
mod error;
mod found;
mod kickstart_of;
mod memory;
mod shelves;
mod topics;
mod ui;

use clap::{CommandFactory, FromArgMatches};
use std::ffi::OsString;
use std::process::ExitCode;

macro_rules! commands {
    ($($(#[$meta:meta])* $module:ident $variant:ident),* $(,)?) => {
        $(mod $module;)*

        /// What `rocks` can do.
        #[expect(clippy::large_enum_variant, reason = "there is one in a process")]
        #[derive(clap::Subcommand)]
        enum Command {
            $($(#[$meta])* $variant($module::Args),)*
        }

        impl Command {
            fn run(self, context: &context::Context) -> anyhow::Result<()> {
                match self {
                    $(Self::$variant(args) => $module::run(context, args),)*
                }
            }
        }
    };
}

commands! {
    add_appliance AddAppliance,
    add_distribution AddDistribution,
    add_host AddHost,
    add_interface AddInterface,
    add_network AddNetwork,
    check Check,
    compile_graph CompileGraph,
    demo Demo,
    diff_host DiffHost,
    explain Explain,
    export Export,
    fetch Fetch,
    #[command(hide = true)]
    generate Generate,
    import Import,
    kickstart Kickstart,
    list_appliance ListAppliance,
    list_attribute ListAttribute,
    list_distribution ListDistribution,
    list_graph ListGraph,
    list_host ListHost,
    list_network ListNetwork,
    log Log,
    remove_appliance RemoveAppliance,
    remove_attribute RemoveAttribute,
    remove_distribution RemoveDistribution,
    remove_host RemoveHost,
    remove_interface RemoveInterface,
    remove_network RemoveNetwork,
    report_dhcp ReportDhcp,
    serve Serve,
    set_attribute SetAttribute,
    set_boot SetBoot,
    set_host SetHost,
    simulate Simulate,
    status Status,
    track Track,
    trust_roll TrustRoll,
}

/// Install clusters: a configuration graph compiled for each host, packages shared by the machines that install.
#[derive(clap::Parser)]
#[command(name = "rocks", version, propagate_version = false)]
struct Cli {
    /// Where the cluster lives: rocks.redb, keys/ and the site's own graphs/ and templates/
    /// [default: /var/lib/rocks for root, else the user's data folder]
    #[arg(long, global = true, env = "ROCKS_CLUSTER", value_name = "DIR", hide_env_values = true)]
    cluster: Option<std::path::PathBuf>,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    error::promise_no_backtrace();
    if std::env::var_os(rocks::demo::LIFELINE).is_some() {
        // Where the kernel refuses, whoever started us still ends us; only its own sudden death is not seen.
        let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
    }
    let command = cli();
    let words = join_words(std::env::args_os().collect(), &command);
    let cli = command.clone().try_get_matches_from(&words).and_then(|matches| Cli::from_arg_matches(&matches));
    match cli {
        Ok(cli) => error::finish(cli.command.run(&context::Context::new(cli.cluster))),
        Err(error) if error.kind() == clap::error::ErrorKind::InvalidSubcommand => {
            let plain = |word: &OsString| word.to_str().filter(|word| !word.starts_with('-')).map(str::to_owned);
            let typed: Vec<String> = std::env::args_os().skip(verb_at(&words)).map_while(|word| plain(&word)).collect();
            let verbs: Vec<String> =
                command.get_subcommands().filter(|c| !c.is_hide_set()).map(|c| c.get_name().to_owned()).collect();
            error::unknown_command(&typed, &verbs)
        }
        Err(error) => error::finish_usage(&error, &command),
    }
}

/// The whole command line.
fn cli() -> clap::Command {
    topics::with_front_page(Cli::command())
}

/// Joins leading words into a hyphenated verb where that verb exists, longest match first: `rocks add host` is
/// `rocks add-host`. Options before the verb stay where they are.
fn join_words(mut words: Vec<OsString>, command: &clap::Command) -> Vec<OsString> {
    /// The longest verb, in words.
    const VERB_WORDS_MAX: usize = 3;
    let first = verb_at(&words);
    for count in (2..=VERB_WORDS_MAX).rev() {
        let Some(leading) = words.get(first..first + count) else { continue };
        let Some(verb) = leading.iter().map(|word| word.to_str()).collect::<Option<Vec<_>>>() else { continue };
        let verb = verb.join("-");
        if command.find_subcommand(&verb).is_some() {
            words.splice(first..first + count, [verb.into()]);
            break;
        }
    }
    words
}

/// Where the verb begins: after the program's name, options that go before a verb, and `help`.
fn verb_at(words: &[OsString]) -> usize {
    let mut at = 1;
    while let Some(word) = words.get(at).and_then(|word| word.to_str()) {
        match word {
            "--cluster" => at += 2,
            "help" => at += 1,
            _ if word.starts_with('-') => at += 1,
            _ => break,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        cli().debug_assert();
    }

    #[test]
    fn words_are_joined_where_the_joined_verb_exists() {
        let command = cli();
        let join = |line: &str| {
            let words = line.split(' ').map(OsString::from).collect();
            join_words(words, &command)
                .iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        for (typed, joined) in [
            ("rocks add host compute-0-0", "rocks add-host compute-0-0"),
            ("rocks --cluster set add host x", "rocks --cluster set add-host x"),
            ("rocks --cluster=x list attribute", "rocks --cluster=x list-attribute"),
            ("rocks help add host", "rocks help add-host"),
            ("rocks list-host add host", "rocks list-host add host"),
            ("rocks add", "rocks add"),
            ("rocks", "rocks"),
            ("rocks log host", "rocks log host"),
        ] {
            assert_eq!(join(typed), joined);
        }
    }
}
