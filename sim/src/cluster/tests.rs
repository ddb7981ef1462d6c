use super::run;

#[test]
fn clusters_of_many_seeds_keep_their_promises() {
    for seed in 1..=40 {
        let summary = run(seed).unwrap_or_else(|failed| panic!("{failed}\nagain: {}", failed.replay()));
        assert!(summary.answers > 0, "seed {seed} answered nothing: {summary:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 50..=55 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
