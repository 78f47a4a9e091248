//! The door: what the installer on the machine downloads through, as a repository's address and as an HTTP proxy.
//!
//! Invariant: it answers only with right bytes, and never with an error while a source is left. A file of the
//! distribution comes from the cache as its verified pieces arrive; a piece that does not arrive is fetched from the
//! frontend, verified too. Everything else passes through, and is tried again before an error passes.
//!
//! The door stands on its own: it needs neither the swarm nor the cache to be alive.

mod ladder;
mod package;
mod upstream;

use super::http::client::{Client, Origin};
use super::http::{Request, Response, Service};
use super::links::{Member, WebSeed};
use super::log::{Log, is_shown};
use crate::cache::Cache;
pub use ladder::OUTAGE;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Where a machine's own door stands, unless told otherwise: the Kickstart files name it.
pub const DEFAULT_DOOR: &str = "127.0.0.1:7180";
/// How long a file that is in no metainfo is asked for again before upstream's own status passes.
pub const UNKNOWN_FILE_RETRY: Duration = Duration::from_secs(20);
/// How long an installer that says a word waits for the frontend to hear it.
const HEARD: Duration = Duration::from_secs(25);
/// Other origins whose connections are kept.
const ORIGINS_MAX: usize = 32;

/// What the door knows of the distribution once its metainfo is there.
pub struct Loaded {
    /// The verified pieces.
    pub cache: Arc<Cache>,
    /// The swarm, where one was joined.
    pub member: Option<Member>,
    /// The frontend's tree.
    pub web_seed: WebSeed,
    /// The SHA-256 of packages, by file, once the repository's metadata was read.
    pub checksums: OnceLock<HashMap<String, [u8; 32]>>,
    /// Files whose SHA-256 was compared, and how it came out.
    checked: Mutex<HashMap<String, bool>>,
}

impl Loaded {
    /// What is known once the metainfo is there.
    pub fn new(cache: Arc<Cache>, member: Option<Member>, web_seed: WebSeed) -> Self {
        Self { cache, member, web_seed, checksums: OnceLock::new(), checked: Mutex::default() }
    }
}

/// What the installer tells the door beside asking for files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// The installation is complete.
    Installed,
    /// The installer failed.
    Failed(String),
}

/// A word, and whom to tell that the frontend has heard it.
#[derive(Debug)]
pub struct Said {
    /// The word.
    pub word: Word,
    /// Told once the frontend has heard it.
    pub heard: oneshot::Sender<()>,
}

/// The door.
pub struct Door {
    frontend: Arc<Client>,
    /// Where the door itself stands: requests to it by that name are for the frontend.
    at: SocketAddr,
    bind: Option<IpAddr>,
    loaded: RwLock<Option<Arc<Loaded>>>,
    others: Mutex<HashMap<Origin, Arc<Client>>>,
    words: mpsc::Sender<Said>,
    /// Bytes of packages that came past the cache.
    passed_bytes: Arc<AtomicU64>,
    log: Log,
}

impl Door {
    /// A door before the metainfo is known: everything passes through.
    pub fn new(
        frontend: Arc<Client>,
        at: SocketAddr,
        bind: Option<IpAddr>,
        words: mpsc::Sender<Said>,
        log: Log,
    ) -> Self {
        Self {
            frontend,
            at,
            bind,
            loaded: RwLock::default(),
            others: Mutex::default(),
            words,
            passed_bytes: Arc::default(),
            log,
        }
    }

    /// From now on files of the distribution come from the cache.
    pub fn load(&self, loaded: Arc<Loaded>) {
        *self.loaded.write().expect("nobody panics while holding what is loaded") = Some(loaded);
    }

    /// Bytes of packages that came past the cache.
    pub fn passed_bytes(&self) -> &Arc<AtomicU64> {
        &self.passed_bytes
    }

    fn loaded(&self) -> Option<Arc<Loaded>> {
        self.loaded.read().expect("nobody panics while holding what is loaded").clone()
    }

    /// The client of the origin that a request names; none where it names nothing that can be asked.
    fn client(&self, authority: Option<&str>) -> Option<Arc<Client>> {
        let Some(authority) = authority else { return Some(Arc::clone(&self.frontend)) };
        let (origin, _) = Origin::parse(&format!("http://{authority}/")).ok()?;
        let us =
            (origin.host.parse() == Ok(self.at.ip()) || origin.host == "localhost") && origin.port == self.at.port();
        // The installer speaks plain HTTP to the door, whatever the door speaks to the frontend.
        let frontend = self.frontend.origin();
        if us || (&origin.host, origin.port) == (&frontend.host, frontend.port) {
            return Some(Arc::clone(&self.frontend));
        }
        let mut others = self.others.lock().expect("nobody panics while holding the clients");
        if others.len() >= ORIGINS_MAX && !others.contains_key(&origin) {
            others.clear();
        }
        // A machine that was given an address for its peers reaches the rest of the world by the usual way.
        let bind = self.bind.filter(IpAddr::is_loopback);
        Some(Arc::clone(others.entry(origin.clone()).or_insert_with(|| Arc::new(Client::new(origin, bind)))))
    }

    async fn word(&self, request: &Request) -> Response {
        if request.head.method != "POST" {
            return Response::text(405, "a word is posted").with("Allow", "POST");
        }
        let text = String::from_utf8_lossy(&request.body);
        let reason = text.strip_prefix("reason=").unwrap_or(&text).chars().filter(|c| is_shown(*c)).take(200).collect();
        let word = match request.head.target.path.as_str() {
            "/rocks/installed" => Word::Installed,
            "/rocks/failed" => Word::Failed(reason),
            _ => return Response::text(404, "the door knows the words /rocks/installed and /rocks/failed"),
        };
        let (heard, answer) = oneshot::channel();
        let is_new = self.words.try_send(Said { word, heard }).is_ok();
        // The installer waits with its reboot until the frontend knows: a goodbye that is lost installs again.
        match timeout(HEARD, answer).await {
            Ok(Ok(())) => Response::text(200, "noted"),
            _ if is_new => Response::text(202, "noted; the frontend has not heard it yet"),
            _ => Response::text(503, "too many words"),
        }
    }
}

impl Service for Door {
    async fn call(&self, request: Request) -> Response {
        let target = &request.head.target;
        if target.authority.is_none() && target.path.starts_with("/rocks/") {
            return self.word(&request).await;
        }
        if request.head.method == "CONNECT" {
            return upstream::tunnel(target.authority.as_deref(), self.bind.filter(IpAddr::is_loopback)).await;
        }
        let Some(client) = self.client(target.authority.as_deref()) else {
            return Response::text(400, "no host to ask");
        };
        let is_frontend = Arc::ptr_eq(&client, &self.frontend);
        if is_frontend
            && request.is_read()
            && let Some(loaded) = self.loaded()
            && let Some(path) = target.file_path()
            && let Some(name) = path.strip_prefix(loaded.web_seed.tree_path.as_str())
            && let Some(file) = loaded.cache.metainfo().layout().file(name).cloned()
        {
            return package::answer(&loaded, file, &request, &self.passed_bytes, &self.log).await;
        }
        let headers = self.loaded().filter(|_| is_frontend).map(|loaded| loaded.web_seed.headers.clone());
        upstream::pass(client, request, headers.unwrap_or_default(), self.log.clone()).await
    }
}

#[cfg(test)]
mod tests;
