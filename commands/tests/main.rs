//! End-to-end tests of the commands, one module a command or a story.

mod add_host;
mod attributes;
mod cluster;
mod demo;
mod export;
mod help;
mod log;
mod networks;
mod set_boot;
mod set_host;
mod shared_store;
mod stores;
mod tidy;

pub(crate) use cluster::{Cluster, Outcome};
