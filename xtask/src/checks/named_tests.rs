//! The tests that the documentation names exist.
//!
//! `docs/what-is-tested.md` maps each pitfall to the test that guards against it, and `docs/guarantees.md` each guarantee to
//! those that fail without it. A test that is renamed or deleted must leave neither unguarded without anyone noticing.

use std::fs;

use crate::Result;
use crate::project::Project;

const DOCUMENTS: [&str; 2] = ["docs/what-is-tested.md", "docs/guarantees.md"];

pub(crate) fn check(project: &Project) -> Result {
    let mut missing = String::new();
    for name in DOCUMENTS {
        let document = fs::read_to_string(project.root.join(name))
            .map_err(|error| format!("{name}: {error}"))?;
        let mut found = 0;
        for test in named_tests(&document) {
            match fs::read_to_string(project.root.join(test.file)) {
                Ok(source) if has_fn(&source, test.function) => found += 1,
                Ok(_) => {
                    missing += &format!("\n  {name}: {} has no fn {}", test.file, test.function)
                }
                Err(error) => missing += &format!("\n  {name}: {}: {error}", test.file),
            }
        }
        println!("{name} names {found} tests that exist");
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("the documentation names tests that do not exist:{missing}").into())
    }
}

#[derive(Debug, PartialEq)]
struct NamedTest<'a> {
    file: &'a str,
    function: &'a str,
}

/// Every `` `path/to/file.rs::function` `` of the document.
fn named_tests(document: &str) -> impl Iterator<Item = NamedTest<'_>> {
    let code_spans = document.split('`').skip(1).step_by(2);
    code_spans.filter_map(|span| {
        let (file, function) = span.split_once("::")?;
        let is_path = file.ends_with(".rs") && !file.contains(char::is_whitespace);
        is_path.then_some(NamedTest { file, function })
    })
}

fn has_fn(source: &str, name: &str) -> bool {
    let after_fn = source.split("fn ").skip(1);
    after_fn
        .filter_map(|rest| rest.strip_prefix(name))
        .any(|rest| rest.starts_with(['(', '<']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_tests_that_a_document_names() {
        let document = "\
            Run `cargo xtask test`; see `Store::apply` and `sync-core/src/lib.rs`.\n\
            ```sh\ncargo test\n```\n\
            | a page is skipped | sync-core | `sync-core/tests/pull.rs::no_page_is_skipped` |\n";
        let named: Vec<_> = named_tests(document).collect();
        let test = NamedTest {
            file: "sync-core/tests/pull.rs",
            function: "no_page_is_skipped",
        };
        assert_eq!(named, [test]);
    }

    #[test]
    fn a_function_is_found_by_its_whole_name() {
        let source = "async fn no_page_is_skipped() {}\nfn generic<S>() {}";
        assert!(has_fn(source, "no_page_is_skipped"));
        assert!(has_fn(source, "generic"));
        assert!(!has_fn(source, "no_page"));
        assert!(!has_fn(source, "page_is_skipped"));
        assert!(!has_fn(source, ""));
    }
}
