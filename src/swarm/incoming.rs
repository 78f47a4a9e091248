//! What peers say: their pieces, their requests, their extensions. Everything is judged here; nothing that stood on the
//! wire is believed to be in range.

use super::config::{self, METADATA_TIMES_MAX, NONSENSE_MAX, Role};
use super::event::{Action, PeerKey, Reason};
use super::extension::{self, Handshake};
use super::message::Message;
use super::requests::CROSSING_MAX;
use super::session::Session;
use super::talk::Word;
use crate::torrent::{Bitfield, PieceIndex};
use crate::wire::{MetadataMessage, metadata_parts};
use std::net::IpAddr;
use std::time::Duration;

/// A rack-mate that says it fetches a piece is believed for so many median piece times: its request may be rejected.
const CROSSING_PIECE_TIMES: u32 = 4;

/// A machine that reports more than so many others is not believed any more.
const REPORTS_PER_PEER_MAX: u32 = 16;

impl Session {
    pub(super) fn on_message(&mut self, now: Duration, key: PeerKey, message: Message) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.heard_at = now;
        if self.config.role == Role::Seed {
            peer.rest.ignored = 0;
        }
        match peer.rest.talk.says(now, &message) {
            Word::Heard => {}
            Word::Unheard => return,
            Word::Nonsense => return self.nonsense(now, key, 1),
        }
        match message {
            Message::KeepAlive => {}
            Message::Interested | Message::NotInterested => self.on_interest(now, key),
            Message::Choke => self.on_choke(now, key),
            Message::Unchoke => {
                peer.chokes_us = false;
                if peer.useful > 0 {
                    self.fill(now);
                }
            }
            Message::Have(piece) => self.on_have(now, key, piece),
            Message::Bitfield(bytes) => {
                let field = Bitfield::from_bytes(&bytes, self.layout.piece_count());
                self.on_bitfield(now, key, field.ok());
            }
            Message::HaveAll => self.on_bitfield(now, key, Some(Bitfield::all(self.layout.piece_count()))),
            Message::HaveNone => self.on_bitfield(now, key, Some(Bitfield::none(self.layout.piece_count()))),
            Message::Request(block) => self.on_request(now, key, block),
            Message::Cancel(block) => self.on_cancel(key, block),
            Message::Reject(block) => self.on_reject(now, key, block),
            Message::Extended { id, payload } => self.on_extended(now, key, id, &payload),
        }
    }

    /// A bit field comes first or not at all: who speaks of its interest without one has nothing (BEP 3; so does
    /// rtorrent).
    fn on_interest(&mut self, now: Duration, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key).filter(|peer| !peer.has_opened) else { return };
        peer.has_opened = true;
        if self.is_seed() {
            self.offers.wants_changed();
            self.offer(now);
        }
    }

    fn on_have(&mut self, now: Duration, key: PeerKey, number: u32) {
        let Some(piece) = self.layout.index(number) else {
            return self.disconnect(now, key, Reason::OutOfRange);
        };
        let is_idle = self.pieces.idle().has(piece);
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.has_opened = true;
        let (is_mate, is_frontend) = (peer.is_mate, peer.is_frontend);
        let Some(peer) = self.peers.gain(key, piece) else {
            // The frontend may offer a piece again that was not taken the first time.
            return if is_frontend { self.fill(now) } else { self.nonsense(now, key, 1) };
        };
        if self.config.role == Role::Seed {
            peer.rest.gained_at = now;
            peer.rest.unclaimed = 0;
        }
        if is_idle {
            peer.useful += 1;
            if !peer.we_are_interested {
                peer.we_are_interested = true;
                self.say(key, Message::Interested);
            }
        }
        if is_mate {
            self.crossing.remove(&piece);
        }
        if !is_frontend {
            self.count_in(now, key, piece, is_mate);
        }
        if is_idle {
            self.fill(now);
        }
    }

    fn count_in(&mut self, now: Duration, key: PeerKey, piece: PieceIndex, is_mate: bool) {
        self.pieces.count(piece, is_mate, true);
        if !self.is_seed() {
            return;
        }
        if self.offers.had(now, piece, key, self.pieces.availability(piece))
            && let Some(peer) = self.peers.get_mut(key)
        {
            peer.rest.offers.remove(&piece);
            self.offers.wants_changed();
        }
        if self.offers.may_have_more() {
            self.offer(now);
        }
    }

    fn on_bitfield(&mut self, now: Duration, key: PeerKey, field: Option<Bitfield>) {
        let Some(field) = field else {
            return self.disconnect(now, key, Reason::WrongBitfield);
        };
        let Some(peer) = self.peers.get_mut(key) else { return };
        if peer.has_opened {
            return self.nonsense(now, key, NONSENSE_MAX / 4);
        }
        peer.has_opened = true;
        let idle = self.pieces.idle();
        peer.useful = field.iter().filter(|piece| idle.has(*piece)).count() as u32;
        let (is_mate, is_frontend) = (peer.is_mate, peer.is_frontend);
        if !is_frontend {
            for piece in field.iter() {
                self.count_in(now, key, piece, is_mate);
            }
        }
        self.peers.open(key, field);
        self.show_interest();
        if self.is_seed() {
            self.offers.wants_changed();
            self.offer(now);
        }
        self.fill(now);
    }

    fn on_extended(&mut self, now: Duration, key: PeerKey, id: u8, payload: &[u8]) {
        match id {
            0 => self.on_extension_handshake(now, key, payload),
            extension::WANT => {
                let Some(want) = extension::decode_want(payload, &self.layout) else {
                    return self.disconnect(now, key, Reason::WrongBitfield);
                };
                let is_seed = self.is_seed();
                if let Some(peer) = self.peers.get_mut(key).filter(|_| is_seed) {
                    peer.rest.want = Some(want);
                    self.take_back_unwanted(key);
                    self.offers.wants_changed();
                    self.offer(now);
                }
            }
            extension::ASK | extension::CROSS => {
                let Some(pieces) = extension::decode_pieces(payload, &self.layout) else {
                    return self.disconnect(now, key, Reason::OutOfRange);
                };
                match id {
                    extension::ASK => self.on_ask(now, key, &pieces),
                    _ => self.on_crossing(now, key, &pieces),
                }
            }
            extension::METADATA => self.on_metadata(now, key, payload),
            extension::BAD => match extension::decode_host(payload) {
                Some(host) => self.on_bad(now, key, host),
                None => self.disconnect(now, key, Reason::WrongExtension),
            },
            extension::READY => {
                if let Some(peer) = self.peers.get_mut(key) {
                    peer.backoff_until = Duration::ZERO;
                }
                self.fill(now);
            }
            _ => self.nonsense(now, key, 1),
        }
    }

    /// Somebody asks for a part of the info dictionary. It may have each a few times; who asks for more, or for what does not
    /// exist, is turned down. A session has asked nobody, so whatever else is said of it has no sense.
    fn on_metadata(&mut self, now: Duration, key: PeerKey, payload: &[u8]) {
        let parts = self.config.metadata_bytes.map_or(0, metadata_parts);
        let Some(peer) = self.peers.get_mut(key) else { return };
        let id = peer.rest.extension.ids[usize::from(extension::METADATA)];
        match MetadataMessage::decode(payload) {
            Ok(MetadataMessage::Request { part }) if id != 0 => {
                peer.rest.metadata_asked = peer.rest.metadata_asked.saturating_add(1);
                if part < parts && peer.rest.metadata_asked <= parts.saturating_mul(METADATA_TIMES_MAX) {
                    return self.act(Action::SendMetadata { peer: key, id, part });
                }
                self.say(key, Message::Extended { id, payload: MetadataMessage::Reject { part }.encode() });
                self.nonsense(now, key, 1);
            }
            Ok(MetadataMessage::Unknown) => {}
            Ok(_) | Err(_) => self.nonsense(now, key, 1),
        }
    }

    /// A machine says that another one sent it a wrong piece; two that say so are believed.
    fn on_bad(&mut self, now: Duration, key: PeerKey, host: IpAddr) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.rest.reports += 1;
        let (reporter, is_believed) =
            (peer.rest.address.ip().to_canonical(), peer.rest.reports <= REPORTS_PER_PEER_MAX);
        if !self.is_seed() || !is_believed {
            return self.nonsense(now, key, 1);
        }
        if reporter == host || !self.contacts.is_proved_to_lie(host, reporter) {
            return;
        }
        let accused = self.peers.iter().filter(|peer| peer.rest.address.ip().to_canonical() == host);
        for accused in accused.map(|peer| peer.key).collect::<Vec<_>>() {
            self.disconnect(now, accused, Reason::WrongPiece);
        }
        self.offer(now);
    }

    fn on_ask(&mut self, now: Duration, key: PeerKey, pieces: &[PieceIndex]) {
        if !self.is_seed() {
            return self.nonsense(now, key, 1);
        }
        for piece in pieces {
            self.offers.asked(key, *piece);
        }
        self.offer(now);
    }

    fn on_crossing(&mut self, now: Duration, key: PeerKey, pieces: &[PieceIndex]) {
        let until = now + (self.pace.piece_time() * CROSSING_PIECE_TIMES).min(config::REASSIGN_MIN);
        if !self.peers.get(key).is_some_and(|peer| peer.is_mate) {
            return;
        }
        for piece in pieces {
            if self.crossing.len() < CROSSING_MAX {
                self.crossing.insert(*piece, until);
            }
        }
    }

    fn on_extension_handshake(&mut self, now: Duration, key: PeerKey, payload: &[u8]) {
        let Ok(handshake) = Handshake::decode(payload) else {
            return self.disconnect(now, key, Reason::WrongExtension);
        };
        let was_ours = self.peers.get(key).is_some_and(|peer| peer.is_ours());
        let Some(peer) = self.peers.get_mut(key) else { return };
        if was_ours {
            // Said again: only the end of its download is news (BEP 21).
            peer.upload_only = handshake.upload_only.unwrap_or(peer.upload_only);
            return;
        }
        let is_mate = self.config.rack.is_some() && handshake.rack == self.config.rack && handshake.is_ours();
        peer.upload_only = handshake.upload_only.unwrap_or(false);
        peer.rest.extension = handshake;
        self.uploads.became_ours(peer);
        self.contacts.joined(peer.listens_at());
        if is_mate != peer.is_mate && !peer.is_frontend {
            let was_mate = std::mem::replace(&mut peer.is_mate, is_mate);
            for piece in peer.have().iter() {
                self.pieces.count(piece, was_mate, false);
                self.pieces.count(piece, is_mate, true);
            }
        }
        if peer.is_frontend && handshake.is_ours() {
            self.say_want(key);
            self.fallback.starving(now, false);
        }
    }
}
