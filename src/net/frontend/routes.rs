//! Which request is answered by what.

use super::installs::{InstallKey, Reported};
use super::who::{Refusal, Security, Shown};
use super::{Shared, boot, compiler, files, metainfos, metrics, stand_in, status, viewers, who};
use crate::cluster::{DistributionName, InstallState};
use crate::net::NetError;
use crate::net::http::{FileSlice, Request, Response, Service};
use crate::net::links::WEB_SEED_HEADER;
use crate::net::report::{Phase, Report, ReportAnswer};
use crate::net::tree::Tree;
use crate::net::turns::Turns;
use crate::store::BootChange;
use crate::swarm::WEB_SEED_RETRY;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Where the trees of distributions stand.
pub(super) const TREES: &str = "/install/distributions/";
/// How long the folder of a distribution is served without a look into the store.
const FRESH: Duration = Duration::from_secs(1);
/// Requests that read the store or compile at one time. More threads than this would make nobody faster.
const WORKING_MAX: usize = 64;
/// The same, of one address: whoever asks for a thousand things at once leaves the processors to others all the same.
const ADDRESS_WORKING_MAX: usize = 4;

/// Answers every request of a frontend.
pub(super) struct Routes {
    shared: Arc<Shared>,
    /// Folders of distributions, by name; none for a name that is none.
    trees: Mutex<HashMap<String, Looked>>,
    turns: Arc<Turns>,
}

/// When the store was looked at, and the folder it named.
type Looked = (Instant, Option<Arc<Tree>>);

impl Routes {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, trees: Mutex::default(), turns: Turns::new(WORKING_MAX, ADDRESS_WORKING_MAX) }
    }

    /// A package, or any other file of a distribution: the path that everything is about, so it comes first.
    async fn tree_file(&self, request: &Request) -> Response {
        let decoded = request.head.target.file_path();
        let path = decoded.as_deref().and_then(|path| path.strip_prefix(TREES)?.split_once('/'));
        let Some((name, path)) = path else { return Response::text(404, "no such file") };
        let sent = &self.shared.counters.package_bytes;
        let mut answer = match self.tree(name, request.peer.ip()).await {
            Some(tree) => files::answer(request, &tree, path, sent).await,
            None => Response::text(404, "no such distribution"),
        };
        // A machine in the middle of its installation goes on with the snapshot that it began with.
        if answer.status == 404 {
            for former in self.shared.seeds.former_trees(name) {
                let there = files::answer(request, &former, path, sent).await;
                if there.status != 404 {
                    answer = there;
                    break;
                }
            }
        }
        // Of machines alone: what strangers say of themselves takes nothing from the machines' share.
        let is_web_seed = request.head.headers.get(WEB_SEED_HEADER).is_some()
            && matches!(answer.status, 200 | 206)
            && self.shared.board.host_at(request.peer.ip().to_canonical()).is_some();
        if is_web_seed && !self.shared.seeds.admits_web_seed(answer.length_bytes().unwrap_or(0)) {
            return Response::text(503, "the seed is at work: its peers have what it sends")
                .with("Retry-After", WEB_SEED_RETRY.as_secs().to_string());
        }
        answer
    }

    async fn tree(&self, name: &str, asker: IpAddr) -> Option<Arc<Tree>> {
        let fresh = {
            let mut trees = self.trees.lock().expect("nobody panics while holding the folders");
            trees.get_mut(name).and_then(|(seen, tree)| {
                let is_fresh = seen.elapsed() < FRESH;
                // One looks again; whoever comes meanwhile goes on with what is there.
                *seen = if is_fresh { *seen } else { Instant::now() };
                is_fresh.then(|| tree.clone())
            })
        };
        if let Some(tree) = fresh {
            return tree;
        }
        let (shared, distribution) = (Arc::clone(&self.shared), DistributionName::parse(name).ok()?);
        // Of a name that is none the store is asked each time.
        let turn = self.turns.take(asker).await;
        let look = move || (shared.store.read(|reader| reader.distribution(&distribution)), turn).0;
        let found = tokio::task::spawn_blocking(look).await.ok()?;
        let tree = found.ok().map(|distribution| self.shared.tree(&distribution.path));
        let mut trees = self.trees.lock().expect("nobody panics while holding the folders");
        // Names that are none are not kept: anybody can make up any number of them.
        if tree.is_some() {
            trees.insert(name.to_owned(), (Instant::now(), tree.clone()));
        } else {
            trees.remove(name);
        }
        tree
    }

    /// What reads the store or compiles: on a blocking thread.
    async fn blocking(&self, request: Request, answer: fn(&Shared, &Request) -> Response) -> Response {
        let turn = self.turns.take(request.peer.ip().to_canonical()).await;
        let shared = Arc::clone(&self.shared);
        // The place goes with the work, which goes on where its client has gone.
        let work = move || (answer(&shared, &request).packed_for(&request.head.headers), turn).0;
        let answered = tokio::task::spawn_blocking(work).await;
        answered.unwrap_or_else(|_| Response::text(500, "this request failed; the frontend's log says why"))
    }

    async fn report(&self, request: Request) -> Response {
        let shared = &self.shared;
        let Ok(report) = serde_json::from_slice::<Report>(&request.body) else {
            return Response::text(400, "the body is not a progress report");
        };
        shared.counters.events.fetch_add(1, Ordering::Relaxed);
        let shown = Shown::by(&request);
        if let Some((host, install)) = shared.board.host_at(shown.address)
            && let Ok(token) = shown.prove(shared.security, &shared.keys.token, &install)
        {
            let reported = shared.board.report(&host, &install, report.clone());
            if reported != Reported::Unknown {
                // After its goodbye a token opens nothing, and lives no longer.
                let token = token.filter(|_| !shared.board.is_over(&host, &install));
                return self.acknowledged(reported, token).await;
            }
        }
        // Not on the board as what it shows: this frontend is younger than the installation, or the machine is not
        // one of ours.
        let (shared, turn) = (Arc::clone(shared), self.turns.take(shown.address).await);
        match tokio::task::spawn_blocking(move || (late_report(&shared, &shown, report), turn).0).await {
            Ok(Ok((reported, token))) => self.acknowledged(reported, token).await,
            Ok(Err(refused)) => refused,
            Err(_) => Response::text(500, "the report was not taken"),
        }
    }

    /// A report that was taken in, with a fresh token where the one that was shown grows old. The last word of a
    /// machine is acknowledged when it is in the store: then it is safe to start anew.
    async fn acknowledged(&self, reported: Reported, token: Option<String>) -> Response {
        if let Reported::Waits(number) = reported
            && !self.shared.board.is_written(number).await
        {
            return Response::text(503, "not in the store yet: say it again").with("Retry-After", "1");
        }
        answered(ReportAnswer { token, next_millis: Some(self.shared.board.pace().as_millis() as u64) })
    }
}

/// A report of a machine that is not on the board yet.
fn late_report(shared: &Shared, shown: &Shown, report: Report) -> Result<(Reported, Option<String>), Response> {
    let asker = Asker::known(shared, shown)?;
    let boot = &asker.facts.boot;
    // A goodbye that is in the store already: its acknowledgement was lost with an earlier frontend.
    if boot.state == Some(InstallState::Installed) && report.phase == Phase::Installed {
        asker.prove(shared, shown)?;
        return Ok((Reported::Taken, None));
    }
    let asker = asker.if_it_installs(shared, shown)?.prove(shared, shown)?;
    let (host, install) = (&asker.facts.host, asker.install());
    asker.begin(shared);
    let address = shown.is_at_home(host).then_some(shown.address);
    shared.board.started(&host.name, address, install.clone());
    let reported = shared.board.report(&host.name, &install, report);
    Ok((reported, asker.token.clone().filter(|_| !shared.board.is_over(&host.name, &install))))
}

/// A machine that has shown who it is, and is to install.
struct Asker {
    facts: compiler::HostFacts,
    /// It was never told anything, and has come for the first time.
    is_first: bool,
    /// In place of the token that it showed.
    token: Option<String>,
}

impl Asker {
    /// A machine that may have what is for it alone, or a refusal.
    fn find(shared: &Shared, shown: &Shown) -> Result<Self, Response> {
        Self::known(shared, shown)?.if_it_installs(shared, shown)?.prove(shared, shown)
    }

    /// The host at its address.
    fn known(shared: &Shared, shown: &Shown) -> Result<Self, Response> {
        let facts = shared.store.read(|reader| match shown.host(reader, shared.security)? {
            Some(host) => compiler::HostFacts::read(reader, host).map(Some),
            None => Ok(None),
        });
        match facts {
            Ok(Some(mut facts)) => {
                if let Err(error) = shared.board.follow(&shared.store, facts.generation) {
                    return Err(boot::failed(shared, &error.into()));
                }
                facts.boot = shared.board.overlay(&facts.host.name, facts.boot);
                let is_first = facts.boot.was_never_told();
                if is_first {
                    // What it will be once it has begun: that the store is told of it is nothing to wait for.
                    facts.boot = BootChange::First.apply(facts.boot);
                }
                Ok(Self { facts, is_first, token: None })
            }
            Ok(None) => Err(who::refuse(shared, shown, &Refusal::Unknown)),
            Err(error) => Err(boot::failed(shared, &error.into())),
        }
    }

    /// The installation it is here for.
    fn install(&self) -> InstallKey {
        InstallKey::of(&self.facts.host.name, &self.facts.boot)
    }

    /// The same, where it is to install.
    fn if_it_installs(self, shared: &Shared, shown: &Shown) -> Result<Self, Response> {
        let is_over = shared.board.is_over(&self.facts.host.name, &self.install());
        if is_over || !who::may_install(&self.facts.boot) {
            return Err(who::refuse(shared, shown, &Refusal::Idle(&self.facts.host)));
        }
        Ok(self)
    }

    /// The same, where what it shows is proof enough.
    fn prove(self, shared: &Shared, shown: &Shown) -> Result<Self, Response> {
        match shown.prove(shared.security, &shared.keys.token, &self.install()) {
            Ok(token) => Ok(Self { token, ..self }),
            Err(why) => Err(who::refuse(shared, shown, &Refusal::Unproved(&self.facts.host.name, &why))),
        }
    }

    /// Has the store told that it has come.
    fn begin(&self, shared: &Shared) {
        if self.is_first {
            shared.board.begins(&self.facts.host.name, &self.facts.boot);
        }
    }
}

impl Service for Routes {
    async fn call(&self, request: Request) -> Response {
        self.shared.counters.requests.fetch_add(1, Ordering::Relaxed);
        let path = request.head.target.path.as_str();
        if path == "/install/events" && request.head.method == "POST" {
            return self.report(request).await;
        }
        if path == "/install/token" && request.head.method == "POST" {
            return self.blocking(request, token).await;
        }
        if !request.is_read() {
            return Response::text(405, "only GET and HEAD are answered here").with("Allow", "GET, HEAD");
        }
        if path.starts_with(TREES) {
            return self.tree_file(&request).await;
        }
        match path {
            "/install/profile" => self.blocking(request, profile).await,
            "/install/manifest" => self.blocking(request, manifest).await,
            "/install/kickstart" => self.blocking(request, boot::kickstart).await,
            "/install/announce" => stand_in::answer(&self.shared, &self.turns, &request).await,
            "/install/rocks" => self.blocking(request, program).await,
            "/" => self.blocking(request, status::page).await,
            "/status.json" => self.blocking(request, status::json).await,
            "/status/events" => viewers::follow(&self.shared, &request),
            "/metrics" => Response::new(200, metrics::TYPE, metrics::text(&self.shared)),
            _ if path.starts_with("/install/metainfo/") => self.blocking(request, metainfos::answer).await,
            _ if path.starts_with("/install/boot/") => self.blocking(request, boot_script).await,
            _ => Response::text(404, "nothing is served here"),
        }
    }
}

fn answered(answer: ReportAnswer) -> Response {
    let body = serde_json::to_vec(&answer).unwrap_or_default();
    Response::new(200, "application/json", body)
}

fn profile(shared: &Shared, request: &Request) -> Response {
    compiled(shared, request, |_, profile| {
        shared.counters.profiles.fetch_add(1, Ordering::Relaxed);
        Ok(Response::new(200, "text/xml; charset=utf-8", profile.xml.clone()))
    })
}

fn manifest(shared: &Shared, request: &Request) -> Response {
    compiled(shared, request, |facts, profile| {
        let mut manifest = shared.compiler.manifest(&shared.store, facts, profile)?;
        if request.is_secure && Shown::by(request).is_at_home(&facts.host) {
            manifest.token = Some(who::token(shared, &facts.host.name, &facts.boot));
        }
        manifest.key = Some(shared.keys.signing.public().to_string());
        let body = serde_json::to_vec(&manifest).map_err(|error| NetError::Said(error.to_string()))?;
        Ok(Response::new(200, "application/json", body))
    })
}

/// The token of the installation of the host at this address, for a machine that did not start by a boot script, or whose
/// token has expired while the frontend could not renew it.
fn token(shared: &Shared, request: &Request) -> Response {
    let shown = Shown::by(request);
    let asker = match Asker::known(shared, &shown).and_then(|asker| asker.if_it_installs(shared, &shown)) {
        Ok(asker) => asker,
        Err(response) => return response,
    };
    let host = asker.facts.host.name.clone();
    if !shown.may_be_told_token(shared.security, &asker.facts.host) {
        let why = "its token is told by its boot script, or over TLS to its own address";
        return who::refuse(shared, &shown, &Refusal::Unproved(&host, why));
    }
    if let Err(why) = shown.may_have_anew(&shared.keys.token, &asker.install()) {
        return who::refuse(shared, &shown, &Refusal::Unproved(&host, &why));
    }
    asker.begin(shared);
    let token = Some(who::token(shared, &host, &asker.facts.boot));
    answered(ReportAnswer { token, next_millis: None })
}

/// What only the machine it is for may have.
fn compiled(
    shared: &Shared,
    request: &Request,
    answer: impl FnOnce(&compiler::HostFacts, &compiler::HostProfile) -> Result<Response, NetError>,
) -> Response {
    let shown = Shown::by(request);
    let facts = match Asker::find(shared, &shown) {
        Ok(asker) => {
            asker.begin(shared);
            asker.facts
        }
        Err(response) => return response,
    };
    let result = shared.compiler.profile(&facts).and_then(|profile| answer(&facts, &profile));
    match result {
        Ok(response) => {
            // Of whom a card told who it is, the address tells nothing, unless nothing is to be proved.
            let is_its_own = shown.is_at_home(&facts.host) || shared.security == Security::Open;
            let address = is_its_own.then_some(shown.address);
            shared.board.started(&facts.host.name, address, InstallKey::of(&facts.host.name, &facts.boot));
            response.with("Cache-Control", "no-store")
        }
        Err(error) => {
            let host = &facts.host.name;
            shared.log.warning("profile-failed", &[("host", host), ("reason", &error)]);
            Response::text(500, format!("{host}: {error}"))
        }
    }
}

fn boot_script(shared: &Shared, request: &Request) -> Response {
    let mac = request.head.target.decoded_path();
    let mac = mac.as_deref().and_then(|path| path.strip_prefix("/install/boot/")).unwrap_or_default();
    boot::script(shared, request, mac)
}

/// This very program, for machines whose ramdisk has none: `bin/rocks` of the cluster's folder, or what runs now.
fn program(shared: &Shared, _request: &Request) -> Response {
    let own = shared.cluster.join("bin/rocks");
    let path = if own.is_file() { Ok(own) } else { std::env::current_exe() };
    let opened = path.and_then(std::fs::File::open).and_then(|file| {
        let length_bytes = file.metadata()?.len();
        Ok(FileSlice { file: Arc::new(file), offset: 0, length_bytes })
    });
    match opened {
        Ok(slice) => Response::file(200, "application/octet-stream", slice),
        Err(error) => boot::failed(shared, &NetError::Said(format!("no program to send: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fixture::Fixture;
    use crate::net::http::RequestHead;
    use std::task::Poll;

    fn get(path: &str, from: [u8; 4]) -> Request {
        let text = format!("GET {path} HTTP/1.1\r\n\r\n");
        let (head, _) = RequestHead::decode(text.as_bytes()).expect("good").expect("whole");
        let local = "127.0.0.1:80".parse().expect("an address");
        Request { head, body: bytes::Bytes::new(), peer: (from, 40_000).into(), local, is_secure: false }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whatever_reads_the_store_has_a_turn_by_address() {
        let fixture = Fixture::new();
        let running = fixture.serve().await;
        let routes = Routes::new(Arc::clone(&running.shared));
        let (greedy, other) = ([127, 1, 0, 9], [127, 1, 0, 1]);
        let mut held = Vec::new();
        for _ in 0..ADDRESS_WORKING_MAX {
            held.push(routes.turns.take(greedy.into()).await);
        }
        for path in [
            "/install/profile",
            "/install/manifest",
            "/install/kickstart",
            "/install/boot/52:54:00:00:00:01",
            "/install/metainfo/el9.torrent",
            "/install/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=7",
            "/install/distributions/none/x",
            "/status.json",
            "/",
        ] {
            routes.call(get(path, other)).await;
            let mut waits = Box::pin(routes.call(get(path, greedy)));
            let is_ready = std::future::poll_fn(|context| Poll::Ready(waits.as_mut().poll(context).is_ready())).await;
            assert!(!is_ready && routes.turns.waiting(greedy.into()) == 1, "{path} waits for a turn");
        }
        drop(held);
        routes.call(get("/install/distributions/none/x", greedy)).await;
        running.stop().await;
    }
}
