//! Each case catches the bug that it is for.

use std::collections::BTreeSet;

use futures::executor::block_on;
use sync_testing::store_suite::{FailureKind, all, named};

use crate::{bent::Bent, bugs};

/// `cargo test -p sync-testing --test store_suite -- --nocapture each_case_fails_on_its_bug` prints the matrix.
#[test]
fn each_case_fails_on_its_bug() {
    let mut wrong = Vec::new();
    for planted in bugs::ALL {
        let outcome = block_on(named(planted.case).run(&Bent::new(planted.bug)));
        println!("{}\n    bug: {}", planted.case, planted.wrong);
        match outcome {
            Err(failure) if failure.kind() == FailureKind::Broken => {
                println!("    caught: {failure}");
            }
            Err(failure) => {
                wrong.push(format!("{}: not by its assertion: {failure}", planted.case))
            }
            Ok(()) => wrong.push(format!("{}: not caught", planted.case)),
        }
    }
    println!(
        "{} bugs, {} caught",
        bugs::ALL.len(),
        bugs::ALL.len() - wrong.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_case_has_a_bug_of_its_own() {
    let cases: Vec<&str> = all().iter().map(|case| case.name()).collect();
    let caught: BTreeSet<&str> = bugs::ALL.iter().map(|planted| planted.case).collect();
    let uncaught: Vec<_> = cases
        .iter()
        .filter(|case| !caught.contains(*case))
        .collect();
    assert!(uncaught.is_empty(), "no bug is planted for {uncaught:?}");
    assert_eq!(
        cases.len(),
        cases.iter().collect::<BTreeSet<_>>().len(),
        "two cases have one name"
    );
    assert!(cases.len() >= 40, "there are only {} cases", cases.len());
}
