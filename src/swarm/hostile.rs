//! Peers that say what cannot be known, come under many names, take and do not give: what they cost a seed and a machine.

use super::exercise::{Bench, address, id, layout, ours};
use super::extension::{Handshake, OUR_IDS};
use super::*;
use crate::torrent::PeerId;
use std::time::Duration;

#[test]
fn who_takes_what_is_offered_and_never_has_it_is_offered_less_beside_others() {
    let taken = |is_alone: bool| {
        let mut bench = Bench::new(SessionConfig::seed(id(200)));
        let taker = bench.connect(2, true);
        bench.say(taker, Message::HaveNone);
        bench.say(taker, Message::Extended { id: 0, payload: ours() });
        if !is_alone {
            let other = bench.connect(3, true);
            bench.say(other, Message::Bitfield(vec![0xff, 0]));
        }
        let mut taken = 0;
        for _ in 0..200 {
            for (_, message) in std::mem::take(&mut bench.said).into_iter().filter(|(peer, _)| *peer == taker) {
                if let Message::Have(piece) = message {
                    let length_bytes = layout().payload_len(layout().index(piece).expect("offered"));
                    bench.say(taker, Message::Request(RawBlock { piece, offset_bytes: 0, length_bytes }));
                }
            }
            while let Some((peer, block)) = bench.sending.pop() {
                taken += u32::from(peer == taker);
                bench.tell(Event::BlockSent { peer, block });
            }
            bench.pass(Duration::from_millis(50));
        }
        taken
    };
    let (alone, beside_another) = (taken(true), taken(false));
    assert!(beside_another * 3 < alone, "{beside_another} and {alone}");
}

#[test]
fn who_claims_to_have_everything_does_not_stop_a_seed() {
    let mut bench = Bench::new(SessionConfig::seed(id(200)));
    let liars = [bench.connect(2, true), bench.connect(3, true)];
    liars.iter().for_each(|liar| bench.say(*liar, Message::HaveAll));
    bench.pass(Duration::from_secs(1));
    let machine = bench.connect(4, true);
    bench.say(machine, Message::HaveNone);
    bench.pass(Duration::from_millis(100));
    let offered = |bench: &Bench| -> Vec<u32> {
        let offers = bench.said.iter().filter(|(peer, _)| *peer == machine);
        offers.filter_map(|(_, message)| if let Message::Have(piece) = message { Some(*piece) } else { None }).collect()
    };
    assert!(offered(&bench).len() >= 2, "{:?}", offered(&bench));
    // What left the seed is believed to be where it is said to be.
    let piece = offered(&bench)[0];
    let length_bytes = layout().payload_len(layout().index(piece).expect("offered"));
    bench.say(machine, Message::Request(RawBlock { piece, offset_bytes: 0, length_bytes: length_bytes.min(16 << 10) }));
    let mut offset_bytes = length_bytes.min(16 << 10);
    while offset_bytes < length_bytes {
        let length_bytes = (length_bytes - offset_bytes).min(16 << 10);
        bench.say(machine, Message::Request(RawBlock { piece, offset_bytes, length_bytes }));
        offset_bytes += length_bytes;
    }
    while let Some((peer, block)) = bench.sending.pop() {
        bench.tell(Event::BlockSent { peer, block });
    }
    bench.say(machine, Message::Have(piece));
    let other = bench.connect(5, true);
    bench.say(other, Message::HaveNone);
    bench.say(other, Message::Extended { id: 0, payload: ours() });
    (0..20).for_each(|_| bench.pass(Duration::from_millis(100)));
    let to_other = bench.said.iter().filter(|(peer, message)| *peer == other && *message == Message::Have(piece));
    assert_eq!(to_other.count(), 0);
}

#[test]
fn who_answers_nothing_is_not_asked_again_under_each_new_name() {
    let asked_of = |answers: bool| {
        let mut bench = Bench::machine();
        let mut asked = 0;
        for name in 2..22 {
            let peer = bench.connect_from(address(2), PeerId::new([name; 12]));
            if bench.closed.contains(&(peer, Reason::Silent)) {
                bench.pass(Duration::from_millis(600));
                continue;
            }
            bench.say(peer, Message::Bitfield(vec![0xff, 0xf8]));
            bench.say(peer, Message::Unchoke);
            let at = bench.asked.iter().position(|(key, _)| *key == peer);
            asked += u32::from(at.is_some());
            if let Some((peer, block)) = at.filter(|_| answers).map(|at| bench.asked[at]) {
                bench.asked.retain(|(key, _)| *key != peer);
                bench.say(peer, Message::Reject(RawBlock::of(block)));
                bench.say(peer, Message::Choke);
            }
            bench.pass(Duration::from_millis(600));
        }
        asked
    };
    let (silent, answers) = (asked_of(false), asked_of(true));
    assert!(silent <= 8, "{silent} of 20 names");
    assert_eq!(answers, 20);
}

#[test]
fn one_host_has_so_many_connections_and_the_frontend_always_has_a_place() {
    let mut bench = Bench::machine();
    let connect =
        |bench: &mut Bench, host: u32, name: u32| bench.connect_from(address(host), PeerId::new([name as u8; 12]));
    let first = connect(&mut bench, 2, 2);
    let second = connect(&mut bench, 2, 3);
    assert!(bench.closed.is_empty());
    connect(&mut bench, 2, 4);
    assert_eq!(bench.closed, [(first, Reason::Crowd)]);
    connect(&mut bench, 2, 5);
    assert_eq!(bench.closed[1..], [(second, Reason::Crowd)]);
    (3..100).for_each(|n| _ = bench.connect(n, true));
    assert!(bench.closed.iter().any(|(_, reason)| *reason == Reason::Full));
    bench.closed.clear();
    bench.connect(200, true);
    assert!(bench.closed.is_empty(), "this is where the frontend's seed is");
}

#[test]
fn a_host_that_did_not_answer_is_left_alone_for_longer_each_time() {
    let mut bench = Bench::machine();
    let mute_for = |bench: &mut Bench| {
        bench.closed.clear();
        let mute = bench.connect_ours(2);
        while bench.closed.is_empty() {
            bench.pass(Duration::from_millis(100));
        }
        assert_eq!(bench.closed, [(mute, Reason::Silent)]);
        let since = bench.now;
        loop {
            bench.closed.clear();
            let again = bench.connect(2, true);
            if bench.closed.is_empty() {
                bench.tell(Event::PeerLost { peer: again });
                return bench.now - since;
            }
            assert_eq!(bench.closed, [(again, Reason::Silent)]);
            bench.pass(Duration::from_millis(100));
        }
    };
    let (first, second) = (mute_for(&mut bench), mute_for(&mut bench));
    assert!(first > Duration::from_secs(1) && second > first.mul_f64(1.5), "{first:?} {second:?}");
    let good = bench.connect_ours(3);
    bench.answer(good, true);
    assert!(bench.session.is_complete());
}

#[test]
fn a_host_that_two_others_report_is_closed_under_all_its_names() {
    let mut bench = Bench::new(SessionConfig::seed(id(200)));
    let liar = bench.connect_from(address(2), PeerId::new([77; 12]));
    let (one, other) = (bench.connect_ours(3), bench.connect_ours(4));
    let bad = Message::Extended { id: 5, payload: vec![10, 0, 0, 2] };
    bench.say(one, bad.clone());
    bench.say(one, bad.clone());
    bench.say(liar, bad.clone());
    assert!(bench.closed.is_empty(), "one alone may lie");
    bench.say(other, bad);
    assert_eq!(bench.closed, [(liar, Reason::WrongPiece)]);
    let again = bench.connect_from(address(2), PeerId::new([78; 12]));
    assert_eq!(bench.closed[1..], [(again, Reason::Banned)]);
}

/// Sees a machine get everything, from one peer that answers, by this time.
fn completes(bench: &mut Bench, peer: PeerKey, by: Duration) {
    while !bench.session.is_complete() {
        assert!(bench.now < by, "{} bytes missing", bench.session.missing_bytes());
        bench.answer(peer, true);
        bench.pass(Duration::from_millis(50));
    }
}

#[test]
fn a_mute_rack_mate_keeps_a_machine_from_other_racks_for_a_while_only() {
    let config = SessionConfig { rack: Some(1), web_seed: false, ..SessionConfig::machine(id(1)) };
    let mut bench = Bench::new(config);
    bench.tell(Event::Want { pieces: layout().pieces().collect() });
    let mute = bench.connect(2, true);
    let handshake = Handshake { ids: OUR_IDS, rack: Some(1), ..Handshake::default() };
    bench.say(mute, Message::HaveAll);
    bench.say(mute, Message::Extended { id: 0, payload: handshake.encode() });
    bench.say(mute, Message::Unchoke);
    let far = bench.connect_ours(3);
    completes(&mut bench, far, Duration::from_secs(60));
}

#[test]
fn what_a_mute_frontend_has_offered_is_asked_of_who_has_it() {
    let mut bench = Bench::machine();
    let mute = bench.connect(200, true);
    bench.say(mute, Message::HaveNone);
    bench.say(mute, Message::Unchoke);
    (0..3).for_each(|piece| bench.say(mute, Message::Have(piece)));
    assert_eq!(bench.asked.iter().filter(|(_, block)| block.offset_bytes == 0).count(), 3, "taken at once");
    let other = bench.connect_ours(3);
    completes(&mut bench, other, Duration::from_secs(3));
}

#[test]
fn two_that_come_again_and_again_and_report_ever_new_hosts_take_no_more_memory() {
    let mut bench = Bench::new(SessionConfig::seed(id(200)));
    // Each time sixteen reports of theirs are believed. The bench looks at the limits after every event.
    for round in 0..2 * BANNED_MAX as u32 / 16 + 8 {
        let both = [3, 4].map(|n| bench.connect(n, true));
        for host in 0..16 {
            let host = (11 << 24 | round << 8 | host).to_be_bytes();
            both.iter().for_each(|peer| bench.say(*peer, Message::Extended { id: 5, payload: host.to_vec() }));
        }
        both.into_iter().for_each(|peer| bench.tell(Event::PeerLost { peer }));
    }
    assert!(bench.closed.is_empty());
}

/// What these peers, one after the other, did with what a seed offered them: how many blocks each was sent. A peer claims
/// what it was sent where it is told to.
fn taken(claims: &[bool], time: Duration) -> Vec<u32> {
    let mut bench = Bench::new(SessionConfig::seed(id(200)));
    let mut taken: Vec<(PeerKey, u32)> = Vec::new();
    for n in 0..claims.len() {
        let peer = bench.connect(2 + n as u32, true);
        bench.say(peer, Message::HaveNone);
        bench.say(peer, Message::Extended { id: 0, payload: ours() });
        taken.push((peer, 0));
    }
    let until = bench.now + time;
    while bench.now < until {
        for (peer, message) in std::mem::take(&mut bench.said) {
            if let Message::Have(piece) = message {
                let length_bytes = layout().payload_len(layout().index(piece).expect("offered"));
                bench.say(peer, Message::Request(RawBlock { piece, offset_bytes: 0, length_bytes }));
            }
        }
        while let Some((peer, block)) = bench.sending.pop() {
            bench.tell(Event::BlockSent { peer, block });
            let at = taken.iter().position(|(key, _)| *key == peer).expect("connected");
            taken[at].1 += 1;
            if claims[at] {
                bench.say(peer, Message::Have(block.piece.get()));
            }
        }
        bench.pass(Duration::from_millis(10));
    }
    taken.into_iter().map(|(_, blocks)| blocks).collect()
}

#[test]
fn who_has_claimed_nothing_yet_has_a_few_pieces_on_its_way_and_no_more() {
    let taken = taken(&[true, false], Duration::from_millis(150));
    assert!((1..=4).contains(&taken[1]) && taken[0] > taken[1], "{taken:?}");
}

#[test]
fn what_who_claims_nothing_took_is_sent_to_others_and_to_that_one_no_more() {
    let taken = taken(&[true, false], Duration::from_millis(2500));
    assert!(taken[1] <= 4 && taken[0] == layout().piece_count(), "{taken:?}");
}

#[test]
fn what_its_only_holder_passes_on_to_nobody_is_offered_to_another() {
    let both = |time: Duration| taken(&[true, true], time).iter().sum::<u32>();
    let pieces = layout().piece_count();
    assert_eq!(both(Duration::from_millis(200)), pieces, "each once");
    assert_eq!(
        both(Duration::from_secs(6)),
        2 * pieces,
        "each to the one who lacks it: neither gets it from the other"
    );
}

#[test]
fn who_takes_from_a_machine_and_never_tells_of_anything_comes_after_all_others() {
    let mut bench = Bench::machine();
    let held: Vec<u32> = (0..10).collect();
    bench.tell(Event::Have { pieces: held.iter().filter_map(|piece| layout().index(*piece)).collect() });
    let (taker, other) = (bench.connect(3, true), bench.connect(4, true));
    for peer in [taker, other] {
        bench.say(peer, Message::HaveNone);
        bench.say(peer, Message::Extended { id: 0, payload: ours() });
    }
    let request = |bench: &mut Bench, peer: PeerKey, piece: u32| {
        let length_bytes = layout().payload_len(layout().index(piece).expect("a piece"));
        bench.say(peer, Message::Request(RawBlock { piece, offset_bytes: 0, length_bytes }));
        bench.sending.iter().any(|(to, _)| *to == peer)
    };
    let sent = |bench: &mut Bench| {
        while let Some((peer, block)) = bench.sending.pop() {
            bench.tell(Event::BlockSent { peer, block });
        }
    };
    // It asks for the same again and again.
    for n in 0..40 {
        assert!(request(&mut bench, taker, held[n % held.len()]), "nobody else waits");
        sent(&mut bench);
    }
    assert!(request(&mut bench, other, 1));
    assert!(!request(&mut bench, taker, 2), "there is room, but not for it");
    (0..layout().piece_count()).for_each(|piece| bench.say(taker, Message::Have(piece)));
    assert!(request(&mut bench, taker, 3), "it has something now");
}
