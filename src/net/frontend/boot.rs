//! What a machine starts with: the iPXE script of its MAC address, and the Kickstart that is the same for all.

use super::installs::InstallKey;
use super::who::{Refusal, Security, Shown};
use super::{Shared, who};
use crate::cluster::{Boot, Distribution, Host, MacAddress};
use crate::kickstart::{Bootstrap, Renderer};
use crate::net::NetError;
use crate::net::http::{Request, Response};
use crate::net::proxy::DEFAULT_DOOR;
use crate::store::{BootChange, StoreError};
use minijinja::{Environment, UndefinedBehavior, context};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

/// The template of a boot script.
const BOOT_TEMPLATE: (&str, &str) = ("boot.ipxe.j2", include_str!("../../../templates/boot.ipxe.j2"));
/// The longest template that a site may have.
const TEMPLATE_BYTES_MAX: u64 = 1 << 20;

/// Our own URL, as the machine that asks sees it.
pub(super) fn url(request: &Request) -> String {
    let scheme = if request.is_secure { "https" } else { "http" };
    format!("{scheme}://{}", our_end(request))
}

/// Where packages are, as the machine that asks sees it: in the clear, since every byte of them is verified.
pub(super) fn package_url(request: &Request) -> String {
    format!("http://{}", our_end(request))
}

fn our_end(request: &Request) -> SocketAddr {
    SocketAddr::new(request.local.ip().to_canonical(), request.local.port())
}

/// The boot script of a MAC address.
pub(super) fn script(shared: &Shared, request: &Request, mac: &str) -> Response {
    let Ok(mac) = MacAddress::parse(mac) else {
        return Response::text(400, "a boot script is asked for by MAC address: /install/boot/52:54:00:12:34:56");
    };
    let shown = Shown::by(request).naming(mac);
    match look(shared, &shown, mac) {
        Ok(None) => who::refuse(shared, &shown, &Refusal::Unknown),
        Ok(Some(told)) => match render(shared, &url(request), mac, &told) {
            Ok(text) => Response::new(200, "text/plain; charset=utf-8", text),
            Err(error) => failed(shared, &error),
        },
        Err(error) => failed(shared, &error.into()),
    }
}

/// What a boot script is made of.
struct Told {
    host: Host,
    installs: bool,
    distribution: Option<Distribution>,
    token: Option<String>,
}

fn look(shared: &Shared, shown: &Shown, mac: MacAddress) -> Result<Option<Told>, StoreError> {
    let found = shared.store.read(|reader| {
        let Some(host) = reader.host_by_mac(mac)? else { return Ok(None) };
        let boot = reader.boot(&host.name)?;
        let is_its_own = reader.host_by_ip(shown.address)?.is_some_and(|there| there.name == host.name);
        let distribution = reader.distribution_of(&reader.appliance(&host.appliance)?)?;
        Ok(Some((host, boot, is_its_own, distribution, reader.facts_generation()?)))
    })?;
    let Some((host, boot, is_its_own, distribution, generation)) = found else { return Ok(None) };
    shared.board.follow(&shared.store, generation)?;
    let mut boot = shared.board.overlay(&host.name, boot);
    // Only the machine's own address says that it starts anew, or comes for the first time: nobody else changes anything
    // by asking.
    if is_its_own {
        boot = begin(shared, &host, boot);
    }
    let installs = who::may_install(&boot) && !shared.board.is_over(&host.name, &InstallKey::of(&host.name, &boot));
    // Only the machine's own address is given its token: a MAC address says who somebody claims to be.
    let token = (installs && is_its_own).then(|| who::token(shared, &host.name, &boot));
    Ok(Some(Told { host, installs, distribution, token }))
}

/// A machine starts: what that means for its record, of which the store is told in its turn.
fn begin(shared: &Shared, host: &Host, boot: Boot) -> Boot {
    if boot.was_never_told() {
        shared.board.begins(&host.name, &boot);
        return BootChange::First.apply(boot);
    }
    let Some(change) = BootChange::again(&boot) else { return boot };
    let again = change.apply(boot.clone());
    shared.board.begins_again(&host.name, &boot);
    if again.action != boot.action {
        let reason = again.note.clone().unwrap_or_default();
        shared.log.warning("install-given-up", &[("host", &host.name), ("reason", &reason)]);
        shared.board.has_failed(&host.name, &again);
    }
    again
}

fn render(shared: &Shared, frontend: &str, mac: MacAddress, told: &Told) -> Result<String, NetError> {
    let text = overridden(&shared.cluster, BOOT_TEMPLATE.0)?.unwrap_or_else(|| BOOT_TEMPLATE.1.to_owned());
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let template = environment.template_from_named_str(BOOT_TEMPLATE.0, &text);
    let values = context! {
        frontend,
        mac => mac.to_string(),
        host => told.host.name.as_str(),
        install => told.installs && told.distribution.is_some(),
        wanted => told.installs,
        distribution => told.distribution.as_ref().map(|distribution| distribution.name.to_string()),
        token => told.token.clone(),
        pin => (shared.security != Security::Open).then(|| shared.authority.to_string()),
        key => shared.keys.signing.public().to_string(),
    };
    template.and_then(|template| template.render(values)).map_err(|error| NetError::Said(format!("{error:#}")))
}

/// The first Kickstart of every machine.
pub(super) fn kickstart(shared: &Shared, request: &Request) -> Response {
    let rendered = overrides(&shared.cluster).and_then(|overrides| {
        let renderer = Renderer::new(&overrides).map_err(|error| NetError::Said(error.to_string()))?;
        let mut arguments = vec!["--key".to_owned(), shared.keys.signing.public().to_string()];
        if shared.security != Security::Open {
            arguments.extend(["--pin".to_owned(), shared.authority.to_string()]);
        }
        let token = request.head.target.query_value("token");
        // It goes into a shell script: only what a token is made of.
        let is_plain = |token: &String| token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        if let Some(token) = token.filter(is_plain) {
            arguments.extend(["--token".to_owned(), token]);
        }
        let bootstrap = Bootstrap { frontend: url(request), proxy: DEFAULT_DOOR.to_owned(), arguments };
        renderer.bootstrap(&bootstrap).map_err(|error| NetError::Said(error.to_string()))
    });
    match rendered {
        Ok(text) => Response::new(200, "text/plain; charset=utf-8", text),
        Err(error) => failed(shared, &error),
    }
}

/// The site's own template of this name.
fn overridden(cluster: &Path, name: &str) -> Result<Option<String>, NetError> {
    let path = cluster.join("templates").join(name);
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(NetError::file(&path, error)),
        Ok(metadata) if metadata.len() > TEMPLATE_BYTES_MAX => {
            return Err(NetError::Said(format!("{}: longer than {TEMPLATE_BYTES_MAX} bytes", path.display())));
        }
        Ok(_) => {}
    }
    std::fs::read_to_string(&path).map(Some).map_err(|error| NetError::file(&path, error))
}

/// The site's own templates: file name to text.
pub(super) fn overrides(cluster: &Path) -> Result<BTreeMap<String, String>, NetError> {
    let folder = cluster.join("templates");
    let mut overrides = BTreeMap::new();
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(overrides),
        entries => entries.map_err(|error| NetError::file(&folder, error))?,
    };
    for entry in entries {
        let name = entry.map_err(|error| NetError::file(&folder, error))?.file_name();
        let Some(name) = name.to_str().filter(|name| name.ends_with(".j2")) else { continue };
        if let Some(text) = overridden(cluster, name)? {
            overrides.insert(name.to_owned(), text);
        }
    }
    Ok(overrides)
}

/// Says that it is our fault, and why.
pub(super) fn failed(shared: &Shared, error: &NetError) -> Response {
    shared.log.warning("request-failed", &[("reason", error)]);
    Response::text(500, error)
}

impl From<StoreError> for NetError {
    fn from(error: StoreError) -> Self {
        Self::Said(error.to_string())
    }
}
