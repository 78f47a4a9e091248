//! Stage 2: a profile becomes a Kickstart file through Jinja templates; validation. Runs on the node.
//!
//! - `section` reads a profile: which elements count, and what each section gets from them (`judge`, `script`,
//!   `written`, `packages`, `ansible`); `shell` writes the shell they become; `kept` remembers what elements became
//!   that profiles share.
//! - `modern` says the commands of an older installer in the words of today's, out of the facts in `grammar`.
//! - `render` pours it all into the templates of `templates/`.
//! - `bounds` says what a site's own templates may use up.
//! - `trace` says which element of the profile a line was made of.
//! - `check` finds what would fail at install time in any Kickstart file, ours or not.

mod addons;
mod addresses;
mod ansible;
mod arguments;
mod bounds;
mod check;
mod context;
mod credentials;
mod devices;
mod difference;
mod document;
mod doubts;
mod error;
#[cfg(test)]
mod golden_tests;
mod grammar;
mod groups;
mod judge;
mod kept;
mod keyboard;
mod line;
mod memo;
mod modern;
mod packages;
mod render;
mod rules;
mod script;
mod scripts;
mod section;
mod services;
mod shell;
mod sources;
mod storage;
mod trace;
mod values;
mod wishes;
mod written;

pub use bounds::TEMPLATE_BYTES_MAX;
pub use check::{Check, Shelf};
pub use difference::Difference;
pub use error::KickstartError;
pub use memo::Memo;
pub use packages::PackageList;
pub use render::{Bootstrap, Renderer, package_lines, packages_sections};
pub use scripts::{SCRIPTS_MAX, Scripts};
pub use trace::TracedLine;
