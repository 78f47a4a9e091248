//! A session against peers that behave, misbehave, and do anything at all in any order.

use super::exercise::{Bench, METADATA_BYTES, PIECE_BYTES, PIECES, address, id, layout, ours};
use super::*;
use crate::torrent::Bitfield;
use crate::wire::{Extensions, METADATA_NAME, MetadataMessage, metadata_parts};
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn a_machine_takes_everything_from_one_peer_and_tells_of_it() {
    let mut bench = Bench::machine();
    let peer = bench.connect_ours(2);
    bench.answer(peer, true);
    assert!(bench.session.is_complete() && bench.set_done == 1);
    assert_eq!(bench.done.len() as u32, PIECES);
    assert!(bench.said.iter().all(|(_, message)| !matches!(message, Message::Have(_))), "it has them already");
    let asked = bench.said.iter().filter_map(|(_, message)| match message {
        Message::Request(block) => Some(block.length_bytes),
        _ => None,
    });
    assert_eq!(asked.map(u64::from).sum::<u64>(), bench.session.totals().from_peers_bytes, "no pad, nothing twice");
    assert_eq!(bench.session.totals().twice_bytes + bench.session.totals().wrong_bytes, 0);
}

#[test]
fn who_asks_for_the_info_dictionary_gets_each_part_a_few_times() {
    for role in [Role::Machine, Role::Seed] {
        let mut bench = Bench::new(SessionConfig { role, ..SessionConfig::machine(id(1)) });
        let stock = bench.connect_from(address(2), id(2));
        let ours = bench.said.iter().find_map(|(_, message)| match message {
            Message::Extended { id: 0, payload } => Extensions::decode(payload).ok(),
            _ => None,
        });
        let ours = ours.expect("an extension handshake");
        assert_eq!(ours.metadata_bytes, Some(METADATA_BYTES));
        let ask = |bench: &mut Bench, part| {
            let payload = MetadataMessage::Request { part }.encode();
            bench.say(stock, Message::Extended { id: ours.ids[METADATA_NAME], payload });
        };
        ask(&mut bench, 0);
        assert!(bench.parts.is_empty(), "it did not say under which number it hears of it");
        bench.say(stock, Message::Extended { id: 0, payload: b"d1:md11:ut_metadatai3eee".to_vec() });
        let parts = metadata_parts(METADATA_BYTES);
        (0..parts).for_each(|part| ask(&mut bench, part));
        assert_eq!(bench.parts, (0..parts).map(|part| (stock, part)).collect::<Vec<_>>());
        let rejected = |bench: &Bench, part| {
            let payload = MetadataMessage::Reject { part }.encode();
            bench.said.contains(&(stock, Message::Extended { id: 3, payload }))
        };
        ask(&mut bench, parts);
        assert!(rejected(&bench, parts), "there is no such part");
        assert!(!rejected(&bench, 0));
        for _ in 0..parts * METADATA_TIMES_MAX {
            ask(&mut bench, 0);
        }
        assert!(rejected(&bench, 0) && bench.closed.is_empty());
        assert!(bench.parts.len() as u32 <= parts * METADATA_TIMES_MAX, "{:?}", bench.parts);
        for _ in 0..=NONSENSE_MAX {
            ask(&mut bench, 0);
        }
        assert_eq!(bench.closed, [(stock, Reason::Nonsense)]);
    }
}

#[test]
fn who_has_no_info_dictionary_says_nothing_of_one() {
    let mut session = Session::new(SessionConfig::machine(id(1)), layout(), 7);
    let (peer, direction) = (PeerKey(0), Direction::Incoming);
    let (id, address) = (id(2), address(2));
    session.handle(Duration::ZERO, Event::PeerConnected { peer, id, address, direction, fast: true, extended: true });
    let mut said = Vec::new();
    while let Some(action) = session.poll(Duration::ZERO) {
        if let Action::Send { message: Message::Extended { payload, .. }, .. } = action {
            said.push(Extensions::decode(&payload).expect("an extension handshake"));
        }
    }
    assert_eq!((said.len(), said[0].metadata_bytes, said[0].ids.get(METADATA_NAME)), (1, None, None));
}

#[test]
fn who_has_everything_goes_to_those_the_tracker_names_then() {
    let mut bench = Bench::machine();
    let told = |peers: &[u32]| Event::Peers {
        peers: peers.iter().map(|n| address(*n)).collect(),
        interval: Duration::from_secs(30),
    };
    let peer = bench.connect_ours(2);
    bench.tell(told(&(10..100).collect::<Vec<_>>()));
    bench.answer(peer, true);
    assert!(bench.session.is_complete());
    bench.connecting.clear();
    bench.tell(Event::ConnectFailed { address: address(10) });
    assert!(bench.connecting.is_empty(), "those it was told of before may come by themselves");
    bench.tell(told(&[150]));
    assert_eq!(bench.connecting, [address(150)]);
    let stock = bench.connect(150, false);
    bench.say(stock, Message::Interested);
    bench.say(stock, Message::Request(RawBlock { piece: 0, offset_bytes: 0, length_bytes: 16 << 10 }));
    assert_eq!(bench.sending.len(), 1);
}

#[test]
fn a_seed_offers_to_a_stock_client_that_has_nothing_and_sends_no_bit_field() {
    let mut bench = Bench::new(SessionConfig::seed(id(200)));
    let peer = bench.connect(2, false);
    let offered = |bench: &Bench| bench.said.iter().any(|(_, message)| matches!(message, Message::Have(_)));
    assert!(!offered(&bench), "its bit field may yet come");
    bench.say(peer, Message::Interested);
    assert!(offered(&bench));
}

#[test]
fn a_stock_client_that_takes_no_offer_is_told_of_everything_it_may_ask_for() {
    for is_ours in [false, true] {
        let mut bench = Bench::new(SessionConfig::seed(id(200)));
        let peer = bench.connect(2, true);
        if is_ours {
            bench.say(peer, Message::Extended { id: 0, payload: ours() });
        }
        bench.say(peer, Message::HaveNone);
        bench.pass(Duration::from_secs(4));
        let offered = |piece: u32| bench.said.iter().any(|(_, message)| *message == Message::Have(piece));
        let told = (0..PIECES).filter(|piece| offered(*piece)).count() as u32;
        assert_eq!(told == PIECES, !is_ours, "{told} pieces; ours are told of a few at a time");
        assert!(bench.closed.is_empty());
    }
}

#[test]
fn a_seed_is_at_work_from_its_first_block_until_nothing_it_offered_waits() {
    let mut bench = Bench::new(SessionConfig { serve_at_once: 1, ..SessionConfig::seed(id(200)) });
    let peer = bench.connect(2, true);
    bench.say(peer, Message::HaveNone);
    bench.say(peer, Message::Extended { id: 0, payload: ours() });
    assert!(
        !bench.session.is_offering(),
        "it has offered, but sends nothing: who asks the web seed keeps nobody waiting"
    );
    bench.say(peer, Message::Request(RawBlock { piece: 0, offset_bytes: 0, length_bytes: 16 << 10 }));
    assert!(bench.session.is_offering());
    let (_, block) = bench.sending.remove(0);
    bench.tell(Event::BlockSent { peer, block });
    assert!(!bench.session.is_offering());
}

#[test]
fn a_seed_that_shows_no_pieces_does_not_say_that_it_only_uploads() {
    let mut bench = Bench::new(SessionConfig::seed(id(200)));
    bench.connect(2, true);
    let said = bench.said.iter().find_map(|(_, message)| match message {
        Message::Extended { id: 0, payload } => Some(String::from_utf8_lossy(payload).into_owned()),
        _ => None,
    });
    let said = said.expect("its extension handshake");
    assert!(
        bench.said.iter().any(|(_, message)| *message == Message::HaveNone) && !said.contains("upload_only"),
        "{said}"
    );
}

#[test]
fn a_stock_client_is_asked_for_blocks_of_16_kib_once_it_unchokes() {
    let mut bench = Bench::machine();
    let peer = bench.connect(2, false);
    bench.say(peer, Message::Bitfield(Bitfield::all(PIECES).to_bytes()));
    assert!(bench.asked.is_empty());
    assert!(bench.said.contains(&(peer, Message::Interested)) && bench.said.contains(&(peer, Message::Unchoke)));
    bench.say(peer, Message::Unchoke);
    assert!(bench.asked.iter().all(|(_, block)| block.length_bytes <= 16 * 1024) && bench.asked.len() > 2);
    // It chokes in the middle: what it did not send is asked of somebody else.
    let (_, block) = bench.asked.remove(0);
    bench.tell(Event::BlockReceived { peer, block });
    bench.say(peer, Message::Choke);
    let other = bench.connect_ours(3);
    bench.answer(other, true);
    assert!(bench.session.is_complete());
}

#[test]
fn a_liar_is_banned_and_costs_no_more_than_what_was_in_flight_from_it() {
    let mut bench = Bench::machine();
    let liar = bench.connect_ours(2);
    bench.answer(liar, false);
    assert_eq!(bench.closed, [(liar, Reason::WrongPiece)]);
    let totals = bench.session.totals();
    assert!(totals.wrong_bytes > 0 && totals.wrong_bytes + totals.twice_bytes <= 2 * u64::from(PIECE_BYTES));
    let again = bench.connect(2, true);
    assert_eq!(bench.closed[1..], [(again, Reason::Banned)]);
    let good = bench.connect_ours(3);
    bench.answer(good, true);
    assert!(bench.session.is_complete());
}

#[test]
fn nonsense_is_answered_with_a_reason() {
    let block = |piece, offset_bytes, length_bytes| RawBlock { piece, offset_bytes, length_bytes };
    let cases: [(Message, Reason); 8] = [
        (Message::Bitfield(vec![0xff; 2]), Reason::WrongBitfield),
        (Message::Bitfield(vec![0; 4000]), Reason::WrongBitfield),
        (Message::Have(PIECES), Reason::OutOfRange),
        (Message::Request(block(u32::MAX, 0, 16)), Reason::OutOfRange),
        (Message::Request(block(0, 0, 0)), Reason::OutOfRange),
        (Message::Request(block(0, PIECE_BYTES - 1, 16)), Reason::OutOfRange),
        (Message::Request(block(0, 0, PIECE_BYTES)), Reason::OutOfRange),
        (Message::Extended { id: 0, payload: b"d1:".to_vec() }, Reason::WrongExtension),
    ];
    for (message, reason) in cases {
        let mut bench = Bench::machine();
        let peer = bench.connect(2, true);
        bench.say(peer, message.clone());
        assert_eq!(bench.closed, [(peer, reason)], "{message:?}");
    }
    let extended = |id| Message::Extended { id, payload: Vec::new() };
    // Two words in turn; a request is sense to a seed, which answers it.
    let endless: [(Message, Message, bool); 9] = [
        (Message::KeepAlive, Message::KeepAlive, true),
        (Message::Unchoke, Message::Unchoke, true),
        (Message::Choke, Message::Unchoke, true),
        (Message::Interested, Message::NotInterested, true),
        (extended(4), extended(4), true),
        (extended(77), extended(77), true),
        (Message::HaveNone, Message::HaveNone, true),
        (Message::Have(1), Message::Have(1), true),
        (Message::Request(block(1, 0, 16)), Message::Request(block(1, 0, 16)), false),
    ];
    for (word, other, is_nonsense_to_a_seed) in endless {
        let mut benches = vec![Bench::machine()];
        benches.extend(is_nonsense_to_a_seed.then(|| Bench::new(SessionConfig::seed(id(200)))));
        for mut bench in benches {
            let peer = bench.connect(2, true);
            for _ in 0..10_000 {
                bench.say(peer, word.clone());
                bench.say(peer, other.clone());
            }
            assert_eq!(bench.closed, [(peer, Reason::Nonsense)], "{word:?} {other:?}");
        }
    }
}

#[test]
fn a_peer_that_never_answers_delays_nothing_by_more_than_a_second() {
    let mut bench = Bench::machine();
    let mute = bench.connect_ours(2);
    assert!(!bench.asked.is_empty());
    let good = bench.connect_ours(3);
    bench.answer(good, true);
    bench.pass(Duration::from_millis(1100));
    bench.answer(good, true);
    assert!(bench.session.is_complete(), "{:?} missing", bench.session.missing_bytes());
    // It had its chance: with something to ask of it, it would be closed in the end.
    let mut bench = Bench::machine();
    let mute_alone = bench.connect_ours(2);
    bench.pass(Duration::from_secs(120));
    assert_eq!(bench.closed, [(mute_alone, Reason::Silent)]);
    assert_eq!(mute, mute_alone);
}

#[test]
fn what_is_late_is_asked_of_another_once_it_would_hardly_come_twice() {
    let asked_of_another_after = |millis: u64, speaks: bool| {
        let mut bench = Bench::machine();
        let late = bench.connect_ours(2);
        let first: Vec<u32> = bench.asked.iter().map(|(_, block)| block.piece.get()).collect();
        let other = bench.connect_ours(3);
        bench.answer(other, true);
        for _ in 0..millis / 100 {
            bench.pass(Duration::from_millis(100));
            if speaks {
                bench.say(late, Message::KeepAlive);
            }
        }
        bench.asked.iter().any(|(peer, block)| *peer == other && first.contains(&block.piece.get()))
    };
    assert!(!asked_of_another_after(200, false), "packets may be lost: TCP sends them again");
    assert!(asked_of_another_after(400, false), "it may be dead");
    assert!(!asked_of_another_after(400, true), "it lives");
    assert!(asked_of_another_after(700, true));
}

#[test]
fn nobody_there_means_http_and_a_busy_frontend_is_left_alone() {
    let mut bench = Bench::machine();
    assert_eq!(bench.connecting, [address(200)]);
    bench.tell(Event::ConnectFailed { address: address(200) });
    bench.pass(Duration::from_millis(400));
    assert!(!bench.fetching.is_empty() && bench.fetching.len() <= HTTP_ALONE);
    let piece = bench.fetching.remove(0);
    bench.tell(Event::WebSeed { piece, outcome: WebSeedOutcome::Busy(Duration::from_secs(2)) });
    let before = bench.fetching.len();
    bench.pass(Duration::from_millis(1500));
    assert_eq!(bench.fetching.len(), before, "it was told to wait");
    bench.pass(Duration::from_secs(1));
    while let Some(piece) = bench.fetching.pop() {
        bench.now += Duration::from_millis(2);
        bench.tell(Event::WebSeed { piece, outcome: WebSeedOutcome::Received });
        while let Some((piece, source)) = bench.verifying.pop() {
            bench.tell(Event::Verified { piece, source, ok: true });
        }
    }
    assert!(bench.session.is_complete());
}

#[test]
fn a_seed_offers_each_piece_once_and_nothing_that_nobody_wants() {
    let mut bench = Bench::new(SessionConfig::seed(id(200)));
    let peers: Vec<PeerKey> = (2..5).map(|n| bench.connect(n, true)).collect();
    let mut want = Bitfield::all(PIECES);
    want.remove(layout().index(0).expect("there are thirteen"));
    for &peer in &peers {
        bench.say(peer, Message::HaveNone);
        bench.say(peer, Message::Extended { id: 0, payload: ours() });
        bench.say(peer, Message::Extended { id: 1, payload: want.to_bytes() });
    }
    // Each peer may have been offered piece 0 before it told what it wants.
    let mut offered: Vec<u32> = Vec::new();
    for _ in 0..100 {
        let offers: Vec<(PeerKey, Message)> = std::mem::take(&mut bench.said);
        for (peer, message) in offers {
            let Message::Have(piece) = message else { continue };
            offered.push(piece);
            let length_bytes = layout().payload_len(layout().index(piece).expect("it exists"));
            bench.say(peer, Message::Request(RawBlock { piece, offset_bytes: 0, length_bytes }));
        }
        while let Some((peer, block)) = bench.sending.pop() {
            bench.tell(Event::BlockSent { peer, block });
            bench.say(peer, Message::Have(block.piece.get()));
        }
    }
    offered.sort_unstable();
    let wanted: Vec<u32> = (1..PIECES).collect();
    assert_eq!(offered.iter().filter(|piece| **piece > 0).copied().collect::<Vec<_>>(), wanted);
    assert!(offered.iter().filter(|piece| **piece == 0).count() <= peers.len());
    assert!(bench.closed.is_empty(), "{:?}", bench.closed);
}

#[test]
fn on_slow_links_a_machine_waits_for_its_turn_before_it_gets_a_copy_of_what_others_have() {
    for (block_time, is_early) in [(Duration::from_millis(10), true), (Duration::from_secs(4), false)] {
        let mut bench = Bench::new(SessionConfig::seed(id(200)));
        let first = bench.connect(2, true);
        bench.say(first, Message::HaveNone);
        bench.say(first, Message::Extended { id: 0, payload: ours() });
        let length_bytes = layout().payload_len(layout().index(0).expect("there are thirteen"));
        bench.say(first, Message::Request(RawBlock { piece: 0, offset_bytes: 0, length_bytes }));
        let (peer, block) = bench.sending.pop().expect("piece 0 was offered");
        bench.now += block_time;
        bench.tell(Event::BlockSent { peer, block });
        let full: Vec<PeerKey> = (10..17).map(|n| bench.connect_ours(n)).collect();
        let empty = bench.connect(4, true);
        bench.say(empty, Message::HaveNone);
        bench.say(empty, Message::Extended { id: 0, payload: ours() });
        bench.said.clear();
        let is_helped =
            |bench: &Bench| bench.said.iter().any(|(peer, said)| *peer == empty && matches!(said, Message::Have(_)));
        bench.pass(Duration::from_secs(5));
        assert_eq!(is_helped(&bench), is_early, "nine machines, {block_time:?} a block");
        bench.pass(Duration::from_secs(12));
        assert!(is_helped(&bench), "everybody had a turn");
        assert!(bench.closed.iter().all(|(peer, _)| !full.contains(peer)));
    }
}

#[test]
fn a_piece_is_lost_when_its_echo_takes_far_longer_than_echoes_do() {
    for echoes_are_quick in [false, true] {
        let mut bench = Bench::new(SessionConfig::seed(id(200)));
        let first = bench.connect(2, true);
        bench.say(first, Message::HaveNone);
        bench.say(first, Message::Extended { id: 0, payload: ours() });
        let take = |bench: &mut Bench, piece: u32| {
            let length_bytes = layout().payload_len(layout().index(piece).expect("it exists"));
            bench.say(first, Message::Request(RawBlock { piece, offset_bytes: 0, length_bytes }));
            let (peer, block) = bench.sending.pop().expect("it was offered");
            bench.tell(Event::BlockSent { peer, block });
        };
        let offers = |bench: &mut Bench| {
            let is_offer = |(_, said): &mut (PeerKey, Message)| matches!(said, Message::Have(piece) if *piece > 0);
            bench.said.extract_if(.., is_offer).next()
        };
        while let Some((_, Message::Have(piece))) = offers(&mut bench).filter(|_| echoes_are_quick) {
            take(&mut bench, piece);
            bench.now += Duration::from_millis(1);
            bench.say(first, Message::Have(piece));
        }
        take(&mut bench, 0);
        let second = bench.connect(3, true);
        bench.say(second, Message::HaveNone);
        bench.say(second, Message::Extended { id: 0, payload: ours() });
        let mut want = Bitfield::none(PIECES);
        want.insert(layout().index(0).expect("there are thirteen"));
        bench.say(second, Message::Extended { id: 1, payload: want.to_bytes() });
        bench.said.clear();
        let is_offered_again = |bench: &Bench| bench.said.contains(&(second, Message::Have(0)));
        bench.pass(Duration::from_millis(800));
        assert_eq!(is_offered_again(&bench), echoes_are_quick);
        bench.pass(Duration::from_millis(1600));
        assert!(is_offered_again(&bench));
    }
}

#[test]
fn what_one_machine_asks_for_goes_to_others_once_it_has_its_share() {
    let mut bench = Bench::new(SessionConfig { serve_at_once: 1, ..SessionConfig::seed(id(200)) });
    let peers: Vec<PeerKey> = (2..8).map(|n| bench.connect(n, true)).collect();
    for &peer in &peers {
        bench.say(peer, Message::HaveNone);
        bench.say(peer, Message::Extended { id: 0, payload: ours() });
    }
    let everything: Vec<crate::torrent::PieceIndex> = layout().pieces().collect();
    bench.say(peers[0], Message::Extended { id: 2, payload: super::extension::encode_pieces(&everything) });
    for _ in 0..4 {
        for (peer, message) in std::mem::take(&mut bench.said) {
            let Message::Have(piece) = message else { continue };
            let length_bytes = layout().payload_len(layout().index(piece).expect("it exists"));
            bench.say(peer, Message::Request(RawBlock { piece, offset_bytes: 0, length_bytes }));
        }
        let on_its_way = |peer: &PeerKey| bench.session.peers.get(*peer).expect("it is connected").rest.offers.len();
        assert!(on_its_way(&peers[0]) <= 2, "the one that asked has its share on its way");
        // Its way in is full; those of the others are not.
        if let Some(at) = bench.sending.iter().position(|(peer, _)| *peer != peers[0]) {
            let (peer, block) = bench.sending.remove(at);
            bench.tell(Event::BlockSent { peer, block });
        } else if let Some((peer, block)) = bench.sending.pop() {
            bench.tell(Event::BlockSent { peer, block });
        }
    }
}

#[test]
fn an_offer_of_what_the_machine_got_elsewhere_makes_room_for_another() {
    let mut bench = Bench::new(SessionConfig::seed(id(200)));
    let peer = bench.connect(2, true);
    bench.say(peer, Message::HaveNone);
    bench.say(peer, Message::Extended { id: 0, payload: ours() });
    let offers = |bench: &Bench| -> Vec<u32> {
        let offered = |(_, message): &(PeerKey, Message)| match message {
            Message::Have(piece) => Some(*piece),
            _ => None,
        };
        bench.said.iter().filter_map(offered).collect()
    };
    let first = offers(&bench);
    assert!((first.len() as u32) < PIECES, "a peer is not offered everything at once: {first:?}");
    bench.say(peer, Message::Have(first[0]));
    assert_eq!(offers(&bench).len(), first.len() + 1, "it will never ask for that one");
}

#[test]
fn news_of_a_piece_that_many_have_waits_and_goes_out_together() {
    let mut bench = Bench::machine();
    let everybody: Vec<PeerKey> = (2..8).map(|n| bench.connect(n, true)).collect();
    let (having, lacking) = everybody.split_at(4);
    let mut two = Bitfield::none(PIECES);
    let _ = [0, 1].map(|piece| two.insert(layout().index(piece).expect("there are thirteen")));
    for (at, &peer) in everybody.iter().enumerate() {
        let first = if at == 0 { Message::Bitfield(two.to_bytes()) } else { Message::HaveNone };
        bench.say(peer, first);
        bench.say(peer, Message::Extended { id: 0, payload: ours() });
        bench.say(peer, Message::Unchoke);
    }
    // Piece 0 is common, piece 1 is not.
    for &peer in &having[1..] {
        bench.say(peer, Message::Have(0));
    }
    bench.said.clear();
    everybody.iter().for_each(|peer| bench.answer(*peer, true));
    let told = |bench: &Bench, piece: u32| -> Vec<PeerKey> {
        let news = bench.said.iter().filter(|(_, message)| *message == Message::Have(piece));
        news.map(|(peer, _)| *peer).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    };
    assert_eq!(bench.done.len(), 2);
    assert_eq!(told(&bench, 1), everybody[1..], "the first ones to have a piece are known at once");
    assert_eq!(told(&bench, 0), [], "four others have it");
    bench.say(lacking[0], Message::Have(0));
    bench.pass(Duration::from_secs(1));
    assert_eq!(told(&bench, 0), lacking[1..], "who has it meanwhile need not hear of it");
}

#[test]
fn of_a_piece_that_few_have_some_hear_at_once_and_everybody_by_and_by() {
    let mut bench = Bench::machine();
    let giver = bench.connect_ours(2);
    let lacking: Vec<PeerKey> = (3..33).map(|n| bench.connect(n, true)).collect();
    for &peer in &lacking {
        bench.say(peer, Message::HaveNone);
        bench.say(peer, Message::Extended { id: 0, payload: ours() });
    }
    let stock = bench.connect(40, true);
    bench.say(stock, Message::HaveNone);
    bench.said.clear();
    bench.answer(giver, true);
    assert!(bench.session.is_complete());
    let news: Vec<(PeerKey, u32)> = bench
        .said
        .iter()
        .filter_map(|(peer, said)| match said {
            Message::Have(piece) => Some((*peer, *piece)),
            _ => None,
        })
        .collect();
    let first: Vec<PeerKey> = news.iter().take_while(|(_, piece)| *piece == news[0].1).map(|(peer, _)| *peer).collect();
    assert!(first.len() <= 13 && first.contains(&stock), "{first:?}");
    // A machine that has everything tells what it has not told yet.
    for piece in 0..PIECES {
        let told = news.iter().filter(|(_, told)| *told == piece).count();
        assert_eq!(told, lacking.len() + 1, "everybody hears of piece {piece}");
    }
}

#[test]
fn the_frontend_hears_soon_of_what_few_have_and_later_of_what_many_have() {
    for (holders, soon) in [(1, true), (6, false)] {
        let mut bench = Bench::new(SessionConfig { frontend: Some(address(200)), ..SessionConfig::machine(id(1)) });
        let [first, last] = [0, 1].map(|piece| layout().index(piece).expect("there are thirteen"));
        bench.tell(Event::Want { pieces: vec![first, last] });
        let frontend = bench.connect(200, true);
        bench.say(frontend, Message::Extended { id: 0, payload: ours() });
        let mut one = Bitfield::none(PIECES);
        one.insert(first);
        let all: Vec<PeerKey> = (2..2 + holders).map(|n| bench.connect(n, true)).collect();
        for &peer in &all {
            bench.say(peer, Message::Bitfield(one.to_bytes()));
            bench.say(peer, Message::Extended { id: 0, payload: ours() });
            bench.say(peer, Message::Unchoke);
        }
        all.iter().for_each(|peer| bench.answer(*peer, true));
        assert_eq!(bench.done.len(), 1);
        let hears = |bench: &Bench| bench.said.contains(&(frontend, Message::Have(0)));
        bench.pass(Duration::from_millis(200));
        assert_eq!(hears(&bench), soon, "{holders} have it");
        bench.pass(Duration::from_secs(1));
        assert!(hears(&bench));
    }
}

#[test]
fn what_the_fuzz_target_has_kept_breaks_no_promise() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/fuzz/session");
    let cases: Vec<_> =
        std::fs::read_dir(folder).expect("checked in").map(|case| case.expect("readable").path()).collect();
    assert!(!cases.is_empty());
    cases.iter().for_each(|case| exercise::session(&std::fs::read(case).expect("readable")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_machine_keeps_its_invariants_in_any_order_of_events(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        exercise::machine(&bytes);
    }

    #[test]
    fn a_seed_keeps_its_invariants_in_any_order_of_events(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        exercise::seed(&bytes);
    }
}
