//! The downloader and the seed: a sans-io state machine.
