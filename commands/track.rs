//! `rocks track`.

use crate::context::Context;
use crate::error::{Failure, Kind};

/// Not there yet
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _args: Args) -> anyhow::Result<()> {
    Err(Failure::new(Kind::Failed, format!("track does not exist yet ({})", context.cluster().display())).into())
}
