//! `rocks set-attribute`.

use crate::args::{ScopeArgs, assignment};
use crate::context::Context;
use rocks::cluster::{Attribute, AttributeName};

/// Set attributes of all hosts, of an operating system, of an appliance or of some hosts
///
/// A value in a narrower scope hides one in a wider scope: host before appliance before
/// operating system before global.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks set-attribute timezone Europe/Vienna
  rocks set-attribute gpu=yes driver=570 --host 'compute-1-[0-7]'
  rocks set-attribute kickstart_release rhel10 --appliance login")]
pub(crate) struct Args {
    /// A name and its value, or any number of NAME=VALUE
    #[arg(value_name = "NAME VALUE", required = true, num_args = 1.., allow_hyphen_values = false)]
    words: Vec<String>,
    #[command(flatten)]
    scope: ScopeArgs,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let values = match &args.words[..] {
        [name, value] if !name.contains('=') => vec![(AttributeName::parse(name)?, value.clone())],
        words => words.iter().map(|word| assignment(word)).collect::<anyhow::Result<_>>()?,
    };
    let names = values.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ");
    context.store_to_write()?.write(&format!("set attribute {names} ({})", args.scope.sentence()), |w| {
        for scope in args.scope.scopes(w)? {
            for (name, value) in &values {
                w.set_attribute(&Attribute { scope: scope.clone(), name: name.clone(), value: value.clone() })?;
            }
        }
        Ok(())
    })?;
    Ok(())
}
