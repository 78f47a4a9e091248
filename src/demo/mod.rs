//! Makes a throw-away cluster and its packages, starts the real processes and measures them.

pub mod packages;
pub mod repodata;
