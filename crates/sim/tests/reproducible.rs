//! The same seed gives the same run, whatever else there is.

use std::process::Command;

use spark_rpc_sim::simulate;

const SEEDS: [u64; 3] = [1, 2, 3];

#[test]
fn a_seed_gives_the_same_history_twice_in_one_process() {
    for seed in SEEDS {
        let (first, second) = (simulate(seed), simulate(seed));
        let differ = first
            .history
            .entries
            .iter()
            .zip(&second.history.entries)
            .find(|(a, b)| a != b);
        assert_eq!(differ, None, "seed {seed}: the first events that differ");
        assert_eq!(first.digest, second.digest, "seed {seed}");
    }
}

#[test]
fn a_seed_gives_the_same_history_in_other_threads_and_processes() {
    for seed in SEEDS {
        let elsewhere = std::thread::spawn(move || simulate(seed).digest);
        let digest = elsewhere.join().expect("a run does not panic");
        let program = Command::new(env!("CARGO_BIN_EXE_spark-rpc-sim"))
            .args(["--seed", &seed.to_string()])
            .output()
            .expect("cargo has built it");
        let text = String::from_utf8_lossy(&program.stdout);
        assert!(
            text.contains(&format!("digest {digest:016x}")),
            "{digest:016x} is not in: {text}"
        );
    }
}

#[test]
fn other_seeds_give_other_histories() {
    let mut digests: Vec<u64> = SEEDS.iter().map(|seed| simulate(*seed).digest).collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), SEEDS.len());
}
