use super::{Bug, Summary, run};

fn check(seed: u64) -> Summary {
    run(seed, None).unwrap_or_else(|failed| panic!("{failed}\nagain: {}", failed.replay()))
}

#[test]
fn clusters_of_many_seeds_keep_their_promises() {
    let mut total = Summary::default();
    for seed in 1..=SEEDS {
        total.add(&check(seed));
    }
    assert!(total.answers > 500 * SEEDS, "{total}");
    assert!(total.crashes > SEEDS && total.recoveries > total.crashes / 2, "{total}");
    assert!(total.leaders > SEEDS && total.changes > SEEDS / 2, "{total}");
    assert!(total.installs > SEEDS / 5 && total.lost > 0 && total.duplicated > 0, "{total}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 50..=55 {
        assert_eq!(check(seed), check(seed), "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_found_and_replay() {
    for bug in Bug::ALL {
        let found = (1..=SEEDS_WITH_BUG).find_map(|seed| run(seed, Some(bug)).err());
        let failed = found.unwrap_or_else(|| panic!("{bug:?} is found"));
        assert_eq!(run(failed.seed, Some(bug)), Err(failed.clone()), "the seed alone replays it");
        let command = format!("cargo xtask sim --cluster --seed {} --plant {}", failed.seed, bug.name());
        assert_eq!(failed.replay(), command);
    }
}

const SEEDS: u64 = 60;
const SEEDS_WITH_BUG: u64 = 60;
