use super::*;

/// The lives of `seed`, which must be as they should.
fn check(seed: u64) -> Summary {
    live(seed, None).unwrap_or_else(|failed| panic!("{failed}\nagain: {}", failed.replay()))
}

#[test]
fn members_of_many_seeds_live_and_lose_nothing() {
    let mut total = Summary::default();
    for seed in 1..=SEEDS {
        let lives = check(seed);
        total.lives += lives.lives;
        total.stillborn += lives.stillborn;
        total.halts += lives.halts;
        total.answers += lives.answers;
    }
    assert!(total.lives > 4 * SEEDS, "{total:?}");
    assert!(total.stillborn > SEEDS / 2, "recoveries are crashed too: {total:?}");
    assert!(total.halts > SEEDS, "disks fail: {total:?}");
    assert!(total.answers > 100 * SEEDS, "{total:?}");
}

#[test]
fn the_same_seed_lives_the_same_lives() {
    for seed in 1..=10 {
        assert_eq!(check(seed), check(seed));
        assert_ne!(check(seed).digest, check(seed + 1).digest);
    }
}

#[test]
fn planted_bugs_are_found_within_a_few_seeds_and_replay() {
    for planted in Planted::ALL {
        let found = (1..=SEEDS_WITH_BUG).find_map(|seed| live(seed, Some(planted)).err());
        let failed = found.unwrap_or_else(|| panic!("{planted:?} is found"));
        assert_eq!(live(failed.seed, Some(planted)), Err(failed.clone()), "the seed alone replays it");
        check(failed.seed);
        let command = format!("cargo xtask sim --seed {} --plant {}", failed.seed, planted.name());
        assert_eq!(failed.replay(), command);
    }
}

const SEEDS: u64 = 250;
/// Each bug shows in about every third seed.
const SEEDS_WITH_BUG: u64 = 12;
