//! Who asks, and whether what is shown is proof enough.
//!
//! Invariant: a profile, a manifest, a token or a word about an installation belongs to the host whose registered
//! address the request comes from, and the host must prove it as the frontend's [`Security`] wants; a MAC address says
//! which interface is meant and proves nothing.

use super::installs::InstallKey;
use super::{Shared, local};
use crate::cluster::{Boot, BootAction, Host, HostName, InstallState, MacAddress};
use crate::net::http::{Request, Response};
use crate::store::{Reader, StoreError};
use crate::trust::TokenKey;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The header by which the installer names its cards (`inst.ks.sendmac`): a number follows.
const MAC_HEADER: &str = "x-rhn-provisioning-mac-";
/// Cards that are looked at in one request.
const MACS_MAX: usize = 16;

/// What a machine must show for its profile, and for all that is for it alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Security {
    /// Nothing: its address or a card that it names is enough, in the clear.
    Open,
    /// The token of its installation, over TLS. What never leaves this machine (loopback) is exempt.
    #[default]
    Guarded,
    /// The same, over loopback too, and the token only from its boot script.
    Strict,
}

impl Security {
    /// The word a user types.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Guarded => "guarded",
            Self::Strict => "strict",
        }
    }
}

/// What a request shows of who sends it.
#[derive(Debug)]
pub(super) struct Shown {
    /// Where it comes from, IPv4 where it is that in IPv6's clothes.
    pub(super) address: IpAddr,
    /// The cards it names, in its order.
    pub(super) macs: Vec<MacAddress>,
    ends: (SocketAddr, SocketAddr),
    is_secure: bool,
    token: Option<String>,
}

impl Shown {
    /// What this request shows.
    pub(super) fn by(request: &Request) -> Self {
        let headers = &request.head.headers;
        let is_card = |name: &str| name.get(..MAC_HEADER.len()).is_some_and(|n| n.eq_ignore_ascii_case(MAC_HEADER));
        let named = headers.iter().filter(|(name, _)| is_card(name));
        let macs = named.filter_map(|(_, value)| MacAddress::parse(value.split_ascii_whitespace().last()?).ok());
        Self {
            address: request.peer.ip().to_canonical(),
            macs: macs.take(MACS_MAX).collect(),
            ends: (request.peer, request.local),
            is_secure: request.is_secure,
            token: headers
                .get("authorization")
                .and_then(|value| value.strip_prefix("Bearer "))
                .map(|token| token.trim().to_owned()),
        }
    }

    /// The same, naming this card alone.
    pub(super) fn naming(self, mac: MacAddress) -> Self {
        Self { macs: vec![mac], ..self }
    }

    /// Whether it may show nothing.
    fn is_exempt(&self, security: Security) -> bool {
        match security {
            Security::Open => true,
            Security::Guarded => self.address.is_loopback(),
            Security::Strict => false,
        }
    }

    /// Whether the cards it names are believed: where nothing is to be proved, and by whom of this machine's own users
    /// they are named who may read the database anyway.
    fn is_believed_by_card(&self, security: Security) -> bool {
        match security {
            Security::Open => true,
            Security::Guarded => local::is_own_user(self.ends.0, self.ends.1),
            Security::Strict => false,
        }
    }

    /// The host that asks: the one at its address, or, where that is believed, of a card it names.
    pub(super) fn host(&self, reader: &Reader, security: Security) -> Result<Option<Host>, StoreError> {
        if let Some(host) = reader.host_by_ip(self.address)? {
            return Ok(Some(host));
        }
        if self.macs.is_empty() || !self.is_believed_by_card(security) {
            return Ok(None);
        }
        self.host_by_card(reader)
    }

    /// The host of the first card it names that any has.
    fn host_by_card(&self, reader: &Reader) -> Result<Option<Host>, StoreError> {
        for mac in &self.macs {
            if let Some(host) = reader.host_by_mac(*mac)? {
                return Ok(Some(host));
            }
        }
        Ok(None)
    }

    /// Whether it comes from an address of this host.
    pub(super) fn is_at_home(&self, host: &Host) -> bool {
        host.interfaces.iter().any(|interface| interface.ip == Some(self.address))
    }

    /// Whether what it shows is proof enough for this installation, or why not. Gives a new token where the one that was
    /// shown grows old.
    pub(super) fn prove(
        &self,
        security: Security,
        key: &TokenKey,
        install: &InstallKey,
    ) -> Result<Option<String>, String> {
        let is_exempt = self.is_exempt(security);
        if !is_exempt && !self.is_secure {
            return Err("what is for one machine alone goes over TLS: ask for https".to_owned());
        }
        let Some(text) = &self.token else {
            return if is_exempt { Ok(None) } else { Err("the request shows no install token".to_owned()) };
        };
        let now = crate::net::since_1970();
        match key.verify(now, install.name.as_str(), install.id, text) {
            Ok(shown) => Ok(shown.wants_renewal(now).then(|| key.issue(now, install.name.as_str(), install.id))),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether the token it shows is none, or was once for this installation: who comes with that of another has another
    /// one's word to say.
    pub(super) fn may_have_anew(&self, key: &TokenKey, install: &InstallKey) -> Result<(), String> {
        let Some(text) = &self.token else { return Ok(()) };
        match key.verify(Duration::ZERO, install.name.as_str(), install.id, text) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether it may be given the token of this host: at the host's own address alone, and not in the clear, where
    /// that matters.
    pub(super) fn may_be_told_token(&self, security: Security, host: &Host) -> bool {
        security != Security::Strict && (self.is_secure || self.is_exempt(security)) && self.is_at_home(host)
    }
}

/// Whether a host may have its profile: it is to install, or is installing, or was never told anything.
pub(super) fn may_install(boot: &Boot) -> bool {
    boot.was_never_told() || boot.action == BootAction::Install || boot.state == Some(InstallState::Installing)
}

/// A token for the installation of a host that goes on now.
pub(super) fn token(shared: &Shared, host: &HostName, boot: &Boot) -> String {
    shared.keys.token.issue(crate::net::since_1970(), boot.installs_as(host).as_str(), boot.install_id)
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Refusal<'a> {
    /// No host is at its address.
    Unknown,
    /// The host is not to install.
    Idle(&'a Host),
    /// What it shows is no proof: the host, and why not.
    Unproved(&'a HostName, &'a str),
}

/// Refuses a request and says in the log what to type, once in a while for each address.
pub(super) fn refuse(shared: &Shared, shown: &Shown, refusal: &Refusal<'_>) -> Response {
    shared.counters.refused.fetch_add(1, Ordering::Relaxed);
    let address = shown.address;
    let (event, reason, hint) = match refusal {
        Refusal::Idle(host) => (
            "host-not-installing",
            format!("{} is not to install: it starts the system on its disk", host.name),
            format!("rocks set-boot {} install", host.name),
        ),
        Refusal::Unproved(host, why) => (
            "token-refused",
            format!("{host}: {why}"),
            format!("the token stands in the boot script of {host}; rocks serve --security open asks for none"),
        ),
        Refusal::Unknown => {
            let by_card = shared.store.read(|reader| shown.host_by_card(reader)).ok().flatten();
            let reason = format!("no host has the address {address}");
            match by_card {
                Some(host) => ("host-unknown", reason, format!("rocks set-host {} --ip {address}", host.name)),
                None => {
                    let mac = shown.macs.first().map_or_else(|| "MAC".to_owned(), ToString::to_string);
                    let hint = format!("rocks add-host NAME --appliance compute --mac {mac} --ip {address}");
                    ("host-unknown", reason, hint)
                }
            }
        }
    };
    if shared.refused.is_due((address, event)) {
        shared.log.warning(event, &[("address", &address), ("reason", &reason), ("hint", &hint)]);
    }
    Response::text(403, format!("{reason}; an administrator types: {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::TOKEN_LIFETIME;

    /// A request from this address, over TLS or not, with this token.
    fn shown(address: &str, is_secure: bool, token: Option<String>) -> Shown {
        let address: IpAddr = address.parse().expect("an address");
        let ends = (SocketAddr::new(address, 40_000), "10.1.1.1:8080".parse().expect("an address"));
        Shown { address, macs: Vec::new(), ends, is_secure, token }
    }

    #[test]
    fn proof_is_wanted_of_everybody_but_this_machine_unless_nothing_is_wanted() {
        let (key, now) = (TokenKey::from_bytes([1; 32]), crate::net::since_1970());
        let install = InstallKey { name: HostName::parse("compute-0-0").expect("a name"), id: 3 };
        let good = key.issue(now, "compute-0-0", 3);
        let prove = |security, shown: Shown| shown.prove(security, &key, &install).is_ok();
        let (far, near) = ("10.1.255.254", "127.1.0.1");
        for (security, address, is_secure, shows, expected) in [
            (Security::Open, far, false, None, true),
            (Security::Guarded, near, false, None, true),
            (Security::Guarded, far, false, None, false),
            (Security::Guarded, far, true, None, false),
            (Security::Guarded, far, false, Some(&good), false),
            (Security::Guarded, far, true, Some(&good), true),
            (Security::Guarded, "::ffff:10.1.255.254", true, None, false),
            (Security::Strict, near, false, None, false),
            (Security::Strict, near, true, None, false),
            (Security::Strict, near, false, Some(&good), false),
            (Security::Strict, near, true, Some(&good), true),
        ] {
            let proved = prove(security, shown(address, is_secure, shows.cloned()));
            assert_eq!(proved, expected, "{security:?} {address} {is_secure} {shows:?}");
        }
        // A wrong token is refused even where none is wanted.
        assert!(!prove(Security::Open, shown(far, false, Some(key.issue(now, "compute-0-1", 3)))));
        assert!(!prove(Security::Guarded, shown(far, true, Some(key.issue(now, "compute-0-0", 2)))));
        let old = key.issue(now - TOKEN_LIFETIME, "compute-0-0", 3);
        assert!(!prove(Security::Guarded, shown(far, true, Some(old))));
    }

    /// Here nobody's socket is at the other end, so that the kernel names no user who may read the database anyway.
    #[test]
    fn a_card_tells_who_somebody_is_only_where_nothing_is_proved() {
        use crate::cluster::Interface;
        let store = crate::store::Store::in_memory().expect("a store");
        let card = MacAddress::parse("52:54:00:00:00:01").expect("a card");
        let mut host = Host::new(HostName::parse("compute-0-0").expect("a name"), "compute");
        let name = "eth0".to_owned();
        host.interfaces = vec![Interface { name, mac: Some(card), ip: None, network: None }];
        store.write("add a host", |writer| writer.add_host(&host)).expect("written");
        for (security, expected) in [(Security::Open, true), (Security::Guarded, false), (Security::Strict, false)] {
            for address in ["10.1.255.254", "127.1.0.1"] {
                let found = store.read(|reader| shown(address, true, None).naming(card).host(reader, security));
                assert_eq!(found.expect("read").is_some(), expected, "{security:?} {address}");
            }
        }
    }

    #[test]
    fn a_token_that_grows_old_is_renewed() {
        let (key, now) = (TokenKey::from_bytes([1; 32]), crate::net::since_1970());
        let install = InstallKey { name: HostName::parse("compute-0-0").expect("a name"), id: 3 };
        let renewed = |age| {
            let token = key.issue(now - age, "compute-0-0", 3);
            let shown = shown("10.1.255.254", true, Some(token));
            shown.prove(Security::Guarded, &key, &install).expect("it is good still")
        };
        assert_eq!(renewed(TOKEN_LIFETIME / 4), None);
        let fresh = renewed(TOKEN_LIFETIME * 3 / 4).expect("another one");
        assert!(key.verify(now + TOKEN_LIFETIME * 9 / 10, "compute-0-0", 3, &fresh).is_ok());
    }
}
