//! End-to-end tests of the commands, one module a command or a story.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod add_host;
mod attributes;
mod check;
mod cluster;
mod daemons;
mod demo;
mod diff_host;
mod distribution;
mod export;
mod faults;
mod fetch;
mod graph;
mod help;
mod kickstart;
mod log;
mod networks;
mod serve;
mod set_boot;
mod set_host;
mod shared_store;
mod stores;
mod tidy;

pub(crate) use cluster::{Cluster, Outcome};
