//! The table of everything that `cargo xtask test` runs.

use crate::command::{run, run_tests};
use crate::step::Run::{Many, One};
use crate::step::{Stage, Step};
use crate::{checks, examples, setup, wasm};

pub(crate) const STAGES: &[Stage] = &[Stage {
    name: "native",
    needs: &[setup::RUSTFMT, setup::CLIPPY, setup::WASM_TARGET],
    steps: &[
        Step {
            name: "format",
            run: One(|p| run(&mut p.cargo("fmt --all --check"))),
        },
        Step {
            name: "lints",
            run: One(|p| {
                run(&mut p.cargo("clippy --workspace --all-targets --all-features -- -D warnings"))
            }),
        },
        Step {
            name: "choices of features",
            run: Many(checks::features::check),
        },
        Step {
            name: "tests",
            run: Many(|p| {
                run_tests(&mut p.cargo("test --workspace --all-features --tests --no-fail-fast"))
            }),
        },
        Step {
            name: "doc tests",
            run: Many(|p| {
                run_tests(&mut p.cargo("test --workspace --all-features --doc --no-fail-fast"))
            }),
        },
        Step {
            name: "docs",
            run: One(|p| {
                let mut doc = p.cargo("doc --workspace --all-features --no-deps");
                run(doc.env("RUSTDOCFLAGS", "-D warnings"))
            }),
        },
        Step {
            name: "examples",
            run: Many(examples::run_all),
        },
        Step {
            name: "wasm build of sync-core",
            run: One(|p| wasm::build(p, "--package sync-core")),
        },
        Step {
            name: "wasm build of sync-http",
            run: One(|p| wasm::build(p, "--package sync-http --features client")),
        },
        Step {
            name: "wasm build of sync-testing",
            run: One(|p| wasm::build(p, "--package sync-testing --no-default-features")),
        },
        Step {
            name: "dependency directions",
            run: One(checks::dependencies::check),
        },
        Step {
            name: "licences",
            run: One(checks::licences::check),
        },
        Step {
            name: "pitfalls have tests",
            run: One(checks::named_tests::check),
        },
    ],
}];
