//! The table of everything that `cargo xtask test` runs.

use crate::command::{run, run_tests};
use crate::step::{Stage, Step};
use crate::wasm::browser::Tests;
use crate::{checks, examples, mutants, setup, wasm};

pub(crate) const STAGES: &[Stage] = &[NATIVE, BROWSER];

const NATIVE: Stage = Stage {
    name: "native",
    needs: &[setup::RUSTFMT, setup::CLIPPY, setup::WASM_TARGET],
    steps: &[
        Step::one("format", |p| run(&mut p.cargo("fmt --all --check"))),
        Step::one("lints", |p| {
            run(&mut p.cargo("clippy --workspace --all-targets --all-features -- -D warnings"))
        }),
        Step::many("choices of features", checks::features::check),
        Step::many("tests", |p| {
            run_tests(&mut p.cargo("test --workspace --all-features --tests --no-fail-fast"))
        }),
        Step::many("doc tests", |p| {
            run_tests(&mut p.cargo("test --workspace --all-features --doc --no-fail-fast"))
        }),
        Step::one("docs", |p| {
            let mut doc = p.cargo("doc --workspace --all-features --no-deps");
            run(doc.env("RUSTDOCFLAGS", "-D warnings"))
        }),
        Step::one("docs of sync-testing without its server", |p| {
            let mut doc = p.cargo("doc --package sync-testing --no-default-features --no-deps");
            run(doc.env("RUSTDOCFLAGS", "-D warnings"))
        }),
        Step::many("examples", examples::run_all),
        Step::one("whole histories", examples::simulate),
        Step::one("benchmarks, once and small", |p| {
            run(p
                .cargo("test --package benches --benches")
                .env("BENCH_QUICK", "1"))
        }),
        Step::one("wasm build of sync-core", |p| {
            wasm::build(p, "--package sync-core")
        }),
        Step::one("wasm build of sync-http", |p| {
            wasm::build(p, "--package sync-http --features client")
        }),
        Step::one("wasm build of sync-testing", |p| {
            wasm::build(p, "--package sync-testing --no-default-features")
        }),
        Step::one("dependency directions", checks::dependencies::check),
        Step::one("licences", checks::deny::check_licences),
        Step::one("bans", checks::deny::check_bans),
        Step::one(
            "pitfalls and guarantees have tests",
            checks::named_tests::check,
        ),
        Step::one("links of the documentation", checks::links::check),
        Step::one("mutants still apply", mutants::check),
    ],
};

/// What only a browser can run: elsewhere the crate is empty.
const BROWSER: Stage = Stage {
    name: "browser",
    needs: &[setup::WASM_TARGET, setup::WASM_BINDGEN, setup::CHROMIUM],
    steps: &[
        Step::one("lints of sync-idb", |p| wasm::browser::lint(p, "sync-idb")),
        Step::one("docs of sync-idb", |p| wasm::browser::doc(p, "sync-idb")),
        Step::one("doc tests of sync-idb", |p| {
            wasm::browser::doc_tests(p, "sync-idb")
        }),
        Step::many("unit tests", |p| wasm::browser::test(p, &Tests::Units)),
        Step::many("conformance in a window", |p| {
            wasm::browser::test(p, &Tests::ConformanceInWindow)
        }),
        Step::many("conformance in a worker", |p| {
            wasm::browser::test(p, &Tests::ConformanceInWorker)
        }),
        Step::many("browser cases", |p| wasm::browser::test(p, &Tests::Cases)),
        Step::many("end to end", |p| wasm::browser::test(p, &Tests::EndToEnd)),
        Step::one("lints of the hooks", wasm::browser::lint_frontends),
        Step::many("hooks of frontends", wasm::browser::test_frontends),
        Step::one("lints of the demo", |p| wasm::browser::lint(p, "web")),
        Step::many("tests of the demo", wasm::web::test),
    ],
};
