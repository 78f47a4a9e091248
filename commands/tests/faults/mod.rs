//! The bad day: daemons, machines and shells are killed, frozen and started again at moments that a seed value gives,
//! while sixteen machines install and shells change the store. Every install must end right, every acknowledged write
//! must be there, and no host may be left in a state that needs a person.
//!
//! `ROCKS_FAULT_SEEDS=7` replays one seed value, `1-20` runs a range; without it one short day is run.

mod checks;
mod plan;
mod world;

use plan::{Fault, Plan};
use std::time::{Duration, Instant};
use world::World;

/// How often it is looked whether a day's installs have ended, and how many times once the faults are over: looks are
/// counted, since a machine that stands still as a whole for minutes (paused, or measured on) is no fault of theirs.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS_MAX: u32 = 1200;

fn seeds() -> Vec<u64> {
    let text = std::env::var("ROCKS_FAULT_SEEDS").unwrap_or_else(|_| "1".to_owned());
    let number = |part: &str| part.trim().parse::<u64>().expect("ROCKS_FAULT_SEEDS is a number or FIRST-LAST");
    match text.split_once('-') {
        Some((first, last)) => (number(first)..=number(last)).collect(),
        None => vec![number(&text)],
    }
}

#[test]
fn nothing_that_fails_may_fail_an_install() {
    for seed_value in seeds() {
        day(seed_value);
    }
}

fn day(seed_value: u64) {
    let plan = Plan::of(seed_value);
    let mut world = World::make();
    world.start_daemons();
    world.start_machines();
    world.start_writers();
    let begin = Instant::now();
    for (at, fault) in &plan.faults {
        std::thread::sleep(at.saturating_sub(begin.elapsed()));
        match *fault {
            Fault::Kill { whom, down } => world.kill(whom, down),
            Fault::Freeze { whom, length } => world.freeze(whom, length),
        }
        world.heal();
    }
    let mut looks = 0;
    while !world.all_installed() {
        assert!(looks < LOOKS_MAX, "seed {seed_value}: {}", world.report());
        looks += 1;
        world.heal();
        std::thread::sleep(LOOK);
    }
    world.stop_writers();
    world.thaw_all();
    world.check_packages(seed_value);
    world.check_accusations(seed_value);
    world.check_writes(seed_value);
    world.say_goodbye(seed_value);
    world.check_states(seed_value);
}
