//! Who asks: a host is known by its address, else by the MAC addresses that its installer names.

use super::Shared;
use crate::cluster::{Boot, BootAction, Host, HostName, InstallState, MacAddress};
use crate::net::http::{Request, Response};
use crate::store::{Reader, StoreError};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The header by which the installer names its cards (`inst.ks.sendmac`): a number follows.
const MAC_HEADER: &str = "x-rhn-provisioning-mac-";
/// Cards that are looked at in one request.
const MACS_MAX: usize = 16;
/// Addresses remembered as told about; the same one is told again after [`TELL_AGAIN`].
const REFUSED_MAX: usize = 4096;
/// See [`REFUSED_MAX`].
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// The address that a request comes from, IPv4 where it is one in IPv6's clothes.
pub(super) fn address(request: &Request) -> IpAddr {
    request.peer.ip().to_canonical()
}

/// The MAC addresses that an installer names, in its order.
pub(super) fn macs(request: &Request) -> Vec<MacAddress> {
    let headers = request.head.headers.iter();
    let named = headers
        .filter(|(name, _)| name.get(..MAC_HEADER.len()).is_some_and(|start| start.eq_ignore_ascii_case(MAC_HEADER)));
    named
        .filter_map(|(_, value)| MacAddress::parse(value.split_ascii_whitespace().last()?).ok())
        .take(MACS_MAX)
        .collect()
}

/// The host that asks.
pub(super) fn host(reader: &Reader, address: IpAddr, macs: &[MacAddress]) -> Result<Option<Host>, StoreError> {
    if let Some(host) = reader.host_by_ip(address)? {
        return Ok(Some(host));
    }
    for mac in macs {
        if let Some(host) = reader.host_by_mac(*mac)? {
            return Ok(Some(host));
        }
    }
    Ok(None)
}

/// Whether a host may have its profile: it is to install, or is installing, or was never told anything.
pub(super) fn may_install(boot: &Boot) -> bool {
    boot.install_id == 0 || boot.action == BootAction::Install || boot.state == Some(InstallState::Installing)
}

/// Refuses a request and says in the log what to type, once in a while for each address.
pub(super) fn refuse(shared: &Shared, address: IpAddr, macs: &[MacAddress], known: Option<&Host>) -> Response {
    shared.counters.refused.fetch_add(1, Ordering::Relaxed);
    let (reason, hint) = match known {
        Some(host) => (
            format!("{} is not to install: it starts the system on its disk", host.name),
            format!("rocks set-boot {} install", host.name),
        ),
        None => {
            let mac = macs.first().map_or_else(|| "MAC".to_owned(), ToString::to_string);
            let hint = format!("rocks add-host NAME --appliance compute --mac {mac} --ip {address}");
            (format!("no host has the address {address}"), hint)
        }
    };
    let mut refused = shared.refused.lock().expect("nobody panics while holding the addresses");
    if refused.len() >= REFUSED_MAX {
        refused.retain(|_, at| at.elapsed() < TELL_AGAIN);
    }
    let is_news = refused.get(&address).is_none_or(|at: &Instant| at.elapsed() >= TELL_AGAIN);
    if is_news && refused.len() < REFUSED_MAX {
        refused.insert(address, Instant::now());
        drop(refused);
        let event = if known.is_some() { "host-not-installing" } else { "host-unknown" };
        shared.log.warning(event, &[("address", &address), ("hint", &hint)]);
    }
    Response::text(403, format!("{reason}; an administrator types: {hint}"))
}

/// A token for the installation of a host that goes on now.
pub(super) fn token(shared: &Shared, host: &HostName, install_id: u64) -> String {
    shared.keys.token.issue(crate::net::since_1970(), host.as_str(), install_id)
}

/// The token that a request shows: in its header, or, where a machine starts and knows no headers, in the query.
fn shown_token(request: &Request) -> Option<String> {
    let bearer = request.head.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
    bearer.map(|token| token.trim().to_owned()).or_else(|| request.head.target.query_value("token"))
}

/// Whether a request shows the token of this installation, where one must be shown; gives a new one where it grows
/// old.
pub(super) fn check_token(
    shared: &Shared,
    request: &Request,
    host: &HostName,
    install_id: u64,
) -> Result<Option<String>, String> {
    let now = crate::net::since_1970();
    match shown_token(request) {
        None if shared.requires_token => Err("the request shows no install token".to_owned()),
        None => Ok(None),
        Some(text) => match shared.keys.token.verify(now, host.as_str(), install_id, &text) {
            Ok(shown) if shown.wants_renewal(now) => Ok(Some(token(shared, host, install_id))),
            Ok(_) => Ok(None),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// Refuses a request of a known host without the right token.
pub(super) fn refuse_token(shared: &Shared, address: IpAddr, host: &HostName, why: &str) -> Response {
    shared.counters.refused.fetch_add(1, Ordering::Relaxed);
    shared.log.warning("token-refused", &[("address", &address), ("host", host), ("reason", &why)]);
    Response::text(403, why)
}
