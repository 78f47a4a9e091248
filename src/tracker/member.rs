//! A peer of a swarm.

use super::{IN_DEGREE_MAX, REPORTERS_TO_DROP, Rhythm};
use crate::torrent::PeerId;
use crate::wire::{Announce, NamedPeer};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

/// A place in a swarm's table and the count of peers it has held: a pointer that a later peer of the place does not
/// inherit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pointer {
    pub(super) slot: u32,
    pub(super) tenancy: u32,
}

/// A peer of a swarm: one host, as one client.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) host: u32,
    pub(super) rack: Option<u32>,
    pub(super) appliance: u32,
    pub(super) peer_id: PeerId,
    v4: Option<SocketAddrV4>,
    v6: Option<(Ipv6Addr, u16)>,
    heard: Duration,
    /// It needs nothing more.
    pub(super) complete: bool,
    /// It has said `completed`, and was counted.
    pub(super) counted: bool,
    /// Hosts that reported it as bad.
    reporters: [Option<u32>; REPORTERS_TO_DROP],
    /// Whom it is pointed at.
    pub(super) neighbours: Vec<Pointer>,
    /// How many are pointed at it now.
    pub(super) in_degree: u16,
    /// How often anybody was pointed at it.
    pub(super) handed_out: u32,
    /// Where it stands in the swarm's row of all, and in those of its rack and its appliance.
    pub(super) place: u32,
    pub(super) rack_place: u32,
    pub(super) appliance_place: u32,
}

impl Member {
    pub(super) fn new(host: u32, rack: Option<u32>, appliance: u32, peer_id: PeerId) -> Self {
        Self {
            host,
            rack,
            appliance,
            peer_id,
            v4: None,
            v6: None,
            heard: Duration::ZERO,
            complete: false,
            counted: false,
            reporters: [None; REPORTERS_TO_DROP],
            neighbours: Vec::new(),
            in_degree: 0,
            handed_out: 0,
            place: 0,
            rack_place: 0,
            appliance_place: 0,
        }
    }

    /// Takes in what it says of itself; the address is the connection's. Port 0 takes no connections.
    pub(super) fn hear(&mut self, now: Duration, from: IpAddr, announce: &Announce) {
        self.heard = now;
        self.complete = announce.left_bytes == 0;
        match from {
            IpAddr::V4(ip) => self.v4 = (announce.port != 0).then_some(SocketAddrV4::new(ip, announce.port)),
            IpAddr::V6(ip) => self.v6 = (announce.port != 0).then_some((ip, announce.port)),
        }
    }

    pub(super) fn is_silent(&self, now: Duration) -> bool {
        now.saturating_sub(self.heard) > Rhythm::of(&self.peer_id).expiry
    }

    /// Whether anybody may be pointed at it.
    pub(super) fn is_listed(&self) -> bool {
        (self.v4.is_some() || self.v6.is_some()) && self.reporters.contains(&None)
    }

    /// Whether one more peer may be pointed at it.
    pub(super) fn has_room(&self) -> bool {
        self.in_degree < IN_DEGREE_MAX
    }

    /// How it is named to a peer that came over this family: by an address of the same family where it has one.
    pub(super) fn named(&self, over_ipv6: bool) -> Option<NamedPeer> {
        let v4 = self.v4.map(SocketAddr::V4);
        let v6 = self.v6.map(|(ip, port)| SocketAddr::from((ip, port)));
        let address = if over_ipv6 { v6.or(v4) } else { v4.or(v6) };
        address.map(|address| NamedPeer { address, peer_id: Some(self.peer_id) })
    }

    /// Whether it listens on this port.
    pub(super) fn listens_on(&self, port: u16) -> bool {
        self.v4.is_some_and(|address| address.port() == port) || self.v6.is_some_and(|(_, found)| found == port)
    }

    /// A host reports it as bad; says whether that is new.
    pub(super) fn report(&mut self, reporter: u32) -> bool {
        if self.reporters.contains(&Some(reporter)) {
            return false;
        }
        match self.reporters.iter_mut().find(|place| place.is_none()) {
            Some(place) => {
                *place = Some(reporter);
                true
            }
            None => false,
        }
    }
}
