//! Whole installations in virtual time: what they cost, and that nothing that goes wrong goes wrong for an install.

use super::*;
use crate::cluster::{ByteSize, Rate};
use crate::swarm::Generator;
use std::time::Duration;

fn scenario(machines: u32, megabytes: u64) -> Scenario {
    Scenario::new(machines, ByteSize::from_bytes(megabytes * 1_000_000), Rate::from_bytes_per_sec(12_500_000))
}

fn outcome(scenario: &Scenario) -> Outcome {
    run(scenario, &mut |_| {}).unwrap_or_else(|error| panic!("{error}: {scenario:?}"))
}

#[test]
fn one_machine_alone_costs_no_more_than_plain_http() {
    let outcome = outcome(&scenario(1, 40));
    assert!(outcome.one_secs <= 1.02 * outcome.http_one_secs, "{outcome:?}");
    assert_eq!((outcome.ratio, outcome.copies), (1.0, 1.0));
}

#[test]
fn one_machine_alone_does_not_wait_for_what_only_others_would_want() {
    for appliances in [2, 4, 20] {
        let mut alone = scenario(1, 40);
        (alone.appliances, alone.overlap) = (appliances, 0.9);
        let outcome = outcome(&alone);
        assert!(outcome.one_secs <= 1.02 * outcome.http_one_secs, "{appliances} appliances: {outcome:?}");
    }
}

#[test]
fn a_faster_frontend_does_not_outrun_one_machine() {
    for times in [2, 4, 10] {
        let mut fast = scenario(1, 40);
        fast.frontend_link = Rate::from_bytes_per_sec(times * 12_500_000);
        let outcome = outcome(&fast);
        assert!(outcome.one_secs <= 1.02 * outcome.http_one_secs, "{outcome:?}");
    }
}

#[test]
fn many_machines_take_hardly_longer_than_one_and_the_frontend_sends_one_copy() {
    let outcome = outcome(&scenario(16, 60));
    assert!(outcome.ratio <= 1.10, "{outcome:?}");
    assert!(outcome.copies <= 1.05, "{outcome:?}");
    assert!(outcome.wasted < 0.005, "{outcome:?}");
    assert!(outcome.longest_wait_secs <= 3.0, "{outcome:?}");
}

#[test]
fn the_same_seed_value_gives_the_same_run() {
    let mut faulty = scenario(10, 8);
    faulty.faults = Faults { loss: 0.001, slow: 0.1, dying: 0.1, poisoning: 0.1, ..Faults::default() };
    let one = outcome(&faulty);
    assert_eq!(one, outcome(&faulty));
    faulty.seed_value += 1;
    assert_ne!(one.events, outcome(&faulty).events);
}

#[test]
fn many_machines_on_many_processors_give_the_same_run_as_on_one() {
    let many = scenario(260, 1);
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    assert_eq!(alone.install(|| outcome(&many)), outcome(&many));
}

#[test]
fn messages_that_take_no_time_take_a_microsecond() {
    let mut quick = scenario(3, 1);
    quick.latency = Duration::ZERO;
    check(&quick);
}

#[test]
fn racks_with_narrow_uplinks_are_crossed_about_once() {
    let mut racks = scenario(24, 12);
    racks.racks = Some(Racks { size: 8, uplink: Rate::from_bytes_per_sec(25_000_000) });
    let outcome = outcome(&racks);
    assert!(outcome.ratio <= 2.0 && outcome.copies <= 1.1, "{outcome:?}");
}

#[test]
fn a_scenario_without_sense_is_refused() {
    let mut bad = scenario(4, 1);
    bad.faults.loss = 1.5;
    let error = run(&bad, &mut |_| {}).expect_err("a share above one");
    assert_eq!(error.to_string(), "loss: 1.5 is not a share between 0 and 1");
    assert!(run(&scenario(0, 1), &mut |_| {}).is_err());
    bad.faults.loss = 1.0;
    let error = run(&bad, &mut |_| {}).expect_err("nothing comes through");
    assert_eq!(error.to_string(), "loss: a net that loses every packet carries nothing");
    let (mut slow, mut spread) = (scenario(4, 1), scenario(4, 1));
    slow.latency = Duration::from_secs(1_000_000);
    let error = run(&slow, &mut |_| {}).expect_err("it would not end");
    assert_eq!(error.to_string(), "latency: 1000000 s is more than 1 s");
    spread.start_spread = Duration::MAX;
    assert!(run(&spread, &mut |_| {}).is_err());
}

#[test]
fn few_machines_on_fast_links_do_not_wait_for_words() {
    for machines in [2, 4, 16] {
        let mut fast = scenario(machines, 40);
        (fast.link, fast.frontend_link) =
            (Rate::from_bytes_per_sec(125_000_000), Rate::from_bytes_per_sec(125_000_000));
        let outcome = outcome(&fast);
        assert!(outcome.ratio <= 1.25 && outcome.copies <= 1.05, "{outcome:?}");
    }
}

#[test]
fn machines_of_many_appliances_get_what_only_they_want_from_each_other() {
    let mut many = scenario(64, 12);
    (many.appliances, many.overlap) = (8, 0.8);
    let outcome = outcome(&many);
    // What all of them want together takes 2.4 times as long as one set.
    assert!(outcome.all_secs <= 1.25 * 2.4 * outcome.http_one_secs && outcome.copies <= 1.05, "{outcome:?}");
}

/// An installation in which all sorts of things go wrong, by seed value.
fn faulty(seed_value: u64) -> Scenario {
    let mut random = Generator::new(seed_value);
    let mut scenario = scenario(4 + random.below(9) as u32, 2 + random.below(5));
    scenario.seed_value = seed_value;
    let mut share = |most: f64| if random.below(2) == 0 { 0.0 } else { most * random.unit() };
    scenario.faults = Faults {
        loss: share(0.01),
        slow: share(0.2),
        dying: share(0.3),
        late: share(0.2),
        poisoning: share(0.25),
        ..Faults::default()
    };
    scenario.faults.leave = random.below(4) == 0;
    if random.below(4) == 0 {
        scenario.faults.tracker_dies = Some(Duration::from_millis(random.below(1000)));
    }
    if random.below(3) == 0 {
        scenario.appliances = 1 + random.below(3) as u32;
        scenario.overlap = random.unit();
    }
    if random.below(3) == 0 {
        scenario.racks = Some(Racks { size: 4, uplink: Rate::from_bytes_per_sec(6_250_000) });
    }
    if random.below(3) == 0 {
        scenario.unpack = Duration::from_millis(random.below(2000));
        scenario.unpack_in_turn = random.below(2) == 0;
    }
    scenario.start_spread = Duration::from_millis(random.below(1500));
    scenario.latency = Duration::from_micros(50 + random.below(5000));
    scenario
}

/// Runs a scenario; the world itself fails if a machine that lives does not end with exactly its set, verified, if
/// anybody is pointed at a machine that is not installing, or if a session breaks an invariant.
fn check(scenario: &Scenario) {
    let content = content::Content::make(scenario).expect("files");
    let ran = world::World::new(scenario, &content).checked().run(&mut |_| {});
    let ran = ran.unwrap_or_else(|error| panic!("{error}: {scenario:?}"));
    let liars = (scenario.faults.poisoning * f64::from(scenario.machines)).round() as u32;
    assert_eq!(ran.secs.len() as u32 + ran.died + liars, scenario.machines, "{scenario:?}");
}

#[test]
fn fifty_seeds_with_faults() {
    (0..50).for_each(|seed_value| check(&faulty(seed_value)));
}

#[test]
fn fifty_more_seeds_with_faults() {
    (50..100).for_each(|seed_value| check(&faulty(seed_value)));
}

#[test]
fn the_frontend_may_die_once_every_piece_has_left_it() {
    for seed_value in 0..5 {
        let mut scenario = scenario(12, 6);
        scenario.seed_value = seed_value;
        scenario.faults.frontend_dies = Some(Duration::from_millis(560));
        check(&scenario);
    }
}
