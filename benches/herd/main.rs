//! The frontend under the herd: `cargo bench --bench herd [-- profiles|packages|crowd|swarm|events|siege]`.
//!
//! Starts the real `rocks serve` over a throw-away cluster on loopback and loads it: thousands of machines that ask for
//! their profiles within a second (in the clear and over TLS), package files against nginx serving the same tree in the same run (where nginx is
//! installed), a crowd of idle and slow connections beside fast ones, a thousand peers at the seed, the reports of ten thousand machines, and
//! strangers that do what they can to be in the way. Prints ratios; decides nothing.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod client;
mod events;
mod packages;
mod profiles;
mod servers;
mod siege;
mod swarm;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime needs only threads");
    if runtime.block_on(siege::attacks()) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let cluster = servers::Cluster::make(folder.path(), events::MACHINES);
    if runs("profiles") {
        runtime.block_on(profiles::run(&cluster));
    }
    if runs("packages") {
        runtime.block_on(packages::run(&cluster));
    }
    if runs("crowd") {
        runtime.block_on(packages::crowd(&cluster));
    }
    if runs("swarm") {
        runtime.block_on(swarm::run(&cluster));
    }
    if runs("events") {
        runtime.block_on(events::run(&cluster));
    }
    if runs("siege") {
        runtime.block_on(siege::run(&cluster));
    }
}
