//! `rocks remove-attribute`.

use crate::args::ScopeArgs;
use crate::context::Context;
use rocks::cluster::{AttributeName, similar};
use rocks::store::StoreError;

/// Remove attributes from a scope
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks remove-attribute timezone
  rocks remove-attribute gpu driver --host 'compute-1-[0-7]'")]
pub(crate) struct Args {
    /// Names of the attributes
    #[arg(value_name = "NAME", required = true)]
    names: Vec<AttributeName>,
    #[command(flatten)]
    scope: ScopeArgs,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let names = args.names.iter().map(AttributeName::as_str).collect::<Vec<_>>().join(" ");
    context.store_to_write()?.write(&format!("remove attribute {names} ({})", args.scope.sentence()), |w| {
        for scope in args.scope.scopes(w)? {
            for name in &args.names {
                if !w.remove_attribute(&scope, name)? {
                    let there = w.attributes_of(&scope)?;
                    let similar = similar(name.as_str(), there.iter().map(|attribute| attribute.name.as_str()));
                    let name = format!("{name}' in scope '{scope}");
                    return Err(StoreError::NotFound { noun: "attribute", name, similar });
                }
            }
        }
        Ok(())
    })?;
    Ok(())
}
