//! End-to-end tests of the commands, one module a command or a story.

mod add_host;
mod attributes;
mod check;
mod cluster;
mod demo;
mod diff_host;
mod distribution;
mod export;
mod graph;
