//! Who asks: a host is known by its address, else by the MAC addresses that its installer names.

use super::Shared;
use crate::cluster::{Boot, BootAction, Host, InstallState, MacAddress};
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
