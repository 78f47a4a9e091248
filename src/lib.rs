//! `rocks` installs clusters.
//!
//! This page is the map of the library, one paragraph a room, in the order in which data travels. Arrows point
//! downwards only; the `tidy` test holds the table of who may use whom.
//!
//! An administrator types nouns: [`cluster`] has them (host, appliance, network, attribute, distribution), without
//! I/O. [`store`] keeps them in one redb file that many processes share; no other room knows the database.
//!
//! At installation time [`graph`] (stage 1) compiles graph files, node files and a host's attributes into a
//! [`profile`]: the XML that crosses from the frontend to the machine, and the manifest that travels beside it.
//! On the machine [`kickstart`] (stage 2) renders the profile through Jinja templates into a Kickstart file, and
//! knows what each release of the installer accepts.
//!
//! [`distribution`] reads a tree of packages: its repodata, the closure that makes an appliance's install set, its
//! publication. [`torrent`] is what a file is to BitTorrent: bencode, metainfo, pieces, bit fields. [`wire`] turns
//! bytes into messages and back. [`tracker`] decides which peers to point at; [`swarm`] is the downloader and the
//! seed as one sans-io state machine; [`cache`] keeps verified pieces while the machine installs.
//!
//! [`trust`] has install tokens, signatures and the cluster's certificate authority. [`draw`] makes SVG.
//!
//! [`net`] is the only room with sockets, tasks and a clock: the frontend, the announce service, the installing node,
//! and the proxy its installer downloads through. [`simulate`] is the same machines in a virtual world; [`demo`]
//! makes a throw-away cluster, starts the real processes and measures them.

pub mod cache;
pub mod cluster;
pub mod demo;
pub mod distribution;
pub mod draw;
pub mod graph;
pub mod kickstart;
pub mod net;
pub mod profile;
pub mod simulate;
pub mod store;
pub mod swarm;
pub mod torrent;
pub mod tracker;
pub mod trust;
pub mod wire;
