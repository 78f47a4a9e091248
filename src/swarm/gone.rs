//! What is gone from the frontend's tree: it costs itself, and holds nothing else up.

use super::exercise::{Bench, PIECES, address, id, layout, ours};
use super::*;
use std::time::Duration;

#[test]
fn a_piece_that_the_frontend_does_not_have_keeps_no_other_waiting() {
    for outcome in [WebSeedOutcome::Missing, WebSeedOutcome::Failed] {
        let mut bench = Bench::machine();
        bench.tell(Event::ConnectFailed { address: address(200) });
        let gone = layout().index(0).expect("there are thirteen");
        bench.tell(Event::Demand { pieces: vec![gone] });
        let mut asked = 0;
        for _ in 0..200 {
            bench.pass(Duration::from_millis(20));
            // One at a time, as beside other machines: none is asked for beside the one that fails.
            if let Some(at) = bench.fetching.iter().position(|piece| *piece == gone) {
                bench.fetching.remove(at);
                bench.tell(Event::WebSeed { piece: gone, outcome });
                asked += 1;
            } else if let Some(piece) = bench.fetching.pop() {
                bench.tell(Event::WebSeed { piece, outcome: WebSeedOutcome::Received });
            }
            while let Some((piece, source)) = bench.verifying.pop() {
                bench.tell(Event::Verified { piece, source, ok: true });
            }
        }
        let left = bench.session.missing_bytes();
        assert_eq!(left, u64::from(layout().payload_len(gone)), "{outcome:?}: asked {asked} times");
        assert!((2..=4).contains(&asked), "{outcome:?}: asked {asked} times in 4 s");
    }
}

#[test]
fn a_block_that_is_gone_is_turned_down_and_its_piece_is_not_offered_for_a_while() {
    let mut bench = Bench::new(SessionConfig { serve_at_once: 1, ..SessionConfig::seed(id(200)) });
    let peer = bench.connect(2, true);
    bench.say(peer, Message::HaveNone);
    bench.say(peer, Message::Extended { id: 0, payload: ours() });
    let gone = layout().index(0).expect("there are thirteen");
    let (mut offers, mut turned_down) = (Vec::new(), 0);
    for _ in 0..400 {
        bench.pass(Duration::from_millis(20));
        for (_, message) in std::mem::take(&mut bench.said) {
            match message {
                Message::Have(piece) => {
                    offers.push((bench.now, piece));
                    let length_bytes = layout().payload_len(layout().index(piece).expect("it exists"));
                    bench.say(peer, Message::Request(RawBlock { piece, offset_bytes: 0, length_bytes }));
                }
                Message::Reject(block) => turned_down += u32::from(block.piece == gone.get()),
                _ => {}
            }
        }
        while let Some((peer, block)) = bench.sending.pop() {
            if block.piece == gone {
                bench.tell(Event::BlockGone { peer, block });
            } else {
                bench.tell(Event::BlockSent { peer, block });
                bench.say(peer, Message::Have(block.piece.get()));
            }
        }
    }
    let of_gone = |offers: &[(Duration, u32)]| offers.iter().filter(|(_, piece)| *piece == gone.get()).count();
    assert_eq!((of_gone(&offers), turned_down), (1, 1), "{offers:?}");
    assert_eq!(offers.len() as u32, PIECES, "the others are offered and taken");
    assert!(bench.closed.is_empty(), "{:?}", bench.closed);
    bench.pass(Duration::from_secs(5));
    assert!(bench.said.contains(&(peer, Message::Have(gone.get()))), "the tree may be in order again");
}
