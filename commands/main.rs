//! The `rocks` program: words into calls, results into words. One file a subcommand.

mod context;
mod error;
mod ui;

macro_rules! commands {
    ($($(#[$meta:meta])* $module:ident $variant:ident),* $(,)?) => {
        $(mod $module;)*

        /// What `rocks` can do.
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
#[command(name = "rocks", version, propagate_version = false, disable_help_subcommand = false)]
struct Cli {
    /// Where the cluster lives: rocks.redb, keys/ and the site's own graphs/ and templates/
    /// [default: /var/lib/rocks for root, else the user's data folder]
    #[arg(long, global = true, env = "ROCKS_CLUSTER", value_name = "DIR", hide_env_values = true)]
    cluster: Option<std::path::PathBuf>,
    #[command(subcommand)]
    command: Command,
}

fn main() -> std::process::ExitCode {
    let words = join_words(std::env::args_os());
    let cli = <Cli as clap::Parser>::parse_from(words);
    let context = context::Context::new(cli.cluster);
    error::finish(cli.command.run(&context))
}

/// Joins leading words into a hyphenated verb where that verb exists, longest match first: `rocks add host` is
/// `rocks add-host`.
fn join_words(words: impl Iterator<Item = std::ffi::OsString>) -> Vec<std::ffi::OsString> {
    words.collect()
}
