//! Each target on its corpus, and on a bounded number of random mutations of it. `SYNC_SEED` repeats a run;
//! `SYNC_FUZZ_SECONDS` is how long a target is given.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use sync_fuzz::{mutate::Mutator, targets};

/// A target measures the memory of the whole process, so that only one may run at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn answers_decode_or_fail_as_promised() {
    run("answers");
}

#[test]
fn a_dialect_brings_everything_to_the_other_side() {
    run("dialect");
}

#[test]
fn pages_decode_or_fail_as_promised() {
    run("page");
}

#[test]
fn pushes_decode_or_fail_as_promised() {
    run("push");
}

#[test]
fn the_server_answers_any_request_in_its_own_format() {
    run("server");
}

#[test]
fn the_transport_sorts_any_answer() {
    run("transport");
}

#[test]
fn every_target_has_its_test_and_its_program() {
    let here = include_str!("bounded.rs");
    for (name, _) in targets::ALL {
        assert!(here.contains(&format!("run(\"{name}\")")), "{name}");
        let program = format!("{}/fuzz_targets/{name}.rs", env!("CARGO_MANIFEST_DIR"));
        assert!(Path::new(&program).exists(), "{program}");
    }
}

fn run(name: &str) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, target) = targets::ALL
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "the corpus of {name} is empty");
    for input in &corpus {
        try_input(*target, input);
    }
    let seed = number("SYNC_SEED").unwrap_or_default();
    println!("{name}: {} files, then SYNC_SEED={seed}", corpus.len());
    let time = Duration::from_secs(number("SYNC_FUZZ_SECONDS").unwrap_or(2));
    let (started, mut count) = (Instant::now(), 0_u64);
    let mut mutator = Mutator::new(seed);
    while started.elapsed() < time {
        for _ in 0..16 {
            let (one, other) = (mutator.below(corpus.len()), mutator.below(corpus.len()));
            let input = mutator.mutate(&corpus[one], &corpus[other]);
            try_input(*target, &input);
            count += 1;
        }
    }
    println!("{name}: {count} mutations");
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// The files of a corpus, in the order of their names.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Shows the input that a target fails on.
fn try_input(target: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        println!("on the input:\n{}", input.escape_ascii());
        resume_unwind(panic);
    }
}
