//! The peers of one swarm, and who is pointed at whom.
//!
//! Each peer keeps the peers it was pointed at, so that the connections of a swarm are one random graph that changes
//! only where somebody comes, leaves or is full. New pointers go to those who were handed out least.

use super::member::{Member, Pointer};
use super::random::Random;
use super::{APPLIANCE_PEERS_MIN, OTHER_PEERS_MAX, RACK_PEERS_MAX};
use crate::wire::{Announce, Event, NamedPeer, ScrapeEntry};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

/// How many candidates for one peer's new pointers are compared, each time it announces.
const CANDIDATES_MAX: usize = 64;
/// How many peers are drawn at most to find them.
const DRAWS_MAX: usize = 256;

/// A place of the table, and how many peers it has held.
#[derive(Debug, Default)]
struct Slot {
    tenancy: u32,
    member: Option<Member>,
}

/// Whom new pointers go to.
#[derive(Debug, Clone, Copy)]
enum Row {
    Appliance(u32),
    Rack(Option<u32>),
    OtherRacks(Option<u32>),
}

impl Row {
    fn has(self, member: &Member) -> bool {
        match self {
            Self::Appliance(appliance) => member.appliance == appliance,
            Self::Rack(rack) => member.rack == rack,
            Self::OtherRacks(rack) => member.rack != rack,
        }
    }
}

/// The peers of one swarm.
#[derive(Debug, Default)]
pub(super) struct Swarm {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_host: HashMap<u32, u32>,
    /// All peers, and those of each rack and of each appliance, in no order.
    all: Vec<u32>,
    racks: BTreeMap<Option<u32>, Vec<u32>>,
    appliances: BTreeMap<u32, Vec<u32>>,
    complete: u32,
    downloaded: u32,
}

impl Swarm {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn numbers(&self) -> ScrapeEntry {
        let incomplete = self.all.len() as u32 - self.complete;
        ScrapeEntry { complete: self.complete, downloaded: self.downloaded, incomplete }
    }

    /// Takes in a host's announce. Another client on the host takes the place of the one before.
    pub(super) fn enter(
        &mut self,
        now: Duration,
        host: u32,
        (rack, appliance): (Option<u32>, u32),
        from: IpAddr,
        announce: &Announce,
    ) -> u32 {
        let known = self.by_host.get(&host).copied();
        if known.is_some_and(|slot| self.member(slot).is_some_and(|member| member.peer_id != announce.peer_id)) {
            self.leave(host);
        }
        let slot = match self.by_host.get(&host) {
            Some(&slot) => slot,
            None => self.add(Member::new(host, rack, appliance, announce.peer_id)),
        };
        let Some(member) = &mut self.slots[slot as usize].member else { return slot };
        let was_complete = member.complete;
        member.hear(now, from, announce);
        let is_complete = member.complete;
        if announce.event == Event::Completed && !member.counted {
            member.counted = true;
            self.downloaded = self.downloaded.saturating_add(1);
        }
        self.complete = self.complete + u32::from(is_complete) - u32::from(was_complete);
        slot
    }

    /// A host leaves.
    pub(super) fn leave(&mut self, host: u32) {
        if let Some(slot) = self.by_host.remove(&host) {
            self.remove(slot);
        }
    }

    /// Drops who was not heard of for too long, and tells of each host.
    pub(super) fn drop_silent(&mut self, now: Duration, mut dropped: impl FnMut(u32)) {
        let silent = |slot: &&u32| self.member(**slot).is_some_and(|member| member.is_silent(now));
        let hosts: Vec<u32> =
            self.all.iter().filter(silent).filter_map(|slot| Some(self.member(*slot)?.host)).collect();
        for host in hosts {
            self.leave(host);
            dropped(host);
        }
    }

    /// A host reports another's peer as bad; says whether that is new. When enough have, nobody is pointed at it any
    /// more, until it comes as a new client.
    pub(super) fn report(&mut self, target: u32, reporter: u32, port: u16) -> bool {
        let Some(&slot) = self.by_host.get(&target) else { return false };
        let Some(member) = &mut self.slots[slot as usize].member else { return false };
        member.listens_on(port) && member.report(reporter)
    }

    /// Whom the peer in this slot is to connect to, at most `limit`: those it was pointed at before and who are still
    /// there, filled up with those who were handed out least.
    pub(super) fn point(
        &mut self,
        slot: u32,
        over_ipv6: bool,
        limit: usize,
        random: &mut Random,
        named: &mut Vec<NamedPeer>,
    ) {
        let Some(member) = &mut self.slots[slot as usize].member else { return };
        let (rack, appliance) = (member.rack, member.appliance);
        let (complete, ours) = (member.complete, member.peer_id.is_rocks());
        let mut neighbours = std::mem::take(&mut member.neighbours);
        // Who has left forgot its in-degree with the place; who is no longer listed is not pointed at again.
        neighbours.retain(|pointer| self.pointed(*pointer).is_some_and(Member::is_listed));
        let alike = self.appliances.get(&appliance).map_or(0, Vec::len);
        if alike < self.all.len() {
            let found = self.count(&neighbours, Row::Appliance(appliance));
            let wanted = APPLIANCE_PEERS_MIN.min(limit).saturating_sub(found).min(alike.saturating_sub(1 + found));
            self.choose(slot, Row::Appliance(appliance), complete, wanted, random, &mut neighbours);
        }
        let near = self.count(&neighbours, Row::Rack(rack));
        let far = neighbours.len() - near;
        let rack_mates = self.racks.get(&rack).map_or(0, Vec::len);
        let wanted_near = RACK_PEERS_MAX.min(limit).saturating_sub(near).min(rack_mates.saturating_sub(1 + near));
        let others = (self.all.len() - rack_mates).saturating_sub(far);
        let wanted_far = OTHER_PEERS_MAX.min(limit).saturating_sub(far).min(others);
        self.choose(slot, Row::Rack(rack), complete, wanted_near, random, &mut neighbours);
        self.choose(slot, Row::OtherRacks(rack), complete, wanted_far, random, &mut neighbours);
        // Who needs nothing is of no use to who needs nothing. Our machines come for what they need; stock clients may
        // not be able to (transmission tries uTP first), so our complete machines go to them.
        let useful = neighbours.iter().filter_map(|pointer| self.pointed(*pointer));
        let useful = useful.filter(|other| !(complete && (other.complete || (ours && other.peer_id.is_rocks()))));
        named.extend(useful.filter_map(|other| other.named(over_ipv6)).take(limit));
        if let Some(member) = &mut self.slots[slot as usize].member {
            member.neighbours = neighbours;
        }
    }

    /// How many of those pointed at are of a row.
    fn count(&self, pointers: &[Pointer], row: Row) -> usize {
        pointers.iter().filter_map(|pointer| self.pointed(*pointer)).filter(|member| row.has(member)).count()
    }

    /// Adds pointers to peers of a row.
    fn choose(
        &mut self,
        slot: u32,
        row: Row,
        complete: bool,
        wanted: usize,
        random: &mut Random,
        neighbours: &mut Vec<Pointer>,
    ) {
        if wanted == 0 {
            return;
        }
        let members = match row {
            Row::Appliance(appliance) => self.appliances.get(&appliance),
            Row::Rack(rack) => self.racks.get(&rack),
            Row::OtherRacks(_) => None,
        };
        let members = members.unwrap_or(&self.all);
        let mut candidates: Vec<(u32, u32, u32)> = Vec::with_capacity(CANDIDATES_MAX);
        let mut consider = |candidate: u32, random: &mut Random| {
            let Some(member) = self.member(candidate) else { return candidates.len() };
            let fits = candidate != slot
                && row.has(member)
                && member.is_listed()
                && member.has_room()
                && !(complete && member.complete)
                && !neighbours.iter().any(|pointer| pointer.slot == candidate)
                && !candidates.iter().any(|(_, _, found)| *found == candidate);
            if fits {
                candidates.push((member.handed_out, random.below(u32::MAX), candidate));
            }
            candidates.len()
        };
        if members.len() <= CANDIDATES_MAX {
            for &candidate in members {
                consider(candidate, random);
            }
        } else {
            for _ in 0..DRAWS_MAX {
                let at = random.below(members.len() as u32);
                if consider(members[at as usize], random) == CANDIDATES_MAX {
                    break;
                }
            }
        }
        candidates.sort_unstable();
        for (_, _, slot) in candidates.into_iter().take(wanted) {
            let place = &mut self.slots[slot as usize];
            if let Some(member) = &mut place.member {
                member.in_degree += 1;
                member.handed_out = member.handed_out.saturating_add(1);
                neighbours.push(Pointer { slot, tenancy: place.tenancy });
            }
        }
    }

    fn member(&self, slot: u32) -> Option<&Member> {
        self.slots[slot as usize].member.as_ref()
    }

    fn pointed(&self, pointer: Pointer) -> Option<&Member> {
        let slot = &self.slots[pointer.slot as usize];
        slot.member.as_ref().filter(|_| slot.tenancy == pointer.tenancy)
    }

    fn add(&mut self, mut member: Member) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let rack = self.racks.entry(member.rack).or_default();
        let appliance = self.appliances.entry(member.appliance).or_default();
        (member.place, member.rack_place) = (self.all.len() as u32, rack.len() as u32);
        member.appliance_place = appliance.len() as u32;
        self.all.push(slot);
        rack.push(slot);
        appliance.push(slot);
        self.by_host.insert(member.host, slot);
        self.slots[slot as usize].member = Some(member);
        slot
    }

    fn remove(&mut self, slot: u32) {
        let place = &mut self.slots[slot as usize];
        let Some(member) = place.member.take() else { return };
        place.tenancy = place.tenancy.wrapping_add(1);
        self.free.push(slot);
        self.complete -= u32::from(member.complete);
        for pointer in &member.neighbours {
            let other = &mut self.slots[pointer.slot as usize];
            if other.tenancy == pointer.tenancy
                && let Some(other) = &mut other.member
            {
                other.in_degree -= 1;
            }
        }
        let slots = &mut self.slots;
        take_out(&mut self.all, slots, member.place, |member| &mut member.place);
        if let Entry::Occupied(mut rack) = self.racks.entry(member.rack) {
            take_out(rack.get_mut(), slots, member.rack_place, |member| &mut member.rack_place);
            if rack.get().is_empty() {
                rack.remove();
            }
        }
        if let Entry::Occupied(mut appliance) = self.appliances.entry(member.appliance) {
            take_out(appliance.get_mut(), slots, member.appliance_place, |member| &mut member.appliance_place);
            if appliance.get().is_empty() {
                appliance.remove();
            }
        }
    }
}

/// Takes a member out of a row: the last of it takes the place that became free, and is told so.
fn take_out(row: &mut Vec<u32>, slots: &mut [Slot], place: u32, place_of: fn(&mut Member) -> &mut u32) {
    row.swap_remove(place as usize);
    if let Some(&moved) = row.get(place as usize)
        && let Some(moved) = &mut slots[moved as usize].member
    {
        *place_of(moved) = place;
    }
}

#[cfg(test)]
impl Swarm {
    /// Checks that the rows, the table and the counts agree.
    pub(super) fn check(&self) {
        let members: Vec<(u32, &Member)> =
            (0..).zip(&self.slots).filter_map(|(n, s)| Some((n, s.member.as_ref()?))).collect();
        assert_eq!(members.len(), self.all.len());
        assert_eq!(members.len(), self.by_host.len());
        assert_eq!(members.len(), self.racks.values().map(Vec::len).sum::<usize>());
        assert_eq!(members.len(), self.appliances.values().map(Vec::len).sum::<usize>());
        assert_eq!(self.complete as usize, members.iter().filter(|(_, member)| member.complete).count());
        for (slot, member) in &members {
            assert_eq!(self.all[member.place as usize], *slot);
            assert_eq!(self.racks[&member.rack][member.rack_place as usize], *slot);
            assert_eq!(self.appliances[&member.appliance][member.appliance_place as usize], *slot);
            assert_eq!(self.by_host[&member.host], *slot);
            assert!(member.in_degree <= super::IN_DEGREE_MAX);
            let pointers = members.iter().flat_map(|(_, other)| &other.neighbours);
            let pointing =
                pointers.filter(|p| p.slot == *slot && self.slots[*slot as usize].tenancy == p.tenancy).count();
            assert!(pointing <= usize::from(member.in_degree));
        }
    }
}
