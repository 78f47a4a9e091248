//! Which request is answered by what.

use super::installs::Reported;
use super::{Shared, boot, compiler, files, installs, metrics, status, who};
use crate::cluster::{DistributionName, InstallState};
use crate::net::NetError;
use crate::net::http::{FileSlice, Request, Response, Service};
use crate::net::report::{Phase, Report, ReportAnswer};
use crate::net::tree::Tree;
use crate::torrent::Metainfo;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Where the trees of distributions stand.
pub(super) const TREES: &str = "/install/distributions/";
/// How long the folder of a distribution is served without a look into the store.
const FRESH: Duration = Duration::from_secs(1);

/// Answers every request of a frontend.
pub(super) struct Routes {
    shared: Arc<Shared>,
    /// Folders of distributions, by name; none for a name that is none.
    trees: Mutex<HashMap<String, Looked>>,
}

/// When the store was looked at, and the folder it named.
type Looked = (Instant, Option<Arc<Tree>>);

impl Routes {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, trees: Mutex::default() }
    }

    /// A package, or any other file of a distribution: the path that everything is about, so it comes first.
    async fn tree_file(&self, request: &Request) -> Response {
        let decoded = request.head.target.decoded_path();
        let path = decoded.as_deref().and_then(|path| path.strip_prefix(TREES)?.split_once('/'));
        let Some((name, path)) = path else { return Response::text(404, "no such file") };
        match self.tree(name).await {
            Some(tree) => files::answer(request, &tree, path, &self.shared.counters.package_bytes).await,
            None => Response::text(404, "no such distribution"),
        }
    }

    async fn tree(&self, name: &str) -> Option<Arc<Tree>> {
        let fresh = {
            let trees = self.trees.lock().expect("nobody panics while holding the folders");
            trees.get(name).filter(|(seen, _)| seen.elapsed() < FRESH).map(|(_, tree)| tree.clone())
        };
        if let Some(tree) = fresh {
            return tree;
        }
        let (shared, distribution) = (Arc::clone(&self.shared), DistributionName::parse(name).ok()?);
        let look = move || shared.store.read(|reader| reader.distribution(&distribution));
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
        let shared = Arc::clone(&self.shared);
        let answered = tokio::task::spawn_blocking(move || answer(&shared, &request)).await;
        answered.unwrap_or_else(|_| Response::text(500, "this request failed; the frontend's log says why"))
    }

    async fn report(&self, request: Request) -> Response {
        let shared = &self.shared;
        let Ok(report) = serde_json::from_slice::<Report>(&request.body) else {
            return Response::text(400, "the body is not a progress report");
        };
        shared.counters.events.fetch_add(1, Ordering::Relaxed);
        let address = who::address(&request);
        if let Some((host, install_id)) = shared.board.host_at(address) {
            let token = match who::check_token(shared, &request, &host, install_id) {
                Ok(token) => token,
                Err(why) => return who::refuse_token(shared, address, &host, &why),
            };
            let reported = shared.board.report(&host, report.clone());
            if reported != Reported::Unknown {
                return self.acknowledged(reported, token).await;
            }
        }
        // Not on the board: this frontend is younger than the installation, or the machine is not one of ours.
        let (shared, macs) = (Arc::clone(shared), who::macs(&request));
        let late = move || {
            let found = shared.store.read(|reader| {
                let Some(host) = who::host(reader, address, &macs)? else { return Ok(None) };
                let boot = reader.boot(&host.name)?;
                Ok(Some((host, boot)))
            });
            match found {
                Ok(Some((host, boot))) if boot.install_id > 0 && who::may_install(&boot) => {
                    let token = match who::check_token(&shared, &request, &host.name, boot.install_id) {
                        Ok(token) => token,
                        Err(why) => return Err(who::refuse_token(&shared, address, &host.name, &why)),
                    };
                    shared.board.started(&host.name, address, boot.install_id);
                    Ok((shared.board.report(&host.name, report), token))
                }
                // A goodbye that is in the store already: its acknowledgement was lost with an earlier frontend.
                Ok(Some((host, boot)))
                    if boot.state == Some(InstallState::Installed) && report.phase == Phase::Installed =>
                {
                    match who::check_token(&shared, &request, &host.name, boot.install_id) {
                        Ok(token) => Ok((Reported::Taken, token)),
                        Err(why) => Err(who::refuse_token(&shared, address, &host.name, &why)),
                    }
                }
                Ok(found) => Err(who::refuse(&shared, address, &macs, found.as_ref().map(|(host, _)| host))),
                Err(error) => Err(boot::failed(&shared, &error.into())),
            }
        };
        match tokio::task::spawn_blocking(late).await {
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
        let body = serde_json::to_vec(&ReportAnswer { token }).unwrap_or_default();
        Response::new(200, "application/json", body)
    }
}

impl Service for Routes {
    async fn call(&self, request: Request) -> Response {
        self.shared.counters.requests.fetch_add(1, Ordering::Relaxed);
        let path = request.head.target.path.as_str();
        if path == "/install/events" && request.head.method == "POST" {
            return self.report(request).await;
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
            "/install/rocks" => self.blocking(request, program).await,
            "/" => status::page(&self.shared),
            "/status.json" => status::json(&self.shared),
            "/status/events" => status::events(&self.shared),
            "/metrics" => Response::new(200, metrics::TYPE, metrics::text(&self.shared)),
            _ if path.starts_with("/install/metainfo/") => self.blocking(request, metainfo).await,
            _ if path.starts_with("/install/boot/") => self.blocking(request, boot_script).await,
            _ => Response::text(404, "nothing is served here"),
        }
    }
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
        manifest.token = Some(who::token(shared, &facts.host.name, facts.boot.install_id));
        let body = serde_json::to_vec(&manifest).map_err(|error| NetError::Said(error.to_string()))?;
        Ok(Response::new(200, "application/json", body))
    })
}

/// What only the machine it is for may have.
fn compiled(
    shared: &Shared,
    request: &Request,
    answer: impl FnOnce(&compiler::HostFacts, &compiler::HostProfile) -> Result<Response, NetError>,
) -> Response {
    let (address, macs) = (who::address(request), who::macs(request));
    let facts = shared.store.read(|reader| match who::host(reader, address, &macs)? {
        Some(host) => compiler::HostFacts::read(reader, host).map(Some),
        None => Ok(None),
    });
    let mut facts = match facts {
        Ok(Some(facts)) if who::may_install(&facts.boot) => facts,
        Ok(facts) => return who::refuse(shared, address, &macs, facts.as_ref().map(|facts| &facts.host)),
        Err(error) => return boot::failed(shared, &error.into()),
    };
    if facts.boot.install_id == 0 {
        match installs::begin_first(&shared.store, &facts.host.name) {
            Ok(id) => facts.boot.install_id = id,
            Err(error) => return boot::failed(shared, &error.into()),
        }
    }
    if let Err(why) = who::check_token(shared, request, &facts.host.name, facts.boot.install_id) {
        return who::refuse_token(shared, address, &facts.host.name, &why);
    }
    let result = shared.compiler.profile(&facts).and_then(|profile| answer(&facts, &profile));
    match result {
        Ok(response) => {
            shared.board.started(&facts.host.name, address, facts.boot.install_id);
            response.with("Cache-Control", "no-store")
        }
        Err(error) => {
            let host = &facts.host.name;
            shared.log.warning("profile-failed", &[("host", host), ("reason", &error)]);
            Response::text(500, format!("{host}: {error}"))
        }
    }
}

fn metainfo(shared: &Shared, request: &Request) -> Response {
    let path = request.head.target.decoded_path();
    let name = path.as_deref().and_then(|path| path.strip_prefix("/install/metainfo/")?.strip_suffix(".torrent"));
    let Some(name) = name.and_then(|name| DistributionName::parse(name).ok()) else {
        return Response::text(404, "no such distribution");
    };
    let found = shared.store.read(|reader| {
        let bytes = reader.metainfo(&name)?;
        Ok((bytes, reader.endpoints()?, reader.networks()?))
    });
    match found {
        Ok((Some(bytes), endpoints, networks)) => match Metainfo::parse(&bytes) {
            Ok(mut metainfo) => {
                compiler::place(&mut metainfo, who::address(request), &boot::url(request), &endpoints, &networks);
                Response::new(200, "application/x-bittorrent", metainfo.to_bytes())
            }
            Err(error) => boot::failed(shared, &NetError::Said(error.to_string())),
        },
        Ok((None, ..)) => Response::text(404, "no such distribution"),
        Err(error) => boot::failed(shared, &error.into()),
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
