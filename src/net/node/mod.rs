//! `rocks fetch`: what the installing machine runs. Gets its profile, writes its Kickstart file, brings its install set
//! into the cache through the swarm, and keeps the door open for its installer until the machine starts anew.

mod checksums;
mod documents;
mod fetching;
mod metadata;
mod patience;
mod plain;
mod reporter;
mod tracker;
mod ways;

use super::NetError;
use super::http::client::Client;
use super::http::server;
use super::log::Log;
use super::proxy::{Door, Said, Word};
use super::rate::Bucket;
use super::report::Phase;
use crate::cluster::Rate;
use crate::trust::{Fingerprint, PublicKey};
use documents::Documents;
use fetching::{Fetching, PeerListener, Start};
use metadata::Holders;
use reporter::Reporter;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use ways::Ways;

/// How long the last word is tried by a machine that is told to end.
const LAST_WORD: Duration = Duration::from_secs(5);
/// How often progress is shown.
const SHOW: Duration = Duration::from_millis(100);
/// File descriptors that a machine asks the system for.
const DESCRIPTORS: u64 = 4096;

/// How a machine fetches.
#[derive(Debug, Clone)]
pub struct Options {
    /// The frontend's URL.
    pub frontend: String,
    /// Where the Kickstart file is written, if anywhere.
    pub kickstart: Option<PathBuf>,
    /// Where packages are kept; a folder of the system for temporary files, or memory, where none is told.
    pub cache: Option<PathBuf>,
    /// Where the installer's door stands; none for no door.
    pub proxy: Option<SocketAddr>,
    /// The address that connections go out from and peers come to.
    pub bind: Option<IpAddr>,
    /// The port that peers come to; 0 for any.
    pub peer_port: u16,
    /// Whether it ends when the set is complete.
    pub exits_when_complete: bool,
    /// How long it serves others before it ends.
    pub linger: Duration,
    /// Whether packages come over HTTP alone.
    pub http_only: bool,
    /// Whether it takes the whole distribution instead of an install set.
    pub everything: bool,
    /// The rate in each direction, if limited.
    pub rate: Option<Rate>,
    /// Where the summary is written, if anywhere.
    pub summary: Option<PathBuf>,
    /// How long it asks for its profile before it gives up.
    pub patience: Duration,
    /// The key that must have signed the distribution; none: the one that the frontend names.
    pub key: Option<PublicKey>,
    /// The token of this installation.
    pub token: Option<String>,
    /// The certificate of the authority that the frontend must show (PEM).
    pub authority: Option<PathBuf>,
    /// The same by its fingerprint.
    pub pin: Option<Fingerprint>,
    /// Whether everything goes in the clear.
    pub plain: bool,
}

/// What a fetch came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Package bytes that came from the frontend.
    pub frontend_bytes: u64,
    /// Package bytes that came from other machines.
    pub peer_bytes: u64,
    /// Package bytes given to other machines.
    pub uploaded_bytes: u64,
    /// From the start of the process to the verified set.
    pub seconds: f64,
}

/// How far a fetch is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// How far the installation is.
    pub phase: Phase,
    /// Bytes of the set that are there.
    pub bytes: u64,
    /// Bytes of the set.
    pub total_bytes: u64,
    /// What moved so far.
    pub moved: Summary,
    /// Connections to peers.
    pub peers: u32,
}

/// Fetches, and stays until told to end (or until the set is complete, where told so). `show` is called a few times
/// a second.
pub fn fetch(options: Options, log: Log, show: impl Fn(Progress) + Send + Sync + 'static) -> Result<Summary, NetError> {
    let begun = Instant::now();
    super::raise_descriptors(DESCRIPTORS);
    // One thread moves bytes: wakening a second one for each block costs more than it brings. Digests have their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .map_err(|error| NetError::Said(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(run(Arc::new(options), begun, log, show));
    runtime.shutdown_timeout(Duration::from_millis(500));
    result
}

async fn run(
    options: Arc<Options>,
    begun: Instant,
    log: Log,
    show: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Summary, NetError> {
    let bucket = || options.rate.map(|rate| Arc::new(Bucket::new(rate.bytes_per_sec())));
    let (upload, download) = (bucket(), bucket());
    let ways = Ways::new(&options, download.clone())?;
    let (stop, stopped) = watch::channel(false);
    let (words, mut said) = mpsc::channel(4);
    let door = open_door(&options, &ways.own, words, &stopped, &log)?;

    let ended = super::ended();
    tokio::pin!(ended);
    // Before the metainfo is asked for: the frontend may name this machine as one that gives it to others.
    let peers = (!options.http_only).then(|| PeerListener::bind(&options));
    let peer_port = peers.as_ref().and_then(|peers| peers.as_ref().ok()).map(|peers| peers.port);
    let holders = Holders { bind: options.bind, download: download.clone(), log: &log };
    let documents = tokio::select! {
        documents = Documents::get(&ways, &options, peer_port, &holders) => documents?,
        () = &mut ended => return Err(NetError::Said("told to end before the profile was there".to_owned())),
    };
    ways.tell(&log);
    let reporter = Reporter::start(Arc::clone(&ways.own), Box::new(show), SHOW);
    let text = documents.kickstart.clone();
    let start = Start { options: &options, ways: &ways, upload, download, door: door.as_ref(), peers, log: &log };
    let fetching = Fetching::start(start, documents).await?;
    reporter.follow(fetching.gauge());
    reporter.phase(Phase::Fetching);
    // Only now: whoever reads it begins to ask at the door.
    if let (Some(path), Some(text)) = (&options.kickstart, text) {
        write_whole(path, text.as_bytes())?;
    }
    let mut word = None;
    let complete = tokio::select! {
        complete = fetching.complete(&options, begun) => complete.map(Some),
        () = &mut ended => Err(NetError::Said("told to end before the set was complete".to_owned())),
        // An installer may end before all of the set is there: a disk was full, or it needed less.
        Some(said) = said.recv() => {
            word = Some(said);
            Ok(None)
        }
    };
    let complete = match complete {
        Ok(complete) => complete,
        Err(error) => {
            fetching.leave().await;
            let _ = timeout(LAST_WORD, reporter.last(Phase::Failed, Some(error.to_string()))).await;
            return Err(error);
        }
    };
    let seconds = complete.map_or_else(|| begun.elapsed().as_secs_f64(), |summary| summary.seconds);
    if let Some(summary) = complete {
        reporter.phase(Phase::Serving);
        if let Some(path) = &options.summary {
            let text = serde_json::to_vec(&summary).map_err(|error| NetError::Said(error.to_string()))?;
            write_whole(path, &text)?;
        }
        log.info("set-complete", &[("seconds", &format!("{seconds:.1}"))]);
        word = tokio::select! {
            () = &mut ended => None,
            () = tokio::time::sleep(options.linger), if options.exits_when_complete => None,
            Some(said) = said.recv() => Some(said),
        };
    }
    let waits_for_installer = options.proxy.is_some() && !options.exits_when_complete;
    match word {
        Some(word) => say_word(&reporter, word, &mut said, ended.as_mut(), &log).await,
        None if waits_for_installer => {
            // Nobody but the installer knows that the machine is installed.
            let why = "told to end before the installer said that it had finished";
            log.warning("installer-unfinished", &[("reason", &why)]);
            let _ = timeout(LAST_WORD, reporter.last(Phase::Failed, Some(why.to_owned()))).await;
        }
        None => {
            let _ = timeout(LAST_WORD, reporter.last(Phase::Installed, None)).await;
        }
    }
    fetching.leave().await;
    stop.send_replace(true);
    Ok(fetching.summary(seconds))
}

/// Says the installer's last word to the frontend. The machine serves until it starts anew: that word is not yet its
/// end.
async fn say_word(
    reporter: &Reporter,
    Said { word, heard }: Said,
    said: &mut mpsc::Receiver<Said>,
    mut ended: Pin<&mut impl Future<Output = ()>>,
    log: &Log,
) {
    let last = match word {
        Word::Installed => reporter.last(Phase::Installed, None),
        Word::Failed(why) => {
            log.warning("installer-failed", &[("reason", &why)]);
            reporter.last(Phase::Failed, Some(why))
        }
    };
    tokio::pin!(last);
    tokio::select! {
        () = &mut last => {
            let _ = heard.send(());
        }
        () = &mut ended => {
            let _ = timeout(LAST_WORD, last).await;
            return;
        }
    }
    // What is said again was heard before.
    let again = async {
        while let Some(Said { heard, .. }) = said.recv().await {
            let _ = heard.send(());
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = again => {}
        () = ended => {}
    }
}

/// Opens the installer's door.
fn open_door(
    options: &Options,
    client: &Arc<Client>,
    words: mpsc::Sender<Said>,
    stopped: &watch::Receiver<bool>,
    log: &Log,
) -> Result<Option<Arc<Door>>, NetError> {
    let Some(at) = options.proxy else { return Ok(None) };
    let listener = server::listen(at)?;
    let at = listener.local_addr().map_err(|source| NetError::Listen { address: at, source })?;
    let door = Arc::new(Door::new(Arc::clone(client), at, options.bind, words, log.clone()));
    let served =
        server::Options { upload: None, has_threads: false, tls: None, log: log.clone(), stop: stopped.clone() };
    tokio::spawn(server::serve(listener, Arc::clone(&door), served));
    Ok(Some(door))
}

/// Writes a file so that whoever sees it sees all of it.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), NetError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(name);
    let written = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        NetError::file(path, error)
    })
}
