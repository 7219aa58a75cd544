//! Several defects at once, by chance: the seed is printed, and `SEALOCK_FSCK_SEED` plays it again.

use crate::{
    store::{Counts, Store},
    zoo::{add, cases, expect},
};
use sealock_lifecycle::fsck::Kind;
use std::collections::BTreeSet;

/// Mixes in an ordinary run.
const MIXES: u64 = 12;
/// Defects in each at most.
const MOST: usize = 9;

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixes_are_counted_exactly() {
    let given = std::env::var("SEALOCK_FSCK_SEED").ok().map(|seed| seed.parse().unwrap());
    let fresh = uuid::Uuid::new_v4().as_u64_pair().0;
    let seeds: Vec<u64> = match given {
        Some(seed) => vec![seed],
        None => (0..MIXES).map(|mix| fresh.wrapping_add(mix)).collect(),
    };
    let healthy = Store::new().await;
    for seed in seeds {
        let mut state = seed;
        let mut zoo = cases();
        let (mut found, mut rest) = (Counts::new(), Counts::new());
        let (mut taken, mut names) = (BTreeSet::new(), Vec::new());
        let store = healthy.copy();
        while !zoo.is_empty() && names.len() < MOST {
            let case =
                zoo.swap_remove(usize::try_from(next(&mut state) % zoo.len() as u64).unwrap());
            // Manifests, their layers and their facts depend on one another.
            let what = case.touches.trim_end_matches(char::is_alphabetic).trim_end();
            let part = if what.is_empty() { case.touches } else { "image" };
            if !case.touches.is_empty() && !taken.insert(part) {
                continue;
            }
            (case.plant)(&store).await;
            add(&mut found, case.found);
            add(&mut rest, case.rest);
            names.push(case.name);
        }
        // Counts that follow other damage are put right with it, and not told apart.
        let upsets =
            |word: &str| Kind::ALL.iter().any(|kind| kind.word() == word && kind.upsets_counts());
        if found.keys().any(|word| upsets(word)) {
            found.retain(|word, _| *word != Kind::QuotaCount.word());
        }
        println!("SEALOCK_FSCK_SEED={seed}: {names:?}");
        expect(&store, &format!("SEALOCK_FSCK_SEED={seed} {names:?}"), &found, &rest).await;
    }
}
