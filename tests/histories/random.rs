//! Long histories of several clients, cut at moments and in ways that a seed chooses.
//!
//! The seed says what each client does and where the power is cut; the threads of the machine say
//! how the clients' steps interleave.

use futures_util::future::join_all;
use sealock_blobs::testing::{Chance, Survival};
use sealock_registry::{Error, Kind};

use crate::{
    check::{Ending, Inspector},
    client::{Client, Image, bytes, note},
    recording::{History, PEOPLE, Recording},
};

/// Steps of each client.
const STEPS: usize = 14;
/// Moments at which the power is cut.
const CUTS: usize = 100;
/// Ways in which each moment may end, beside the two plain ones.
const ENDINGS: u64 = 2;
const REPOSITORIES: [&str; 3] = ["team/app", "team/two", "other/app"];

/// What a client does next. Refusals are part of it: others delete what it counts on.
async fn step(client: Client<'_>, chance: &mut Chance, images: &[Image]) -> Result<(), Error> {
    let name = *chance.one(&REPOSITORIES);
    let tag = *chance.one(&["v1", "v2"]);
    let image = chance.one(images);
    match chance.below(14) {
        0..=3 => client.push(name, tag, image).await,
        4 => client.put(name, tag, &image.manifest).await,
        5 => client.untag(name, tag).await,
        6 => client.delete(name, &image.digest()).await,
        7 => client.delete_blob(name, &image.layer).await,
        8 => {
            let from = *chance.one(&REPOSITORIES);
            client.mount(name, from, &image.layer).await?;
            client.mount(name, from, &image.config).await.map(|_| ())
        }
        9 => client.put(name, "", &note(&image.manifest, &image.config)).await,
        10 => client.promote(name, image, "built/app").await,
        11 => {
            client.collect().await;
            Ok(())
        }
        12 => {
            // For everybody, whatever they are in the middle of.
            client.leases_end();
            client.collect().await;
            Ok(())
        }
        _ => in_chunks(client, chance, name).await,
    }
}

async fn in_chunks(client: Client<'_>, chance: &mut Chance, name: &str) -> Result<(), Error> {
    let whole = bytes(chance.number(), 200 + chance.below(9000));
    let id = client.begin(name, &whole).await?;
    let mut sent = 0;
    for _ in 0..chance.below(4) {
        let to = sent + chance.below(whole.len() - sent + 1);
        match chance.below(4) {
            0 => client.append_broken(name, id, &whole[sent..to]).await,
            _ => {
                client.append(name, id, &whole[sent..to]).await?;
            }
        }
        sent = to;
    }
    match chance.below(4) {
        0 => client.cancel(name, id).await,
        // Left alone.
        1 => Ok(()),
        _ => client.finish(name, id, &whole[sent..]).await,
    }
}

async fn record(seed: u64) -> History {
    let recording = Recording::start().await;
    let images: Vec<Image> =
        (0..5).map(|image| Image::new(image, 300 * usize::try_from(image).unwrap())).collect();
    let images = &images;
    let work = PEOPLE.iter().zip(0..).map(|(name, number)| {
        let client = Client::new(&recording, name);
        let mut chance = Chance::new(seed.wrapping_mul(31).wrapping_add(number));
        async move {
            let mut done = 0;
            for _ in 0..STEPS {
                match step(client, &mut chance, images).await {
                    Ok(()) => done += 1,
                    Err(error) => {
                        let kind = error.kind();
                        assert_ne!(kind, Kind::Full, "{error}");
                    }
                }
            }
            done
        }
    });
    let done: usize = join_all(work).await.into_iter().sum();
    assert!(done > STEPS, "only {done} steps did something");
    recording.end().await
}

async fn cut_anywhere(seed: u64) {
    println!("SEALOCK_HISTORY_SEED={seed}");
    let history = record(seed).await;
    let changes = history.journal.len();
    let mut chance = Chance::new(seed);
    let mut inspector = Inspector::new(&history);
    for round in 0..CUTS {
        let cut = if round == 0 { changes } else { chance.below(changes + 1) };
        let survivors = history.journal.survivors(cut);
        let ways = [Survival::Nothing, Survival::Everything].into_iter();
        let ways = ways.chain((0..ENDINGS).map(|_| Survival::Chance(chance.number())));
        for survival in ways.collect::<Vec<_>>() {
            let may = survivors.commits();
            let commits = match survival {
                Survival::Everything => *may.end(),
                Survival::Nothing => *may.start(),
                _ => may.start() + chance.number() % (may.end() - may.start() + 1),
            };
            let ending = Ending { disk: survivors.like(survival), commits };
            let faults = inspector.judge(ending, cut).await;
            assert!(
                faults.is_empty(),
                "SEALOCK_HISTORY_SEED={seed}: after {cut} of {changes} changes, {survival:?}, \
                 {commits} transactions: {faults:#?}"
            );
        }
    }
    println!("{changes} changes, {} endings opened", inspector.opened());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_clients_and_a_cut_anywhere() {
    let number =
        |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    // Another history in each run.
    let first = number("SEALOCK_HISTORY_SEED").unwrap_or_else(|| std::process::id().into());
    for round in 0..number("SEALOCK_HISTORY_ROUNDS").unwrap_or(1) {
        cut_anywhere(first.wrapping_add(round)).await;
    }
}
